// What both ends of the CURVE connection share: limits, socket options and the monitor that says why a
// connection came or went. Measured on libzmq 4.3.4.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <zmq.hpp>

#include "common/bytes.h"
#include "common/result.h"
#include "crypto/key_agreement.h"

namespace fovea::federation::io {

inline constexpr std::size_t kMessageBytesMax = std::size_t{1} << 20U;  // one message
inline constexpr std::size_t kCurveOverheadMax = 64;                    // what CURVE adds to a frame
inline constexpr int kQueuedMessagesMax = 16;                           // of the largest, each way, each peer
inline constexpr std::chrono::milliseconds kHandshakeMax{5'000};
inline constexpr std::chrono::milliseconds kBeatEvery{5'000};
inline constexpr std::chrono::milliseconds kSilenceMax{30'000};  // of a peer's program; it may be busy for a while
inline constexpr std::chrono::seconds kKeepaliveEvery{5};        // asked of the peer's kernel
inline constexpr std::chrono::seconds kUnreachableMax{15};       // then the kernel gives the connection up
inline constexpr std::chrono::milliseconds kLinger{2'000};
inline constexpr std::chrono::milliseconds kReconnectMin{100};
inline constexpr std::chrono::milliseconds kReconnectMax{2'000};
// Of one attempt. The kernel asks again after ever longer pauses: in a network that was gone for six minutes, once a
// minute. An attempt that is given up is followed by a new one.
inline constexpr std::chrono::milliseconds kConnectMax{2'000};
inline constexpr std::chrono::milliseconds kRedialMin{500};  // after a refusal, doubling
inline constexpr std::chrono::milliseconds kRedialMax{15'000};
inline constexpr int kBacklogMax = 1'024;  // connections that wait to be accepted: a roster of sites comes back at once
inline constexpr const char* kZapDomain = "fovea";

using CurvePublicKey = crypto::AgreementPublicKey;

// Sizes, keepalive, linger. No heartbeats of libzmq, and no length of the queue to the program: connection_flow.h says
// why. Throws zmq::error_t.
void set_limits(zmq::socket_t& socket);
// CURVE with these keys. Throws zmq::error_t.
void set_curve_server(zmq::socket_t& socket, const crypto::AgreementKey& own);
void set_curve_client(zmq::socket_t& socket, const crypto::AgreementKey& own, const CurvePublicKey& server);

// A message whose bytes are the payload itself: libzmq keeps it alive until it is on the wire.
zmq::message_t message_of(const std::shared_ptr<const Bytes>& payload);

// "errno text" of a zmq failure as a Result error; EADDRINUSE says which port to change.
Error zmq_failure(const zmq::error_t& error, const std::string& action);

// connected and accepted: the TCP connection stands, of the end that dials and of the one that listens.
enum class ConnectionEvent { connected, accepted, ready, refused, protocol_error, lost, retrying };

// Watches one socket, which must outlive it. Create before bind or connect; poll its socket() for reading.
class ConnectionMonitor {
 public:
  ConnectionMonitor(const ConnectionMonitor&) = delete;
  ConnectionMonitor& operator=(const ConnectionMonitor&) = delete;
  ~ConnectionMonitor();
  // Throws zmq::error_t. `name` is unique in the context.
  ConnectionMonitor(zmq::context_t& context, zmq::socket_t& watched, const std::string& name);
  zmq::socket_t& socket() noexcept { return pair_; }
  // The next event that matters, or nothing. Never blocks.
  std::optional<ConnectionEvent> next();
  // Of the connection that the last event was about: of connected, accepted and lost.
  int descriptor() const noexcept { return descriptor_; }

 private:
  void* watched_;
  int descriptor_ = -1;
  zmq::socket_t pair_;
};

}  // namespace fovea::federation::io

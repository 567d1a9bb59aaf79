// The node's one connection, dialled out to the coordinator: a DEALER under CURVE. One thread owns it.
// The driver (site_driver.h) sends only what the egress gate has recorded.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "common/bytes.h"
#include "common/result.h"
#include "crypto/key_agreement.h"
#include "federation/io/connection_flow.h"
#include "federation/io/curve_socket.h"
#include "federation/io/inbound_guard.h"
#include "node/io/address_lookup.h"

namespace fovea::node::io {

struct TransportOptions {
  std::string endpoint;  // "tcp://host:port"
  federation::io::CurvePublicKey coordinator_key{};
  std::size_t outbox_bytes_max = std::size_t{256} << 20U;
  std::chrono::milliseconds beat_every = federation::io::kBeatEvery;
  std::chrono::milliseconds silence_max = federation::io::kSilenceMax;
  AddressLookup::Resolve resolve{};  // the addresses of the endpoint's host; addresses_of() when empty
};

inline constexpr std::uint64_t kMeasuredBytes = 256 * 1024;

enum class ConnectionState {
  connecting,  // not reached yet, or lost: libzmq keeps trying
  connected,
  refused,     // reached, but it does not know this site's transport key: dialled again after a pause
  wrong_peer,  // twice in a row: what listens there does not hold the invited coordinator's key, or is not Fovea
};

class ZmqTransport {
 public:
  static Result<std::unique_ptr<ZmqTransport>> connect(const TransportOptions& options,
                                                       const crypto::AgreementKey& key);

  // Sleeps until a message may be waiting, one of `descriptors` is readable or `timeout` is over.
  Result<void> wait(std::chrono::milliseconds timeout, std::span<const int> descriptors);
  // Never blocks. Takes the coordinator's beats too, without which no more than a window of messages is sent.
  std::optional<Bytes> receive();

  // Queued in order. unavailable: not connected (what was queued is dropped with the connection, and
  // the round machine sends it again when asked); failed_precondition: the queue is full.
  Result<void> send(Bytes payload);

  // Drops what is queued here and with libzmq, and dials anew: none of it leaves any more.
  Result<void> hang_up();

  std::size_t outbox_bytes() const noexcept { return outbox_bytes_; }  // queued here, not yet with libzmq
  // Sent on this connection, and not taken by the coordinator as far as it has said: what waits here, with libzmq, with
  // the kernel or on the way. None of it is lost while the connection lasts.
  std::size_t under_way_bytes() const noexcept;
  // Whether exactly these bytes are among it, so that to send them again would only fill the link.
  bool is_under_way(ByteView payload) const;
  // How fast this link takes what is sent, in kbit/s, as measured while at least kMeasuredBytes of it were on the way
  // without a pause; nothing before.
  std::optional<std::uint64_t> upload_kbit_s() const noexcept { return upload_kbit_s_; }
  ConnectionState state() const noexcept { return state_; }
  // Connections shut down because the coordinator sent more than is read of it: a message without an end.
  std::uint64_t cut_count() const noexcept { return guard_.cut_count(); }
  // And because nothing came from it.
  std::uint64_t silent_count() const noexcept { return guard_.silent_count(); }
  // Grows with each connection: then a hello is due.
  std::uint64_t connection_count() const noexcept { return connection_count_; }

 private:
  ZmqTransport(TransportOptions options, const crypto::AgreementKey& key);  // throws zmq::error_t
  void dial();                                                              // throws zmq::error_t
  void redial_when_due();
  void try_next_address();
  void follow_connection();
  void flush();
  bool may_send() const;
  void send_due_beat();
  void drop_outbox();
  void forget_what_was_taken();
  void begin_measure();
  void measure();

  struct UnderWay {
    Digest digest{};
    std::size_t size = 0;
    std::uint64_t end = 0;  // of the flow's sent_bytes; zero: still in outbox_
  };

  TransportOptions options_;
  crypto::AgreementKey key_;
  zmq::context_t context_;
  federation::io::InboundGuard guard_;
  std::optional<zmq::socket_t> dealer_;
  std::optional<federation::io::ConnectionMonitor> monitor_;  // goes before the socket it watches
  std::uint64_t dial_count_ = 0;
  std::chrono::milliseconds redial_pause_ = federation::io::kRedialMin;
  std::optional<std::chrono::steady_clock::time_point> redial_at_;
  AddressLookup lookup_;
  std::string dialled_;            // options_.endpoint, or one of its addresses
  std::size_t address_count_ = 0;  // of those that were dialled
  std::chrono::milliseconds address_pause_ = federation::io::kReconnectMin;
  ConnectionState state_ = ConnectionState::connecting;
  std::uint32_t wrong_peers_ = 0;  // in a row
  std::uint64_t connection_count_ = 0;
  federation::io::ConnectionFlow flow_;
  std::deque<zmq::message_t> outbox_;
  std::size_t outbox_bytes_ = 0;
  std::deque<UnderWay> under_way_;  // in the order of sending
  std::chrono::steady_clock::time_point busy_since_{};
  std::uint64_t taken_before_ = 0;  // of the flow, when the link became busy
  std::optional<std::uint64_t> upload_kbit_s_{};
};

}  // namespace fovea::node::io

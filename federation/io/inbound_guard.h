// Bounds what one peer can make libzmq hold for it, and ends connections that are dead or too many.
//
// libzmq 4.3.4 keeps the frames of a message until the last one has come: neither ZMQ_RCVHWM, which counts whole
// messages, nor ZMQ_MAXMSGSIZE, which bounds one frame, ends a message of endless frames, and no other option does. So
// the bytes are counted outside of it: what the kernel has taken from the peer and libzmq has read (TCP_INFO), less
// what has been handed to the program. A connection on which that difference outgrows an honest peer's queue is shut
// down; libzmq then drops the unfinished message.
//
// A connection on which nothing came for long is shut down too: an honest peer sends a beat (connection_flow.h). And of
// those that have not said anything, the oldest, when there are more connections than descriptors may be used for.
//
// A thread of its own looks, so that a program that is busy (a large sum) is no gap. Below ten milliseconds or so, what
// a fast link brings comes on top.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <zmq.hpp>

#include "federation/io/curve_socket.h"

namespace fovea::federation::io {

// Of one peer: its queue full of the largest messages, one more that is arriving, and some slack.
inline constexpr std::uint64_t kInboundPeerBytesMax =
    static_cast<std::uint64_t>(kQueuedMessagesMax + 2) * (kMessageBytesMax + kCurveOverheadMax);
// Of all peers: honest ones send vectors in turns, so that far fewer than all have a full queue.
inline constexpr std::uint64_t kInboundAllBytesMax = std::uint64_t{512} << 20U;

struct InboundLimits {
  std::uint64_t peer_bytes_max = kInboundPeerBytesMax;
  std::uint64_t all_bytes_max = kInboundAllBytesMax;
  std::chrono::milliseconds silence_max = kSilenceMax;
};

// How many descriptors the connections to a listening port may have; the others are for files.
struct DescriptorShare {
  int port = 0;
  std::size_t connections_max = 0;  // of those that the program knows of
  int first_kept = 0;               // no connection keeps this descriptor or a higher one, known or not
  int limit = 0;                    // there are none from here on
};

class InboundGuard {
 public:
  explicit InboundGuard(const InboundLimits& limits = {}) : limits_(limits) {}
  InboundGuard(const InboundGuard&) = delete;
  InboundGuard& operator=(const InboundGuard&) = delete;

  // A connection of the guarded socket, by its descriptor, from ConnectionMonitor. Before its handshake is answered.
  void opened(int descriptor);
  void closed(int descriptor);
  void closed_all();  // with their socket, whose monitor says nothing any more
  // One frame that the program has taken from the socket. False: not of a connection that is open.
  bool delivered(const zmq::message_t& frame);
  // What has come on an open connection so far, of whole messages and of one that is arriving; zero: it is not open.
  std::uint64_t bytes_arrived(int descriptor);
  // For how long nothing has come on an open connection; nothing: it is not open.
  std::optional<std::chrono::milliseconds> silence(int descriptor);
  // From now on. Once, before connections come.
  void keep_descriptors(const DescriptorShare& share);

  // Connections shut down so far: that held too much, that were silent, that were too many.
  std::uint64_t cut_count() const noexcept { return cuts_; }
  std::uint64_t silent_count() const noexcept { return silent_; }
  std::uint64_t crowd_count() const noexcept { return crowd_; }

 private:
  struct Connection {
    std::uint64_t cookie = 0;  // of the kernel's socket: descriptors are used again
    std::uint64_t order = 0;   // in which they came
    std::uint64_t delivered = 0;
    bool cut = false;
  };

  bool is_open(int descriptor) const;  // with the lock held
  void watch(const std::stop_token& stop);
  void look();
  void thin_out();
  bool free_kept_descriptors();
  void start_watching();
  bool cut(int descriptor, Connection& connection);

  const InboundLimits limits_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<int, Connection> connections_;
  std::optional<DescriptorShare> share_;
  std::uint64_t opened_count_ = 0;
  std::size_t open_ = 0;  // not cut
  std::atomic<std::uint64_t> cuts_ = 0;
  std::atomic<std::uint64_t> silent_ = 0;
  std::atomic<std::uint64_t> crowd_ = 0;
  std::jthread thread_;  // started with the first connection; last, so that it ends first
};

}  // namespace fovea::federation::io

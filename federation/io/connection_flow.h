// One end of one connection: how much of what it sends the other end has not taken yet, and when it says that it is
// still there. Both in one small frame, a beat, that says how much this end has taken so far.
//
// libzmq 4.3.4 has a queue length and heartbeats for this, and neither can be used: when a connection breaks while the
// queue to the program is full, it stops reading but keeps the connection's timers and the bytes that it has read, and
// a heartbeat that is due then, or a ping of the peer in those bytes, aborts the process (`!_io_error`). So the queue
// has no length, no honest peer sends more than the window, and InboundGuard ends the connection of one that does.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "common/bytes.h"
#include "federation/io/curve_socket.h"

namespace fovea::federation::io {

// What may be under way in one direction, with kCurveOverheadMax added to each message.
inline constexpr std::uint64_t kWindowBytes =
    static_cast<std::uint64_t>(kQueuedMessagesMax) * (kMessageBytesMax + kCurveOverheadMax);
// A beat is due when so much was taken and not said yet: about one large message, so that the other end knows what is
// still under way, and never has to wait for it.
inline constexpr std::uint64_t kBeatBytes = kMessageBytesMax / 2;

class ConnectionFlow {
 public:
  using Clock = std::chrono::steady_clock;

  explicit ConnectionFlow(Clock::time_point now = Clock::now()) : last_beat_(now) {}

  // Whether a message of so many bytes fits into the window.
  bool admits(std::size_t bytes) const noexcept { return sent_ - taken_there_ + cost(bytes) <= kWindowBytes; }
  void sent(std::size_t bytes) noexcept { sent_ += cost(bytes); }
  // All that was sent, and how much of it the other end has said that it took.
  std::uint64_t sent_bytes() const noexcept { return sent_; }
  std::uint64_t taken_there_bytes() const noexcept { return taken_there_; }
  // The program has taken a message from the socket.
  void took(std::size_t bytes) noexcept { taken_ += cost(bytes); }

  // Whether the frame is a beat; no message is one. What it says is believed up to what was sent.
  bool hear(ByteView frame);
  bool beat_due(Clock::time_point now, std::chrono::milliseconds every) const noexcept {
    return now - last_beat_ >= every || taken_ - said_ >= kBeatBytes;
  }
  Bytes beat() const;
  void beat_sent(Clock::time_point now) noexcept;

 private:
  static std::uint64_t cost(std::size_t bytes) noexcept { return bytes + kCurveOverheadMax; }

  std::uint64_t sent_ = 0;
  std::uint64_t taken_there_ = 0;  // of it, as far as the other end has said
  std::uint64_t taken_ = 0;
  std::uint64_t said_ = 0;
  Clock::time_point last_beat_;
};

}  // namespace fovea::federation::io

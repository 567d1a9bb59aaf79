#include "federation/io/inbound_guard.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <optional>

namespace fovea::federation::io {
namespace {

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Tells a socket from a later one with the same descriptor. Zero: it is closed.
std::uint64_t cookie_of(int descriptor) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  return ::getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

// The bytes that libzmq has read from this connection.
std::optional<std::uint64_t> bytes_read(int descriptor) {
  tcp_info info{};
  socklen_t size = sizeof info;
  int waiting = 0;  // in the kernel still, whose own buffer bounds them
  if (::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  if (::ioctl(descriptor, FIONREAD, &waiting) != 0) return std::nullopt;
  const std::uint64_t received = info.tcpi_bytes_received;
  return received - std::min<std::uint64_t>(received, static_cast<std::uint64_t>(std::max(waiting, 0)));
}

// A frame as CURVE and ZMTP 3 put it on the wire: "\x07MESSAGE", a nonce, the box with one byte of flags; a header.
std::uint64_t wire_bytes(std::size_t frame) {
  const std::uint64_t body = frame + 8 + 8 + 16 + 1;
  return body + (body > 255 ? 9U : 2U);
}

}  // namespace

void InboundGuard::opened(int descriptor) {
  const std::uint64_t cookie = cookie_of(descriptor);
  if (cookie == 0) return;
  const std::lock_guard lock(mutex_);
  connections_[descriptor] = Connection{.cookie = cookie, .opened_ms = now_ms()};
  if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
  changed_.notify_one();
}

void InboundGuard::closed(int descriptor) {
  const std::lock_guard lock(mutex_);
  connections_.erase(descriptor);
}

void InboundGuard::delivered(const zmq::message_t& frame) {
  const int descriptor = ::zmq_msg_get(frame.handle(), ZMQ_SRCFD);  // -1: of no connection
  const std::lock_guard lock(mutex_);
  if (const auto found = connections_.find(descriptor); found != connections_.end())
    found->second.delivered += wire_bytes(frame.size());
}

void InboundGuard::watch(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (!changed_.wait(lock, stop, [this] { return !connections_.empty(); })) return;
    look();
    // Each look costs two system calls a connection; more of them share libzmq's one thread anyway.
    const std::chrono::milliseconds pause(10 + connections_.size() / 4);
    changed_.wait_for(lock, stop, pause, [] { return false; });
  }
}

void InboundGuard::look() {
  std::uint64_t all = 0;
  std::uint64_t most = 0;
  int heaviest = -1;
  for (auto& [descriptor, connection] : connections_) {
    const auto read = connection.cut ? std::nullopt : bytes_read(descriptor);
    if (!read) continue;
    const std::uint64_t expected = connection.delivered + static_cast<std::uint64_t>(now_ms() - connection.opened_ms) *
                                                              kHeartbeatBytesPerSecond / 1000;
    const std::uint64_t held = *read - std::min(*read, expected);
    if (held > limits_.peer_bytes_max) {
      cut(descriptor, connection);
      continue;
    }
    all += held;
    if (held <= most) continue;
    most = held;
    heaviest = descriptor;
  }
  if (all > limits_.all_bytes_max && heaviest >= 0) cut(heaviest, connections_.at(heaviest));
}

// libzmq sees the end of the stream, closes the descriptor and reports it. Between the check of the cookie and the
// shutdown the descriptor could become another connection: that peer would have to connect again, and nothing else.
void InboundGuard::cut(int descriptor, Connection& connection) {
  if (cookie_of(descriptor) != connection.cookie) return;
  connection.cut = true;
  ::shutdown(descriptor, SHUT_RDWR);
  ++cuts_;
}

}  // namespace fovea::federation::io

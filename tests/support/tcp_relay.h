// Somebody on the way between two ends of a TCP connection: passes bytes on, holds them back, resets. Without any key.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "common/check.h"

namespace fovea::test {
inline sockaddr_in loopback(int port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<std::uint16_t>(port));
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return out;
}

inline void send_at_once(int descriptor) {
  const int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// A TCP connection to 127.0.0.1, or -1.
inline int dial_tcp(int port) {
  const int out = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  if (out >= 0 && ::connect(out, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(out);
    return -1;
  }
  return out;
}

// Closes with a reset instead of an end of stream.
inline void reset_tcp(int descriptor) {
  const linger reset{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  ::close(descriptor);
}

// One connection at a time; the newest one that dials. Not thread-safe: step() moves the bytes.
class TcpRelay {
 public:
  enum class End { dialler, target };

  explicit TcpRelay(int target_port, int own_port = 0);
  TcpRelay(const TcpRelay&) = delete;
  TcpRelay& operator=(const TcpRelay&) = delete;
  ~TcpRelay();

  int port() const noexcept { return port_; }
  void step();  // never blocks for long
  // From now on what this end sends is kept here.
  void hold(End from) noexcept { holds_ = from; }
  std::size_t held() const noexcept { return held_.size(); }
  // What was held goes to the other end at once, as far as that takes it, and the connection there is reset.
  void release_and_reset();

 private:
  void accept();
  void close();
  bool move(End from);

  int target_port_;
  int listener_ = -1;
  int port_ = 0;
  int dialler_ = -1;
  int target_ = -1;
  std::optional<End> holds_;
  std::string held_;
};

inline TcpRelay::TcpRelay(int target_port, int own_port)
    : target_port_(target_port), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = loopback(own_port);
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  socklen_t size = sizeof address;
  FOVEA_CHECK(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) == 0);
  FOVEA_CHECK(::listen(listener_, 8) == 0);
  FOVEA_CHECK(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
}

inline TcpRelay::~TcpRelay() {
  close();
  ::close(listener_);
}

inline void TcpRelay::close() {
  if (dialler_ >= 0) ::close(dialler_);
  if (target_ >= 0) ::close(target_);
  dialler_ = target_ = -1;
}

inline void TcpRelay::accept() {
  close();
  dialler_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  target_ = dial_tcp(target_port_);
  if (dialler_ < 0 || target_ < 0) return close();
  send_at_once(dialler_);
  send_at_once(target_);
  holds_.reset();
  held_.clear();
}

// False: the connection has ended.
inline bool TcpRelay::move(End end) {
  const int from = end == End::dialler ? dialler_ : target_;
  const int to = end == End::dialler ? target_ : dialler_;
  static std::array<char, std::size_t{1} << 18U> buffer;
  const ssize_t size = ::recv(from, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size <= 0) return false;
  if (holds_ == end) {
    held_.append(buffer.data(), static_cast<std::size_t>(size));
    return true;
  }
  for (ssize_t at = 0; at < size;) {
    const ssize_t sent = ::send(to, buffer.data() + at, static_cast<std::size_t>(size - at), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    at += sent;
  }
  return true;
}

inline void TcpRelay::step() {
  std::array<pollfd, 3> waiting{pollfd{listener_, POLLIN, 0}, pollfd{dialler_, POLLIN, 0}, pollfd{target_, POLLIN, 0}};
  if (::poll(waiting.data(), waiting.size(), 0) <= 0) return;
  if (waiting[0].revents != 0) return accept();
  bool open = true;
  if (waiting[1].revents != 0) open = move(End::dialler);
  if (open && waiting[2].revents != 0) open = move(End::target);
  if (!open) close();
}

inline void TcpRelay::release_and_reset() {
  int& to = holds_ == End::dialler ? target_ : dialler_;
  for (std::size_t at = 0; at < held_.size();) {
    const ssize_t sent = ::send(to, held_.data() + at, held_.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent <= 0) break;
    at += static_cast<std::size_t>(sent);
  }
  if (to >= 0) reset_tcp(std::exchange(to, -1));
  close();
}

}  // namespace fovea::test

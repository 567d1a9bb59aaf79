#include "federation/io/inbound_guard.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

namespace fovea::federation::io {
namespace {

// Tells a socket from a later one with the same descriptor. Zero: it is closed.
std::uint64_t cookie_of(int descriptor) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  return ::getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

struct Inbound {
  std::uint64_t bytes_read = 0;  // by libzmq
  std::chrono::milliseconds silence{};
};

std::optional<Inbound> inbound_of(int descriptor) {
  tcp_info info{};
  socklen_t size = sizeof info;
  int waiting = 0;  // in the kernel still, whose own buffer bounds them
  if (::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  if (::ioctl(descriptor, FIONREAD, &waiting) != 0) return std::nullopt;
  const std::uint64_t received = info.tcpi_bytes_received;
  return Inbound{received - std::min<std::uint64_t>(received, static_cast<std::uint64_t>(std::max(waiting, 0))),
                 std::chrono::milliseconds(info.tcpi_last_data_recv)};
}

// Whether it is a connection to this port of ours.
bool is_connection_to(int port, int descriptor) {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&own), &size) != 0) return false;
  sockaddr_storage peer{};
  socklen_t peer_size = sizeof peer;
  if (::getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0) return false;
  const in_port_t bound = own.ss_family == AF_INET    ? reinterpret_cast<const sockaddr_in*>(&own)->sin_port
                          : own.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(&own)->sin6_port
                                                      : in_port_t{0};
  return ntohs(bound) == port;
}

// A frame as CURVE and ZMTP 3 put it on the wire: "\x07MESSAGE", a nonce, the box with one byte of flags; a header.
std::uint64_t wire_bytes(std::size_t frame) {
  const std::uint64_t body = frame + 8 + 8 + 16 + 1;
  return body + (body > 255 ? 9U : 2U);
}

}  // namespace

void InboundGuard::start_watching() {
  if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
  changed_.notify_one();
}

void InboundGuard::opened(int descriptor) {
  const std::uint64_t cookie = cookie_of(descriptor);
  if (cookie == 0) return;
  const std::lock_guard lock(mutex_);
  const auto [entry, is_new] = connections_.try_emplace(descriptor);
  if (is_new || entry->second.cut) ++open_;
  entry->second = Connection{.cookie = cookie, .order = ++opened_count_};
  if (share_ && open_ > share_->connections_max) thin_out();
  start_watching();
}

void InboundGuard::closed(int descriptor) {
  const std::lock_guard lock(mutex_);
  const auto found = connections_.find(descriptor);
  if (found == connections_.end()) return;
  if (!found->second.cut) --open_;
  connections_.erase(found);
}

void InboundGuard::closed_all() {
  const std::lock_guard lock(mutex_);
  connections_.clear();
  open_ = 0;
}

bool InboundGuard::delivered(const zmq::message_t& frame) {
  const int descriptor = ::zmq_msg_get(frame.handle(), ZMQ_SRCFD);  // -1: of no connection
  const std::lock_guard lock(mutex_);
  const auto found = connections_.find(descriptor);
  if (found == connections_.end()) return false;
  found->second.delivered += wire_bytes(frame.size());
  return true;
}

std::uint64_t InboundGuard::bytes_arrived(int descriptor) {
  const std::lock_guard lock(mutex_);
  const auto inbound = is_open(descriptor) ? inbound_of(descriptor) : std::nullopt;
  return inbound ? inbound->bytes_read : 0;
}

std::optional<std::chrono::milliseconds> InboundGuard::silence(int descriptor) {
  const std::lock_guard lock(mutex_);
  const auto inbound = is_open(descriptor) ? inbound_of(descriptor) : std::nullopt;
  return inbound ? std::optional(inbound->silence) : std::nullopt;
}

bool InboundGuard::is_open(int descriptor) const {
  const auto found = connections_.find(descriptor);
  return found != connections_.end() && !found->second.cut && cookie_of(descriptor) == found->second.cookie;
}

void InboundGuard::keep_descriptors(const DescriptorShare& share) {
  const std::lock_guard lock(mutex_);
  share_ = share;
  start_watching();
}

void InboundGuard::watch(const std::stop_token& stop) {
  using Clock = std::chrono::steady_clock;
  std::unique_lock lock(mutex_);
  Clock::time_point next_look{};
  while (!stop.stop_requested()) {
    if (!changed_.wait(lock, stop, [this] { return share_ || !connections_.empty(); })) return;
    constexpr std::chrono::milliseconds kPause{10};
    constexpr std::chrono::milliseconds kCrowdedPause{1};  // libzmq accepts some dozens in it
    const bool crowded = share_ && free_kept_descriptors();
    if (const auto now = Clock::now(); now >= next_look) {
      look();
      // Each look costs two system calls a connection; more of them share libzmq's one thread anyway.
      next_look = now + kPause + std::chrono::milliseconds(connections_.size() / 4);
    }
    changed_.wait_for(lock, stop, crowded ? kCrowdedPause : kPause, [] { return false; });
  }
}

void InboundGuard::look() {
  std::uint64_t all = 0;
  std::uint64_t most = 0;
  int heaviest = -1;
  for (auto& [descriptor, connection] : connections_) {
    const auto inbound = connection.cut ? std::nullopt : inbound_of(descriptor);
    if (!inbound) continue;
    const std::uint64_t held = inbound->bytes_read - std::min(inbound->bytes_read, connection.delivered);
    if (held > limits_.peer_bytes_max) {
      if (cut(descriptor, connection)) ++cuts_;
      continue;
    }
    if (inbound->silence > limits_.silence_max) {
      if (cut(descriptor, connection)) ++silent_;
      continue;
    }
    all += held;
    if (held <= most) continue;
    most = held;
    heaviest = descriptor;
  }
  if (all > limits_.all_bytes_max && heaviest >= 0 && cut(heaviest, connections_.at(heaviest))) ++cuts_;
}

// A site is heard as soon as its handshake is over, so that what has said nothing for longest is a stranger's or lost.
// Several at once: to look for the oldest costs time for each connection.
void InboundGuard::thin_out() {
  std::vector<std::map<int, Connection>::iterator> unheard;
  for (auto entry = connections_.begin(); entry != connections_.end(); ++entry)
    if (!entry->second.cut && entry->second.delivered == 0) unheard.push_back(entry);
  const std::size_t count = std::min(unheard.size(), open_ - share_->connections_max + share_->connections_max / 16);
  const auto last = unheard.begin() + static_cast<std::ptrdiff_t>(count);
  std::nth_element(unheard.begin(), last, unheard.end(),
                   [](const auto& a, const auto& b) { return a->second.order < b->second.order; });
  for (auto entry = unheard.begin(); entry != last; ++entry)
    if (cut((*entry)->first, (*entry)->second)) ++crowd_;
}

// A program that is busy learns of connections late, and meanwhile they would take what it needs for its files. Whether
// many descriptors are taken.
bool InboundGuard::free_kept_descriptors() {
  const int lowest_free = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  if (lowest_free >= 0) ::close(lowest_free);
  if (lowest_free >= 0 && lowest_free < share_->first_kept) return lowest_free > share_->first_kept / 2;
  for (int descriptor = share_->first_kept; descriptor < share_->limit; ++descriptor)
    if (is_connection_to(share_->port, descriptor) && ::shutdown(descriptor, SHUT_RDWR) == 0) ++crowd_;
  return true;
}

// libzmq sees the end of the stream, closes the descriptor and reports it. Between the check of the cookie and the
// shutdown the descriptor could become another connection: that peer would have to connect again, and nothing else.
bool InboundGuard::cut(int descriptor, Connection& connection) {
  if (cookie_of(descriptor) != connection.cookie) return false;
  connection.cut = true;
  --open_;
  ::shutdown(descriptor, SHUT_RDWR);
  return true;
}

}  // namespace fovea::federation::io

#include "node/io/reachability.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "common/descriptor.h"
#include "node/io/zmq_transport.h"

namespace fovea::node::io {

using federation::membership::Endpoint;

namespace {

Result<Descriptor> connect_one(const addrinfo& candidate, std::chrono::milliseconds timeout) {
  Descriptor socket(
      ::socket(candidate.ai_family, candidate.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, candidate.ai_protocol));
  if (!socket) return unavailable("cannot make a socket");
  int error = ::connect(socket.number(), candidate.ai_addr, candidate.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd ready{socket.number(), POLLOUT, 0};
    socklen_t size = sizeof error;
    if (::poll(&ready, 1, static_cast<int>(timeout.count())) != 1) error = ETIMEDOUT;
    else if (::getsockopt(socket.number(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  }
  if (error == 0) return socket;
  return unavailable(std::strerror(error));
}

Result<Descriptor> connect_to(const Endpoint& endpoint, std::chrono::milliseconds timeout) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &found);
      code != 0)
    return not_found("the name " + endpoint.host + " does not resolve: " + ::gai_strerror(code) +
                     "; check coordinator.host and this machine's DNS");
  Result<Descriptor> outcome = unavailable("no address");
  for (const addrinfo* candidate = found; candidate != nullptr; candidate = candidate->ai_next) {
    outcome = connect_one(*candidate, timeout);
    if (outcome) break;
  }
  ::freeaddrinfo(found);
  return outcome;
}

// The first bytes that the other end sends, at most `size`; empty: it closed before it sent any.
Result<std::string> first_bytes(const Descriptor& socket, std::size_t size, std::chrono::milliseconds timeout) {
  std::string out(size, '\0');
  pollfd ready{socket.number(), POLLIN, 0};
  if (::poll(&ready, 1, static_cast<int>(timeout.count())) != 1) return deadline_exceeded("says nothing");
  const ssize_t got = ::recv(socket.number(), out.data(), out.size(), 0);
  out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return out;
}

}  // namespace

Result<Endpoint> coordinator_endpoint(const NodeConfig& config, const federation::membership::Invite& invite) {
  FOVEA_TRY_ASSIGN(Endpoint out, Endpoint::parse(invite.endpoint));
  if (config.coordinator_host) out.host = *config.coordinator_host;
  if (config.coordinator_port) out.port = *config.coordinator_port;
  return out;
}

Result<void> try_tcp(const Endpoint& endpoint, std::chrono::milliseconds timeout) {
  const auto outcome = connect_to(endpoint, timeout);
  if (!outcome && outcome.error().code == ErrorCode::not_found) return outcome.error();
  if (!outcome)
    return unavailable("cannot reach " + endpoint.text() + ": " + outcome.error().message +
                       "; is the coordinator running, and does the firewall let this machine out to that port?");
  return {};
}

Error no_handshake(const Endpoint& endpoint, std::chrono::milliseconds timeout) {
  const std::string who = "what answers at " + endpoint.text();
  constexpr std::string_view kGreeting("\xff\0\0\0\0\0\0\0\x01\x7f", 10);  // of ZMTP 3, the signature
  const auto socket = connect_to(endpoint, timeout);
  if (!socket) return unavailable(who + " took no second connection: is the coordinator being stopped?");
  const auto greeting = first_bytes(*socket, kGreeting.size(), timeout);
  if (!greeting || greeting->empty())
    return unavailable(who + (greeting ? " closes the connection" : " says nothing") +
                       " before it has said who it is: a firewall, a proxy or a tunnel on the way, or a coordinator "
                       "that is too busy; no key was seen, so that nothing is wrong with the invite. Ask whoever runs "
                       "the network here, and whether the coordinator runs");
  if (*greeting != kGreeting.substr(0, greeting->size()))
    return unavailable(who + " is no coordinator of Fovea (a web server, or a proxy that answers itself?): check " +
                       "coordinator.host and coordinator.port");
  return corruption(who + " does not hold the key of the invite; check the address, or ask for a new invite");
}

std::string refused_text(std::optional<EpochNumber> listed, std::optional<EpochNumber> removed_by) {
  if (!listed && !removed_by)
    return "this site is not on the roster yet: send join-request.json to the federation's administrators and ask them "
           "to sign it (fovea-coordinator sign)";
  const std::string what =
      removed_by ? "this site was taken off the roster, in epoch " + std::to_string(*removed_by)
                 : "this site is on the roster of epoch " + std::to_string(*listed) +
                       ", the newest that it has, and was taken off since, or the coordinator shuts it out";
  return what +
         ": ask the federation's administrators by telephone; to come back in, have them sign join-request.json again. "
         "No restart is needed, but a run that has made sums meanwhile goes on without this site";
}

Result<void> try_curve(const CurveTrial& trial, const federation::membership::Invite& invite, const SiteKeys& keys) {
  const auto& [endpoint, timeout, listed] = trial;
  FOVEA_TRY_ASSIGN(auto transport,
                   ZmqTransport::connect({.endpoint = endpoint, .coordinator_key = invite.coordinator_transport_key},
                                         keys.transport));
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (std::chrono::steady_clock::now() < deadline) {
    FOVEA_TRY(transport->wait(std::chrono::milliseconds(50), {}));
    switch (transport->state()) {
      case ConnectionState::connected: return {};
      case ConnectionState::refused:
        return permission_denied("the coordinator refused this site's key: " + refused_text(listed));
      case ConnectionState::wrong_peer: {
        FOVEA_TRY_ASSIGN(const Endpoint dialled, Endpoint::parse(endpoint));
        return no_handshake(dialled, timeout);
      }
      case ConnectionState::connecting: break;
    }
  }
  return deadline_exceeded("no answer from " + endpoint + " within " + std::to_string(timeout.count() / 1000) + " s");
}

}  // namespace fovea::node::io

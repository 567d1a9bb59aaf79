#include "federation/io/curve_socket.h"

#include <cstring>

namespace fovea::federation::io {
namespace {

int ms(std::chrono::milliseconds value) { return static_cast<int>(value.count()); }

std::optional<ConnectionEvent> translate(std::uint16_t event) {
  switch (event) {
    case ZMQ_EVENT_CONNECTED: return ConnectionEvent::connected;
    case ZMQ_EVENT_ACCEPTED: return ConnectionEvent::accepted;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: return ConnectionEvent::ready;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: return ConnectionEvent::refused;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL: return ConnectionEvent::protocol_error;
    case ZMQ_EVENT_DISCONNECTED: return ConnectionEvent::lost;
    case ZMQ_EVENT_CONNECT_RETRIED: return ConnectionEvent::retrying;
    default: return std::nullopt;
  }
}

void release_payload(void*, void* owner) { delete static_cast<std::shared_ptr<const Bytes>*>(owner); }

constexpr int kWatchedEvents = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                               ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_DISCONNECTED |
                               ZMQ_EVENT_CONNECT_RETRIED;

}  // namespace

void set_limits(zmq::socket_t& socket) {
  socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(kMessageBytesMax + kCurveOverheadMax));
  socket.set(zmq::sockopt::sndhwm, kQueuedMessagesMax);
  socket.set(zmq::sockopt::rcvhwm, 0);
  socket.set(zmq::sockopt::handshake_ivl, ms(kHandshakeMax));
  socket.set(zmq::sockopt::heartbeat_ivl, 0);
  socket.set(zmq::sockopt::tcp_keepalive, 1);
  socket.set(zmq::sockopt::tcp_keepalive_idle, static_cast<int>(kKeepaliveEvery.count()));
  socket.set(zmq::sockopt::tcp_keepalive_intvl, static_cast<int>(kKeepaliveEvery.count()));
  socket.set(zmq::sockopt::tcp_keepalive_cnt, static_cast<int>(kUnreachableMax / kKeepaliveEvery) - 1);
  // No TCP_USER_TIMEOUT (tcp_maxrt): it also ends a connection through a tunnel that is slow to pass a sum on, whose
  // window is shut meanwhile. Who does not answer is silent, and the guard ends that.
  socket.set(zmq::sockopt::linger, ms(kLinger));
  socket.set(zmq::sockopt::connect_timeout, ms(kConnectMax));
  socket.set(zmq::sockopt::reconnect_ivl, ms(kReconnectMin));
  socket.set(zmq::sockopt::reconnect_ivl_max, ms(kReconnectMax));
  socket.set(zmq::sockopt::backlog, kBacklogMax);
  socket.set(zmq::sockopt::immediate, true);
  socket.set(zmq::sockopt::ipv6, true);
}

void set_curve_server(zmq::socket_t& socket, const crypto::AgreementKey& own) {
  socket.set(zmq::sockopt::curve_server, true);
  socket.set(zmq::sockopt::curve_secretkey,
             zmq::const_buffer(own.private_key().view().data(), own.private_key().view().size()));
  // An empty domain would let libzmq skip the handler; enforcing it refuses all when the handler is gone.
  socket.set(zmq::sockopt::zap_domain, std::string(kZapDomain));
  constexpr int kZapEnforceDomain = 93;  // zmq.h 4.3.4 names it in its draft part only; the library has it
  const int enforce = 1;
  if (zmq_setsockopt(socket.handle(), kZapEnforceDomain, &enforce, sizeof enforce) != 0) throw zmq::error_t();
}

void set_curve_client(zmq::socket_t& socket, const crypto::AgreementKey& own, const CurvePublicKey& server) {
  socket.set(zmq::sockopt::curve_serverkey, zmq::const_buffer(server.data(), server.size()));
  socket.set(zmq::sockopt::curve_publickey, zmq::const_buffer(own.public_key().data(), own.public_key().size()));
  socket.set(zmq::sockopt::curve_secretkey,
             zmq::const_buffer(own.private_key().view().data(), own.private_key().view().size()));
}

zmq::message_t message_of(const std::shared_ptr<const Bytes>& payload) {
  auto owner = std::make_unique<std::shared_ptr<const Bytes>>(payload);
  // libzmq never writes to a message it sends.
  zmq::message_t out(const_cast<std::uint8_t*>(payload->data()), payload->size(), release_payload, owner.get());
  owner.release();
  return out;
}

Error zmq_failure(const zmq::error_t& error, const std::string& action) {
  const std::string message = action + ": " + error.what();
  if (error.num() == EADDRINUSE)
    return unavailable(message + "; another program listens there: stop it or choose another port");
  if (error.num() == EADDRNOTAVAIL || error.num() == ENODEV)
    return invalid_argument(message + "; this machine does not have that address");
  if (error.num() == EINVAL || error.num() == EPROTONOSUPPORT)
    return invalid_argument(message + "; write it as tcp://host:port");
  if (error.num() == EACCES) return permission_denied(message + "; ports below 1024 need a privilege");
  return unavailable(message);
}

ConnectionMonitor::ConnectionMonitor(zmq::context_t& context, zmq::socket_t& watched, const std::string& name)
    : watched_(watched.handle()), pair_(context, zmq::socket_type::pair) {
  const std::string address = "inproc://" + name;
  if (zmq_socket_monitor(watched.handle(), address.c_str(), kWatchedEvents) != 0) throw zmq::error_t();
  pair_.set(zmq::sockopt::linger, 0);
  // libzmq sends events blocking, from its I/O thread: a queue that is full of strangers' connections must not stop it.
  pair_.set(zmq::sockopt::rcvhwm, 0);
  pair_.connect(address);
}

// libzmq sends events blocking, from its I/O thread: with our end closed first, the next event would stop that thread,
// and with it every connection of the process.
ConnectionMonitor::~ConnectionMonitor() { zmq_socket_monitor(watched_, nullptr, 0); }

std::optional<ConnectionEvent> ConnectionMonitor::next() {
  while (true) {
    zmq::message_t event;
    if (!pair_.recv(event, zmq::recv_flags::dontwait)) return std::nullopt;
    zmq::message_t address;
    if (event.more() && !pair_.recv(address, zmq::recv_flags::dontwait)) return std::nullopt;
    std::uint16_t number = 0;
    if (event.size() < sizeof number) continue;
    std::memcpy(&number, event.data(), sizeof number);  // libzmq writes it in host order
    std::int32_t value = -1;
    if (event.size() >= sizeof number + sizeof value)
      std::memcpy(&value, event.data<std::uint8_t>() + sizeof number, sizeof value);
    descriptor_ = value;
    if (const auto translated = translate(number)) return translated;
  }
}

}  // namespace fovea::federation::io

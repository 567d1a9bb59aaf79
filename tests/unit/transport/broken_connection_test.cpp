// Failure class: a connection that breaks at the worst moment ends the program at the other end. libzmq 4.3.4 aborts
// the process when it has something to write on a connection that broke while the queue to the program was full.
#include "tests/support/tcp_relay.h"
#include "tests/unit/transport/transport_fixture.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace fovea::test {
namespace {

int port_of(const std::string& endpoint) { return std::stoi(endpoint.substr(endpoint.rfind(':') + 1)); }

// libzmq's one thread has seen all that came before: it greets a new connection.
void wait_for_io_thread(int port) {
  const int stranger = dial_tcp(port);
  ASSERT_GE(stranger, 0);
  std::array<char, 10> greeting{};
  EXPECT_EQ(::recv(stranger, greeting.data(), greeting.size(), MSG_WAITALL), static_cast<ssize_t>(greeting.size()));
  ::close(stranger);
}

// Each is a frame of 36 bytes on the wire, so that libzmq reads all of them, and the ping behind them, at once.
constexpr std::size_t kMessages = 100;
constexpr std::size_t kWireBytes = 36;

void set_pings(zmq::socket_t& socket) {
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::sndhwm, 0);
  socket.set(zmq::sockopt::heartbeat_ivl, 20);
  socket.set(zmq::sockopt::heartbeat_timeout, 60'000);
}

TEST(Sockets, NoHeartbeatOfLibzmqIsEverDue) {
  zmq::context_t context(1);
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  federation::io::set_limits(socket);
  EXPECT_EQ(socket.get(zmq::sockopt::heartbeat_ivl), 0);
}

// A ping waits behind what the program has not read yet: libzmq would answer it when the program has read on.
TEST_F(TransportTest, ASiteWhoseConnectionBreaksWithAPingInAFullQueueDoesNotEndTheCoordinator) {
  TcpRelay relay(port_of(server_->endpoint()));
  zmq::context_t context(1);
  zmq::socket_t rogue(context, zmq::socket_type::dealer);
  set_pings(rogue);
  federation::io::set_curve_client(rogue, berta_, server_key_.public_key());
  federation::io::ConnectionMonitor monitor(context, rogue, "pings");
  rogue.connect("tcp://127.0.0.1:" + std::to_string(relay.port()));
  bool ready = false;
  ASSERT_TRUE(pump({}, [&] {
    relay.step();
    while (const auto event = monitor.next()) ready = ready || *event == federation::io::ConnectionEvent::ready;
    return ready;
  }));
  relay.hold();
  for (std::size_t i = 0; i < kMessages; ++i) rogue.send(zmq::message_t(1), zmq::send_flags::none);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (relay.held() <= (kMessages + 1) * kWireBytes && std::chrono::steady_clock::now() < deadline) relay.step();
  ASSERT_GT(relay.held(), kMessages * kWireBytes);
  relay.release_and_reset();
  wait_for_io_thread(port_of(server_->endpoint()));
  EXPECT_TRUE(pump({}, [&] { return inbox_.size() == kMessages; }));
  const auto anna = dial(anna_);
  ASSERT_TRUE(connect(*anna));
  EXPECT_TRUE(say(*anna, bytes_of("still here")));
}

}  // namespace
}  // namespace fovea::test

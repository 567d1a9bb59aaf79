// Failure class: a coordinator that is there is not reached, or the reason that is given is not the true one.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <thread>

#include "common/descriptor.h"
#include "coordinator/io/listen_address.h"
#include "federation/membership/endpoint.h"
#include "node/io/reachability.h"
#include "tests/unit/transport/transport_fixture.h"

namespace fovea::test {
namespace {

using federation::membership::Endpoint;

// A port of 127.0.0.1 that answers with `words` and hangs up, or takes connections and says nothing.
class Listener {
 public:
  explicit Listener(int backlog) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(socket_.number(), reinterpret_cast<sockaddr*>(&address_), sizeof address_), 0);
    socklen_t size = sizeof address_;
    EXPECT_EQ(::getsockname(socket_.number(), reinterpret_cast<sockaddr*>(&address_), &size), 0);
    EXPECT_EQ(::listen(socket_.number(), backlog), 0);
  }
  Endpoint endpoint() const { return {"127.0.0.1", ntohs(address_.sin_port)}; }
  std::jthread answer_once(std::string words) const {
    return std::jthread([this, words = std::move(words)] {
      const Descriptor peer(::accept4(socket_.number(), nullptr, nullptr, SOCK_CLOEXEC));
      static_cast<void>(::send(peer.number(), words.data(), words.size(), MSG_NOSIGNAL));
    });
  }
  // From here on the kernel drops whoever asks, as in a network that is gone.
  void fill() {
    for (Descriptor& each : waiting_) {
      each = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      static_cast<void>(::connect(each.number(), reinterpret_cast<sockaddr*>(&address_), sizeof address_));
    }
  }

 private:
  Descriptor socket_, waiting_[4];
  sockaddr_in address_{};
};

TEST_F(TransportTest, AProxyThatClosesIsNotCalledAnotherKey) {
  constexpr milliseconds kLong{10'000};
  const Listener port(8);
  const auto expect = [](const Error& error, ErrorCode code, const std::string& part) {
    EXPECT_EQ(error.code, code) << error.message;
    EXPECT_NE(error.message.find(part), std::string::npos) << error.message;
    EXPECT_EQ(error.message.find("does not hold the key") != std::string::npos, code == ErrorCode::corruption);
  };
  {
    const std::jthread answers = port.answer_once("");
    expect(node::io::no_handshake(port.endpoint(), kLong), ErrorCode::unavailable, "closes the connection");
  }
  {
    const std::jthread answers = port.answer_once("HTTP/1.1 400 Bad Request\r\n");
    expect(node::io::no_handshake(port.endpoint(), kLong), ErrorCode::unavailable, "is no coordinator");
  }
  expect(node::io::no_handshake(port.endpoint(), milliseconds(50)), ErrorCode::unavailable, "says nothing");
  expect(node::io::no_handshake(Endpoint::parse(server_->endpoint()).value(), kLong), ErrorCode::corruption,
         "does not hold the key of the invite");
}

// The kernel itself asks again after ever longer pauses, a minute after six minutes without a network.
TEST(Reconnecting, AnAttemptThatNobodyAnswersIsGivenUpAndMadeAgain) {
  Listener gone(0);
  gone.fill();
  zmq::context_t context(1);
  zmq::socket_t dealer(context, zmq::socket_type::dealer);
  federation::io::set_limits(dealer);
  dealer.set(zmq::sockopt::linger, 0);
  federation::io::ConnectionMonitor monitor(context, dealer, "gone");
  dealer.connect(gone.endpoint().text());
  const auto deadline = std::chrono::steady_clock::now() + 3 * federation::io::kConnectMax;
  bool again = false;
  while (!again && std::chrono::steady_clock::now() < deadline) {
    zmq::pollitem_t items[] = {{monitor.socket().handle(), 0, ZMQ_POLLIN, 0}};
    zmq::poll(items, 1, milliseconds(100));
    while (const auto event = monitor.next()) again = again || *event == federation::io::ConnectionEvent::retrying;
  }
  EXPECT_TRUE(again);
  // The last SYN of an attempt, the pause after it and a handshake are within five seconds of the network's return.
  EXPECT_LE(federation::io::kConnectMax + federation::io::kReconnectMax, milliseconds(4'000));
}

TEST_F(TransportTest, AnAddressThatIsNotReachedGivesWayToAnotherOfTheName) {
  std::string nobody;
  {
    const Listener closed(1);
    nobody = closed.endpoint().text();
  }
  const std::vector<std::string> addresses = {nobody, server_->endpoint()};
  auto site = ZmqTransport::connect({.endpoint = nobody,
                                     .coordinator_key = server_key_.public_key(),
                                     .resolve = [addresses] { return addresses; }},
                                    anna_)
                  .value();
  EXPECT_TRUE(connect(*site));
}

TEST_F(TransportTest, TheAddressToListenOnMayBeANameAndNothingElseIsTaken) {
  const auto local = coordinator::io::listen_endpoint("localhost", 0);
  ASSERT_TRUE(local.has_value()) << local.error().message;
  EXPECT_TRUE(*local == "tcp://127.0.0.1:0" || *local == "tcp://[::1]:0") << *local;
  const auto started = ZmqServer::start({.endpoint = *local}, server_key_, [](const auto&) { return std::nullopt; });
  EXPECT_TRUE(started.has_value()) << started.error().message;
  for (const auto& [host, endpoint] :
       {std::pair("0.0.0.0", "tcp://0.0.0.0:7443"), std::pair("::1", "tcp://[::1]:7443"),
        std::pair("[::1]", "tcp://[::1]:7443"), std::pair("*", "tcp://*:7443"), std::pair("lo", "tcp://lo:7443")})
    EXPECT_EQ(coordinator::io::listen_endpoint(host, 7443).value(), endpoint);
  const auto refused = coordinator::io::listen_endpoint("no such host", 7443);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  for (const char* part : {"listen.host", "no such host", "0.0.0.0", "127.0.0.1"})
    EXPECT_NE(refused.error().message.find(part), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace fovea::test

// Failure class: a connection that breaks at the worst moment ends the program at the other end. libzmq 4.3.4 aborts
// the process when it has something to write on a connection that broke while the queue to the program was full.
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "federation/membership/endpoint.h"
#include "tests/support/tcp_relay.h"
#include "tests/unit/transport/transport_fixture.h"

namespace fovea::test {
namespace {

using federation::io::ConnectionEvent;

int port_of(const std::string& endpoint) { return federation::membership::Endpoint::parse(endpoint).value().port; }
std::string loopback_endpoint(int port) { return "tcp://127.0.0.1:" + std::to_string(port); }

// Each is a frame of 36 bytes on the wire, so that libzmq reads all of them, and the ping behind them, at once.
constexpr std::size_t kMessages = 100;
constexpr std::size_t kWireBytes = 36;

// A peer of libzmq's own making, which pings.
class Pinging {
 public:
  Pinging(zmq::socket_type type, const std::string& name) : socket_(context_, type) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::sndhwm, 0);
    socket_.set(zmq::sockopt::heartbeat_ivl, 20);
    socket_.set(zmq::sockopt::heartbeat_timeout, 60'000);
    monitor_.emplace(context_, socket_, name);
  }
  zmq::socket_t& socket() { return socket_; }
  bool is_ready() {
    while (const auto event = monitor_->next()) ready_ = ready_ || *event == ConnectionEvent::ready;
    return ready_;
  }

 private:
  zmq::context_t context_{1};
  zmq::socket_t socket_;
  std::optional<federation::io::ConnectionMonitor> monitor_;
  bool ready_ = false;
};

// The messages that were sent and a ping behind them.
bool hold_ping(TcpRelay& relay) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (relay.held() <= (kMessages + 1) * kWireBytes && std::chrono::steady_clock::now() < deadline) relay.step();
  return relay.held() > (kMessages + 1) * kWireBytes;
}

TEST(Sockets, NoHeartbeatOfLibzmqIsEverDueAndNoQueueToTheProgramIsFull) {
  zmq::context_t context(1);
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  federation::io::set_limits(socket);
  EXPECT_EQ(socket.get(zmq::sockopt::heartbeat_ivl), 0);
  EXPECT_EQ(socket.get(zmq::sockopt::rcvhwm), 0);
  EXPECT_EQ(socket.get(zmq::sockopt::tcp_keepalive), 1);
}

// A ping waits behind what the program has not read yet: libzmq would answer it when the program has read on.
TEST_F(TransportTest, ASiteWhoseConnectionBreaksWithAPingInAFullQueueDoesNotEndTheCoordinator) {
  const int port = port_of(server_->endpoint());
  TcpRelay relay(port);
  Pinging rogue(zmq::socket_type::dealer, "pinging-site");
  federation::io::set_curve_client(rogue.socket(), berta_, server_key_.public_key());
  rogue.socket().connect(loopback_endpoint(relay.port()));
  ASSERT_TRUE(pump({}, [&] {
    relay.step();
    return rogue.is_ready();
  }));
  relay.hold(TcpRelay::End::dialler);
  for (std::size_t i = 0; i < kMessages; ++i) rogue.socket().send(zmq::message_t(1), zmq::send_flags::none);
  ASSERT_TRUE(hold_ping(relay));
  relay.release_and_reset();
  // libzmq's one thread has seen all of that when it greets the next connection.
  const int stranger = dial_tcp(port);
  std::array<char, 10> greeting{};
  EXPECT_EQ(::recv(stranger, greeting.data(), greeting.size(), MSG_WAITALL), static_cast<ssize_t>(greeting.size()));
  ::close(stranger);
  EXPECT_TRUE(pump({}, [&] { return inbox_.size() == kMessages; }));
  const auto anna = dial(anna_);
  ASSERT_TRUE(connect(*anna));
  EXPECT_TRUE(say(*anna, bytes_of("still here")));
}

TEST_F(TransportTest, ACoordinatorWhoseConnectionBreaksWithAPingInAFullQueueDoesNotEndAHospital) {
  Pinging rogue(zmq::socket_type::router, "pinging-coordinator");
  rogue.socket().set(zmq::sockopt::curve_server, true);
  rogue.socket().set(zmq::sockopt::curve_secretkey, zmq::const_buffer(server_key_.private_key().view().data(),
                                                                      server_key_.private_key().view().size()));
  rogue.socket().bind("tcp://127.0.0.1:0");
  TcpRelay relay(port_of(rogue.socket().get(zmq::sockopt::last_endpoint)));
  const auto site = ZmqTransport::connect(
      {.endpoint = loopback_endpoint(relay.port()), .coordinator_key = server_key_.public_key()}, anna_);
  ASSERT_TRUE(site.has_value());
  const auto play = [&](const auto& done) {
    return pump({site->get()}, [&] {
      relay.step();
      return done();
    });
  };
  ASSERT_TRUE(play([&] { return (*site)->state() == ConnectionState::connected; }));
  ASSERT_TRUE((*site)->send(bytes_of("hello")).has_value());
  zmq::message_t address;
  ASSERT_TRUE(play([&] { return rogue.socket().recv(address, zmq::recv_flags::dontwait).has_value(); }));
  relay.hold(TcpRelay::End::target);
  for (std::size_t i = 0; i < kMessages; ++i) {
    rogue.socket().send(zmq::message_t(address.data(), address.size()), zmq::send_flags::sndmore);
    rogue.socket().send(zmq::message_t(1), zmq::send_flags::none);
  }
  ASSERT_TRUE(hold_ping(relay));
  relay.release_and_reset();
  // The program reads nothing until its connection is lost and dialled again, or for as long as libzmq may need to see
  // what became of it.
  const auto until = std::chrono::steady_clock::now() + milliseconds(300);
  ASSERT_TRUE(play([&] { return (*site)->connection_count() > 1 || std::chrono::steady_clock::now() > until; }));
  while ((*site)->receive()) {
  }
  EXPECT_TRUE(play([&] { return (*site)->connection_count() > 1; }));
}

// ---- our own ping

constexpr milliseconds kBeat{20};
constexpr milliseconds kSilence{400};

class BeatTest : public TransportTest {
 protected:
  void serve(milliseconds beat_every) {
    auto started =
        ZmqServer::start({.endpoint = "tcp://127.0.0.1:0", .beat_every = beat_every, .silence_max = kSilence},
                         server_key_, [this](const federation::io::CurvePublicKey& key) {
                           const auto found = roster_.find(key);
                           return found == roster_.end() ? std::nullopt : std::optional<SiteId>(found->second);
                         });
    ASSERT_TRUE(started.has_value());
    server_ = std::move(started).value();
  }
  std::unique_ptr<ZmqTransport> dial_with(milliseconds beat_every, const crypto::AgreementKey& key) {
    return ZmqTransport::connect({.endpoint = server_->endpoint(),
                                  .coordinator_key = server_key_.public_key(),
                                  .beat_every = beat_every,
                                  .silence_max = kSilence},
                                 key)
        .value();
  }
};

// Neither has anything to say, for several times as long as silence is borne.
TEST_F(BeatTest, IdleEndsThatAreThereStayConnected) {
  serve(kBeat);
  const auto anna = dial_with(kBeat, anna_);
  ASSERT_TRUE(connect(*anna));
  ASSERT_TRUE(say(*anna, bytes_of("hello")));
  const auto until = std::chrono::steady_clock::now() + 3 * kSilence;
  ASSERT_TRUE(pump({anna.get()}, [&] {
    EXPECT_FALSE(anna->receive().has_value());  // a beat is no message
    return std::chrono::steady_clock::now() > until;
  }));
  EXPECT_EQ(inbox_.size(), 1U);
  EXPECT_EQ(anna->connection_count(), 1U);
  EXPECT_EQ(server_->silent_count() + anna->silent_count(), 0U);
}

// Its kernel still answers, as that of a program that hangs would.
TEST_F(BeatTest, ASiteThatSaysNothingIsClosedAndMayDialAgain) {
  serve(kBeat);
  const auto anna = dial_with(std::chrono::hours(1), anna_);
  ASSERT_TRUE(connect(*anna));
  ASSERT_TRUE(say(*anna, bytes_of("hello")));
  EXPECT_TRUE(pump({anna.get()}, [&] { return server_->silent_count() > 0 && anna->connection_count() > 1; }));
  EXPECT_EQ(anna->silent_count(), 0U);
  EXPECT_TRUE(say(*anna, bytes_of("again")));
}

TEST_F(BeatTest, ACoordinatorThatSaysNothingIsDialledAgain) {
  serve(std::chrono::hours(1));
  const auto anna = dial_with(kBeat, anna_);
  ASSERT_TRUE(connect(*anna));
  ASSERT_TRUE(say(*anna, bytes_of("hello")));
  EXPECT_TRUE(pump({anna.get()}, [&] { return anna->silent_count() > 0 && anna->connection_count() > 1; }));
  EXPECT_EQ(server_->silent_count(), 0U);
}

TEST_F(BeatTest, ASecondProcessTakesOverWhenTheFirstIsSilent) {
  serve(kBeat);
  const auto hanging = dial_with(std::chrono::hours(1), anna_);
  ASSERT_TRUE(connect(*hanging));
  ASSERT_TRUE(say(*hanging, bytes_of("first")));
  ASSERT_TRUE(server_->open_session(inbox_[0], boot(1)));
  const auto second = dial_with(kBeat, anna_);
  ASSERT_TRUE(connect(*second));
  ASSERT_TRUE(say(*second, bytes_of("second")));
  EXPECT_FALSE(server_->open_session(inbox_[1], boot(2)));
  EXPECT_TRUE(pump({second.get()}, [&] { return server_->open_session(inbox_[1], boot(2)); }));
}

// ---- the window

using federation::io::ConnectionFlow;
using federation::io::kWindowBytes;

TEST(ConnectionFlow, AWindowIsUnderWayAndNoMoreUntilTheOtherEndHasTakenIt) {
  ConnectionFlow here;
  ConnectionFlow there;
  constexpr std::size_t kSize = federation::io::kMessageBytesMax;
  std::size_t count = 0;
  for (; here.admits(kSize); ++count) here.sent(kSize);
  EXPECT_EQ(count, static_cast<std::size_t>(federation::io::kQueuedMessagesMax));
  EXPECT_FALSE(here.admits(1));
  there.took(kSize);
  EXPECT_TRUE(here.hear(there.beat()));
  EXPECT_TRUE(here.admits(kSize));
}

TEST(ConnectionFlow, ABeatIsDueBeforeTheOtherEndHasToWait) {
  const auto start = ConnectionFlow::Clock::now();
  ConnectionFlow flow(start);
  EXPECT_FALSE(flow.beat_due(start + milliseconds(99), milliseconds(100)));
  EXPECT_TRUE(flow.beat_due(start + milliseconds(100), milliseconds(100)));
  for (int i = 0; i < federation::io::kQueuedMessagesMax / 4; ++i) flow.took(federation::io::kMessageBytesMax);
  EXPECT_TRUE(flow.beat_due(start, milliseconds(100)));
  flow.beat_sent(start);
  EXPECT_FALSE(flow.beat_due(start, milliseconds(100)));
}

TEST(ConnectionFlow, ABeatThatClaimsMoreThanWasSentOpensNoSecondWindow) {
  ConnectionFlow flow;
  ConnectionFlow liar;
  liar.took(std::size_t{1} << 40U);
  EXPECT_TRUE(flow.hear(liar.beat()));
  std::uint64_t under_way = 0;
  for (; flow.admits(1000); under_way += 1000) flow.sent(1000);
  EXPECT_LE(under_way, kWindowBytes);
  EXPECT_TRUE(flow.hear(ConnectionFlow().beat()));  // less than it said before: nothing changes
  EXPECT_FALSE(flow.admits(1000));
}

TEST(ConnectionFlow, OnlyABeatIsOne) {
  ConnectionFlow flow;
  Bytes beat = flow.beat();
  Bytes longer = beat;
  longer.push_back(0);
  EXPECT_FALSE(flow.hear(longer));
  EXPECT_FALSE(flow.hear(ByteView(beat).first(beat.size() - 1)));
  EXPECT_FALSE(flow.hear({}));
  beat[0] ^= 1;
  EXPECT_FALSE(flow.hear(beat));
}

// It has the keys of a member, and libzmq has no limit for it any more.
TEST_F(TransportTest, AMemberThatSendsPastItsWindowIsCutOff) {
  zmq::context_t context(1);
  zmq::socket_t rogue(context, zmq::socket_type::dealer);
  rogue.set(zmq::sockopt::linger, 0);
  rogue.set(zmq::sockopt::sndhwm, 0);
  federation::io::set_curve_client(rogue, berta_, server_key_.public_key());
  federation::io::ConnectionMonitor monitor(context, rogue, "past-its-window");
  rogue.connect(server_->endpoint());
  bool ready = false;
  ASSERT_TRUE(pump({}, [&] {
    while (const auto event = monitor.next()) ready = ready || *event == ConnectionEvent::ready;
    return ready;
  }));
  const zmq::message_t message(federation::io::kMessageBytesMax);
  for (int i = 0; i < 60; ++i) rogue.send(zmq::message_t(message.data(), message.size()), zmq::send_flags::none);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (server_->cut_count() == 0 && std::chrono::steady_clock::now() < deadline)  // the program reads nothing
    zmq::poll(static_cast<zmq::pollitem_t*>(nullptr), 0, milliseconds(1));
  EXPECT_EQ(server_->cut_count(), 1U);
  const auto anna = dial(anna_);
  ASSERT_TRUE(connect(*anna));
  EXPECT_TRUE(say(*anna, bytes_of("still here")));
}

}  // namespace
}  // namespace fovea::test

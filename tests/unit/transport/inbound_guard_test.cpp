// Failure class: a peer that fills the memory of another. libzmq keeps the frames of a message until the last has come.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "federation/io/inbound_guard.h"
#include "tests/unit/transport/transport_fixture.h"

namespace fovea::test {
namespace {

// The frames share one buffer, so that the attacker's own memory stays small.
void send_frames(zmq::socket_t& socket, std::size_t count, std::size_t size) {
  zmq::message_t frame(size);
  for (std::size_t i = 0; i < count; ++i) {
    zmq::message_t copy;
    copy.copy(frame);
    socket.send(copy, i + 1 < count ? zmq::send_flags::sndmore : zmq::send_flags::none);
  }
}

constexpr std::size_t kFrames = 200;
constexpr std::size_t kFrameBytes = federation::io::kMessageBytesMax;  // each of them within the limit

class Rogue {
 public:
  Rogue(zmq::socket_type type, const std::string& name) : socket_(context_, type) {
    socket_.set(zmq::sockopt::linger, 0);
    monitor_.emplace(context_, socket_, name);
  }
  zmq::socket_t& socket() { return socket_; }
  bool was_cut() {
    while (const auto event = monitor_->next()) cut_ = cut_ || *event == federation::io::ConnectionEvent::lost;
    return cut_;
  }

 private:
  zmq::context_t context_{1};
  zmq::socket_t socket_;
  std::optional<federation::io::ConnectionMonitor> monitor_;
  bool cut_ = false;
};

TEST_F(TransportTest, AMessageOfEndlessFramesIsCutOffAndTheOthersGoOn) {
  Rogue rogue(zmq::socket_type::dealer, "endless");
  federation::io::set_curve_client(rogue.socket(), berta_, server_key_.public_key());
  rogue.socket().connect(server_->endpoint());
  send_frames(rogue.socket(), kFrames, kFrameBytes);
  const auto anna = dial(anna_);
  ASSERT_TRUE(pump({anna.get()}, [&] { return rogue.was_cut() && server_->cut_count() > 0; }));
  EXPECT_TRUE(inbox_.empty());
  ASSERT_TRUE(connect(*anna));
  EXPECT_TRUE(say(*anna, bytes_of("still here")));
}

TEST_F(TransportTest, AMessageOfEndlessTinyFramesIsCutOff) {
  Rogue rogue(zmq::socket_type::dealer, "endless-tiny");
  federation::io::set_curve_client(rogue.socket(), berta_, server_key_.public_key());
  rogue.socket().connect(server_->endpoint());
  send_frames(rogue.socket(), 1'000'000, 1);
  EXPECT_TRUE(pump({}, [&] { return rogue.was_cut() && server_->cut_count() > 0; }));
  EXPECT_TRUE(inbox_.empty());
}

// The coordinator is no better: it could fill the memory of every hospital.
TEST_F(TransportTest, ACoordinatorThatSendsEndlessFramesIsCutOffAndDialledAgain) {
  Rogue rogue(zmq::socket_type::router, "endless-coordinator");
  rogue.socket().set(zmq::sockopt::curve_server, true);
  rogue.socket().set(zmq::sockopt::curve_secretkey, zmq::const_buffer(server_key_.private_key().view().data(),
                                                                      server_key_.private_key().view().size()));
  rogue.socket().bind("tcp://127.0.0.1:0");
  auto site = ZmqTransport::connect(
      {.endpoint = rogue.socket().get(zmq::sockopt::last_endpoint), .coordinator_key = server_key_.public_key()},
      anna_);
  ASSERT_TRUE(site.has_value());
  ASSERT_TRUE(connect(**site));
  ASSERT_TRUE((*site)->send(bytes_of("hello")).has_value());
  zmq::message_t address;
  ASSERT_TRUE(pump({site->get()}, [&] { return rogue.socket().recv(address, zmq::recv_flags::dontwait).has_value(); }));
  rogue.socket().send(address, zmq::send_flags::sndmore);
  send_frames(rogue.socket(), kFrames, kFrameBytes);
  ASSERT_TRUE(pump({site->get()}, [&] { return (*site)->cut_count() > 0 && (*site)->connection_count() > 1; }));
  EXPECT_FALSE((*site)->receive().has_value());
}

// A loopback connection whose bytes the test reads as libzmq would, and hands to nobody.
class Connection {
 public:
  Connection() {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener, 1), 0);
    EXPECT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
    peer_ = ::socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(::connect(peer_, reinterpret_cast<const sockaddr*>(&address), size), 0);
    own_ = ::accept(listener, nullptr, nullptr);
    ::close(listener);
    port_ = ntohs(address.sin_port);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    ::close(peer_);
    ::close(own_);
  }
  int descriptor() const { return own_; }
  int port() const { return port_; }
  void hold(std::size_t bytes) const {
    const std::vector<char> sent(1'000);
    std::vector<char> taken(1'000);
    for (; bytes > 0; bytes -= sent.size()) {
      ASSERT_EQ(::send(peer_, sent.data(), sent.size(), MSG_NOSIGNAL), static_cast<ssize_t>(sent.size()));
      ASSERT_EQ(::recv(own_, taken.data(), taken.size(), MSG_WAITALL), static_cast<ssize_t>(taken.size()));
    }
  }
  bool is_cut() const {
    char none = 0;
    return ::recv(peer_, &none, 1, MSG_DONTWAIT) == 0;
  }

 private:
  int peer_ = -1;
  int own_ = -1;
  int port_ = 0;
};

template <class Done>
bool comes_to(const Done& done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!done() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  return done();
}

// Over a slow link one chunk takes longer than a phase may be silent, so what came of it counts before it is whole.
TEST(InboundGuardOfAllPeers, CountsWhatArrivedOfMessagesThatAreNotWhole) {
  federation::io::InboundGuard guard;
  const Connection slow;
  EXPECT_EQ(guard.bytes_arrived(slow.descriptor()), 0U);  // not known yet
  guard.opened(slow.descriptor());
  slow.hold(300'000);  // handed to nobody
  EXPECT_EQ(guard.bytes_arrived(slow.descriptor()), 300'000U);
  guard.closed(slow.descriptor());
  EXPECT_EQ(guard.bytes_arrived(slow.descriptor()), 0U);
}

// Each is within the limit of one peer, and all of them together are not: 512 MiB in 35 connections, with the limits
// in force.
TEST(InboundGuardOfAllPeers, CutsTheOneThatHoldsMostWhenAllOfThemHoldTooMuch) {
  federation::io::InboundGuard guard({.peer_bytes_max = 1'000'000, .all_bytes_max = 2'000'000});
  const Connection small;
  const Connection large;
  const Connection middle;
  for (const Connection* connection : {&small, &large, &middle}) guard.opened(connection->descriptor());
  small.hold(500'000);
  large.hold(800'000);
  middle.hold(600'000);
  EXPECT_EQ(guard.cut_count(), 0U);
  middle.hold(150'000);
  EXPECT_TRUE(comes_to([&] { return guard.cut_count() == 1; }));
  EXPECT_TRUE(comes_to([&] { return large.is_cut(); }));
  EXPECT_FALSE(small.is_cut() || middle.is_cut());
  // What was cut counts no more: the others go on, up to the same limit.
  small.hold(400'000);
  const Connection late;
  guard.opened(late.descriptor());
  late.hold(500'000);
  EXPECT_TRUE(comes_to([&] { return guard.cut_count() == 2; }));
  EXPECT_TRUE(comes_to([&] { return small.is_cut(); }));
}

// Strangers take a descriptor each until their handshake is over time; a site says something at once.
TEST(InboundGuardOfDescriptors, CutsTheOldestThatHaveSaidNothingWhenThereAreTooMany) {
  federation::io::InboundGuard guard;
  guard.keep_descriptors({.port = 0, .connections_max = 2, .first_kept = 1 << 20, .limit = 0});
  const Connection first;
  const Connection second;
  const Connection third;
  guard.opened(first.descriptor());
  guard.opened(second.descriptor());
  EXPECT_EQ(guard.crowd_count(), 0U);
  guard.opened(third.descriptor());
  EXPECT_EQ(guard.crowd_count(), 1U);
  EXPECT_TRUE(comes_to([&] { return first.is_cut(); }));
  EXPECT_FALSE(second.is_cut() || third.is_cut());
  // One that has gone makes room.
  guard.closed(second.descriptor());
  const Connection fourth;
  guard.opened(fourth.descriptor());
  EXPECT_EQ(guard.crowd_count(), 1U);
  EXPECT_EQ(guard.cut_count(), 0U);
}

// The program is busy and knows of none of them.
TEST(InboundGuardOfDescriptors, NoConnectionKeepsADescriptorThatIsKeptForFiles) {
  const Connection kept;
  const Connection other;
  federation::io::InboundGuard guard;
  guard.keep_descriptors({.port = kept.port(), .connections_max = 100, .first_kept = 0, .limit = 1024});
  EXPECT_TRUE(comes_to([&] { return kept.is_cut(); }));
  EXPECT_FALSE(other.is_cut());                                     // of another port: not ours
  EXPECT_TRUE(comes_to([&] { return guard.crowd_count() >= 1; }));  // counted when it is cut
}

// A coordinator that is busy for a while has the full queues of honest sites in its memory.
TEST_F(TransportTest, AFullQueueOfWholeMessagesIsNotCutOff) {
  const auto anna = dial(anna_);
  ASSERT_TRUE(connect(*anna));
  constexpr std::size_t kCount = 100;
  for (std::size_t i = 0; i < kCount; ++i)
    ASSERT_TRUE(anna->send(Bytes(federation::io::kMessageBytesMax, static_cast<std::uint8_t>(i))).has_value());
  std::size_t left = 0;  // nothing moves any more: every queue and buffer between the two is full
  for (int still = 0; still < 100; still = anna->outbox_bytes() == left ? still + 1 : 0) {
    left = anna->outbox_bytes();
    ASSERT_TRUE(anna->wait(milliseconds(1), {}).has_value());
    ASSERT_TRUE(server_->wait(milliseconds(1), {}).has_value());
  }
  EXPECT_GT(left, 0U);
  ASSERT_TRUE(pump({anna.get()}, [&] {
    EXPECT_FALSE(anna->receive().has_value());
    return inbox_.size() == kCount;
  }));
  EXPECT_EQ(server_->cut_count(), 0U);
}

TEST_F(TransportTest, WhatAnHonestSiteSendsForLongIsNotCutOff) {
  const auto anna = dial(anna_);
  ASSERT_TRUE(connect(*anna));
  std::size_t sent = 0;
  constexpr std::size_t kCount = 20'000;  // small ones, so that an error in counting a frame would show
  std::size_t arrived = 0;
  ASSERT_TRUE(pump({anna.get()}, [&] {
    for (int i = 0; i < 500 && sent < kCount; ++i, ++sent)
      if (!anna->send(Bytes(100 + sent % 300)).has_value()) return false;
    arrived += inbox_.size();
    inbox_.clear();
    return arrived == kCount;
  }));
  EXPECT_EQ(server_->cut_count(), 0U);
}

}  // namespace
}  // namespace fovea::test

// Failure class: a peer that fills the memory of another. libzmq keeps the frames of a message until the last has come.
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
  ASSERT_TRUE(pump({anna.get()}, [&] { return inbox_.size() == kCount; }));
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

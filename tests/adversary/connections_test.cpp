// Failure class: connections that end a program. They break at the moment at which libzmq 4.3.4 aborts the process, or
// they take every descriptor that it needs for its files.
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "coordinator/registry/coordinator_folder.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/site_messages.h"
#include "tests/adversary/hospital_fixture.h"
#include "tests/adversary/load_fixture.h"
#include "tests/support/tcp_relay.h"

namespace fovea::test {
namespace {

using federation::io::ConnectionEvent;
using federation::messages::MessageKind;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::string loopback(int port) { return "tcp://127.0.0.1:" + std::to_string(port); }

// One end of a connection, of libzmq's own making.
class Rogue {
 public:
  Rogue(zmq::context_t& context, zmq::socket_type type, const std::string& name) : socket_(context, type) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::sndhwm, 0);
    monitor_.emplace(context, socket_, name);
  }
  Rogue(const Rogue&) = delete;
  Rogue& operator=(const Rogue&) = delete;
  ~Rogue() { monitor_.reset(); }

  zmq::socket_t& socket() { return socket_; }
  void ping_often() {
    socket_.set(zmq::sockopt::heartbeat_ivl, 20);
    socket_.set(zmq::sockopt::heartbeat_timeout, 60'000);
  }
  // Since when the handshake is over.
  std::optional<Clock::time_point> ready() {
    while (const auto event = monitor_->next()) {
      if (*event == ConnectionEvent::connected) descriptor_ = monitor_->descriptor();
      if (*event == ConnectionEvent::ready) ready_ = Clock::now();
    }
    return ready_;
  }
  // Ends with a reset, once its socket is closed.
  void break_off() {
    const linger reset{.l_onoff = 1, .l_linger = 0};
    if (descriptor_ >= 0) ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    monitor_.reset();
    socket_.close();
  }

 private:
  zmq::socket_t socket_;
  std::optional<federation::io::ConnectionMonitor> monitor_;
  std::optional<Clock::time_point> ready_;
  int descriptor_ = -1;
};

// Fewer messages than libzmq reads at once, with the ping behind them; more than a queue of it would take.
constexpr std::size_t kMessages = 30;

class CoordinatorConnections : public LoadTest {
 protected:
  std::unique_ptr<Rogue> rogue_of_dora(const std::string& name) {
    auto out = std::make_unique<Rogue>(context_, zmq::socket_type::dealer, name);
    const auto invite = coordinator::registry::CoordinatorFolder(home()).federation().value();
    federation::io::set_curve_client(out->socket(), hospitals_->site("dora").transport(),
                                     invite.coordinator_transport_key);
    return out;
  }
  bool has_ended() {
    if (!ended_) ended_ = server_->wait(milliseconds(0));
    return ended_.has_value();
  }
  void expect_next_rounds() {
    const RoundNumber reached = hospitals_->last_round();
    ASSERT_TRUE(hospitals_->play_until([&] { return has_ended() || hospitals_->last_round() > reached + 1; }));
    EXPECT_FALSE(has_ended()) << server_->standard_error();
  }
  zmq::context_t context_{1};
  std::optional<int> ended_;
};

// Whoever carries the messages can do the same without a key: hold them back, let them go at once, and reset. Five
// seconds after the handshake a heartbeat of libzmq would be due.
TEST_F(CoordinatorConnections, ConnectionsThatBreakWhileTheyAreFullDoNotEndTheCoordinator) {
  serve_hospitals(2000);
  ASSERT_TRUE(hospitals_->play_until([&] { return hospitals_->last_round() >= 2; }));
  const Bytes wire = hospitals_->site("dora").seal(MessageKind::training_progress,
                                                   federation::messages::TrainingProgress{1, 500}.encode());
  constexpr std::size_t kConnections = 50;
  std::vector<std::unique_ptr<Rogue>> rogues;
  for (std::size_t i = 0; i < kConnections; ++i) rogues.push_back(rogue_of_dora("full-" + std::to_string(i)));
  std::atomic<bool> done = false;
  std::size_t broken = 0;
  std::jthread attack([&] {
    for (const auto& rogue : rogues) rogue->socket().connect(loopback(port_));
    std::vector<bool> is_full(kConnections);
    std::vector<bool> is_broken(kConnections);
    const auto deadline = Clock::now() + std::chrono::seconds(12);
    while (broken < kConnections && Clock::now() < deadline) {
      for (std::size_t i = 0; i < kConnections; ++i) {
        const auto ready = is_broken[i] ? std::nullopt : rogues[i]->ready();
        if (!ready) continue;
        if (!is_full[i] && Clock::now() > *ready + milliseconds(4'900)) {
          is_full[i] = true;
          for (int n = 0; n < 200; ++n)  // small ones, each with a signature to be checked
            rogues[i]->socket().send(zmq::message_t(wire.data(), wire.size()), zmq::send_flags::dontwait);
        }
        if (Clock::now() < *ready + milliseconds(4'960)) continue;
        rogues[i]->break_off();
        is_broken[i] = true;
        ++broken;
      }
      zmq::poll(static_cast<zmq::pollitem_t*>(nullptr), 0, milliseconds(1));
    }
    done = true;
  });
  ASSERT_TRUE(hospitals_->play_until([&] { return done.load() || has_ended(); }));
  attack.join();
  EXPECT_GT(broken, kConnections / 2);
  expect_next_rounds();
}

TEST_F(CoordinatorConnections, AMemberThatPingsBehindAFullQueueAndBreaksOffDoesNotEndTheCoordinator) {
  serve_hospitals(2000);
  ASSERT_TRUE(hospitals_->play_until([&] { return hospitals_->last_round() >= 2; }));
  const Bytes wire = hospitals_->site("dora").seal(MessageKind::training_progress,
                                                   federation::messages::TrainingProgress{1, 500}.encode());
  for (int attempt = 0; attempt < 10 && !has_ended(); ++attempt) {
    TcpRelay relay(port_);
    const auto rogue = rogue_of_dora("pinging-" + std::to_string(attempt));
    rogue->ping_often();
    rogue->socket().connect(loopback(relay.port()));
    ASSERT_TRUE(hospitals_->play_until([&] {
      relay.step();
      return has_ended() || rogue->ready();
    }));
    relay.hold(TcpRelay::End::dialler);
    for (std::size_t i = 0; i < kMessages; ++i)
      rogue->socket().send(zmq::message_t(wire.data(), wire.size()), zmq::send_flags::none);
    ASSERT_TRUE(hospitals_->play_until([&] {
      relay.step();
      return has_ended() || relay.held() > kMessages * (wire.size() + 35) + 35;
    }));
    relay.release_and_reset();
  }
  expect_next_rounds();
}

// They say nothing and come again when they are sent away; the shell that started the coordinator allows it 1024
// descriptors, and no more.
TEST_F(CoordinatorConnections, StrangersWhoTakeEveryDescriptorDoNotEndTheCoordinator) {
  constexpr rlim_t kStrangers = 1'500;
  rlimit own{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &own), 0);
  if (own.rlim_max < kStrangers + 200) GTEST_SKIP() << "at most " << own.rlim_max << " files can be open here";
  own.rlim_cur = own.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &own), 0);
  limit_descriptors_ = 1'024;
  serve_hospitals(2000);
  ASSERT_TRUE(hospitals_->play_until([&] { return hospitals_->last_round() >= 1; }));
  std::vector<int> strangers(kStrangers, -1);
  const auto crowd = [&] {
    std::array<char, 64> greeting{};
    for (int& stranger : strangers) {
      const ssize_t size = stranger < 0 ? 0 : ::recv(stranger, greeting.data(), greeting.size(), MSG_DONTWAIT);
      if (size > 0 || (size < 0 && errno == EAGAIN)) continue;
      if (stranger >= 0) ::close(stranger);
      stranger = dial_tcp(port_);
    }
  };
  const RoundNumber reached = hospitals_->last_round();
  const auto until = Clock::now() + std::chrono::seconds(8);  // longer than a handshake may take
  ASSERT_TRUE(hospitals_->play_until([&] {
    crowd();
    return has_ended() || (Clock::now() > until && hospitals_->last_round() > reached + 3);
  }));
  EXPECT_FALSE(has_ended()) << server_->standard_error();
  // A member that comes now gets in.
  const auto late = rogue_of_dora("late");
  late->socket().connect(loopback(port_));
  EXPECT_TRUE(hospitals_->play_until([&] { return has_ended() || late->ready(); }));
  expect_next_rounds();
  for (const int stranger : strangers)
    if (stranger >= 0) ::close(stranger);
}

// ---- a hospital

using HospitalConnections = HospitalTest;

TEST_F(HospitalConnections, ACoordinatorThatPingsBehindAFullQueueAndBreaksOffDoesNotEndAHospital) {
  make_plan({.rounds = 100});
  const auto keys = coordinator::registry::CoordinatorFolder(home()).keys().value();
  const Bytes wire = federation::messages::seal_message(
      {.kind = MessageKind::key_list, .run = random_run(), .sender = std::nullopt, .epoch = 1}, Bytes(10),
      keys.signing);
  const int own_port = free_port();
  zmq::context_t context(1);
  Rogue rogue(context, zmq::socket_type::router, "pinging-coordinator");
  rogue.ping_often();
  rogue.socket().set(zmq::sockopt::curve_server, true);
  rogue.socket().set(zmq::sockopt::curve_secretkey, zmq::const_buffer(keys.transport.private_key().view().data(),
                                                                      keys.transport.private_key().view().size()));
  rogue.socket().bind(loopback(own_port));
  TcpRelay relay(own_port, port_);
  start_site("anna");
  std::optional<int> ended;
  const auto play_until = [&](const auto& done) {
    const auto deadline = Clock::now() + kPatience;
    while (!ended && !done() && Clock::now() < deadline) {
      relay.step();
      ended = sites_.at("anna").wait(milliseconds(1));
    }
  };
  std::size_t greetings = 0;
  for (int attempt = 0; attempt < 5 && !ended; ++attempt) {
    zmq::message_t address;
    play_until([&] { return rogue.socket().recv(address, zmq::recv_flags::dontwait).has_value(); });
    zmq::message_t hello;
    if (ended || !rogue.socket().recv(hello)) break;
    ++greetings;
    relay.hold(TcpRelay::End::target);
    for (std::size_t i = 0; i < kMessages; ++i) {
      rogue.socket().send(zmq::message_t(address.data(), address.size()), zmq::send_flags::sndmore);
      rogue.socket().send(zmq::message_t(wire.data(), wire.size()), zmq::send_flags::none);
    }
    play_until([&] { return relay.held() > kMessages * (wire.size() + 35) + 35; });
    relay.release_and_reset();
  }
  ASSERT_FALSE(ended) << sites_.at("anna").standard_error();
  EXPECT_EQ(greetings, 5U);  // it dialled again each time
  sites_.at("anna").signal(SIGTERM);
  EXPECT_EQ(sites_.at("anna").wait(kPatience), 0);
}

}  // namespace
}  // namespace fovea::test

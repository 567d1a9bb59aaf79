// Failure class: who gets through the coordinator's port. CURVE and ZAP between real sockets on loopback.
#include "federation/membership/endpoint.h"
#include "node/io/reachability.h"
#include "tests/unit/transport/transport_fixture.h"

namespace fovea::test {
namespace {

TEST_F(TransportTest, ASiteIsKnownByItsKeyAndGetsItsAnswer) {
  const auto anna = dial(anna_);
  ASSERT_TRUE(connect(*anna));
  ASSERT_TRUE(say(*anna, bytes_of("hello")));
  EXPECT_EQ(inbox_[0].site, site_named("anna"));
  EXPECT_EQ(inbox_[0].payload, bytes_of("hello"));
  EXPECT_EQ(server_->send(site_named("anna"), shared(bytes_of("no session yet"))),
            coordinator::io::SendVerdict::no_session);
  ASSERT_TRUE(server_->open_session(inbox_[0], boot(1)));
  ASSERT_EQ(server_->send(site_named("anna"), shared(bytes_of("welcome"))), coordinator::io::SendVerdict::queued);
  std::optional<Bytes> answer;
  ASSERT_TRUE(pump({anna.get()}, [&] { return (answer = anna->receive()).has_value(); }));
  EXPECT_EQ(*answer, bytes_of("welcome"));
}

TEST_F(TransportTest, AnUnknownKeyIsRefusedUntilItIsOnTheRoster) {
  const crypto::AgreementKey stranger = crypto::AgreementKey::generate(random_);
  const auto site = dial(stranger);
  ASSERT_TRUE(pump({site.get()}, [&] { return site->state() == ConnectionState::refused; }));
  EXPECT_EQ(site->send(bytes_of("let me in")).error().code, ErrorCode::unavailable);
  EXPECT_TRUE(inbox_.empty());
  roster_.emplace(stranger.public_key(), site_named("clara"));
  EXPECT_TRUE(connect(*site));
}

TEST_F(TransportTest, AServerWithoutTheKeyOfTheInviteGetsNoMessage) {
  const crypto::AgreementKey other = crypto::AgreementKey::generate(random_);
  const auto site = dial(anna_, other);
  ASSERT_TRUE(pump({site.get()}, [&] { return site->state() == ConnectionState::wrong_peer; }));
  EXPECT_TRUE(inbox_.empty());
}

// The coordinator that is being stopped, or one that was restarted under our hands: once is no finding.
TEST_F(TransportTest, AHandshakeThatFailsOnceIsNotCalledAWrongPeer) {
  zmq::context_t context(1);
  auto rogue = std::make_unique<zmq::socket_t>(context, zmq::socket_type::router);
  rogue->set(zmq::sockopt::linger, 0);
  const crypto::AgreementKey other = crypto::AgreementKey::generate(random_);
  federation::io::set_curve_server(*rogue, other);
  auto monitor = std::make_unique<federation::io::ConnectionMonitor>(context, *rogue, "rogue");
  rogue->bind("tcp://127.0.0.1:0");
  const std::string endpoint = rogue->get(zmq::sockopt::last_endpoint);
  auto site = ZmqTransport::connect({.endpoint = endpoint, .coordinator_key = server_key_.public_key()}, anna_).value();
  bool failed = false;
  ASSERT_TRUE(pump({site.get()}, [&] {
    while (const auto event = monitor->next())
      failed = failed || *event == federation::io::ConnectionEvent::protocol_error;
    return failed;
  }));
  monitor.reset();
  rogue.reset();
  context.close();  // returns when the port is free
  server_.reset();
  auto started =
      ZmqServer::start({.endpoint = endpoint}, server_key_, [this](const federation::io::CurvePublicKey& key) {
        const auto found = roster_.find(key);
        return found == roster_.end() ? std::nullopt : std::optional<SiteId>(found->second);
      });
  ASSERT_TRUE(started.has_value()) << started.error().message;
  server_ = std::move(started).value();
  ASSERT_TRUE(pump({site.get()}, [&] {
    EXPECT_NE(site->state(), ConnectionState::wrong_peer);
    return site->state() == ConnectionState::connected || HasFailure();
  }));
}

TEST_F(TransportTest, AnOversizedMessageNeverLeavesTheSite) {
  const auto anna = dial(anna_);
  ASSERT_TRUE(connect(*anna));
  EXPECT_EQ(anna->send(Bytes(federation::io::kMessageBytesMax + 1)).error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(say(*anna, Bytes(federation::io::kMessageBytesMax)));
}

TEST_F(TransportTest, APeerThatSendsMoreThanAMegabyteIsCutOffAndTheOthersGoOn) {
  zmq::context_t context(1);
  zmq::socket_t rogue(context, zmq::socket_type::dealer);
  rogue.set(zmq::sockopt::linger, 0);
  federation::io::set_curve_client(rogue, berta_, server_key_.public_key());
  federation::io::ConnectionMonitor monitor(context, rogue, "rogue");
  rogue.connect(server_->endpoint());
  rogue.send(zmq::message_t(federation::io::kMessageBytesMax + 1024), zmq::send_flags::none);
  const auto anna = dial(anna_);
  bool cut = false;
  ASSERT_TRUE(pump({anna.get()}, [&] {
    while (const auto event = monitor.next()) cut = cut || *event == federation::io::ConnectionEvent::lost;
    return cut && anna->state() == ConnectionState::connected;
  }));
  EXPECT_TRUE(inbox_.empty());
  EXPECT_TRUE(say(*anna, bytes_of("still here")));
}

TEST_F(TransportTest, AMessageOfSeveralFramesIsIgnored) {
  zmq::context_t context(1);
  zmq::socket_t odd(context, zmq::socket_type::dealer);
  odd.set(zmq::sockopt::linger, 0);
  federation::io::set_curve_client(odd, berta_, server_key_.public_key());
  odd.connect(server_->endpoint());
  odd.send(zmq::str_buffer("two"), zmq::send_flags::sndmore);
  odd.send(zmq::str_buffer("frames"), zmq::send_flags::none);
  odd.send(zmq::str_buffer("one"), zmq::send_flags::none);
  ASSERT_TRUE(pump({}, [&] { return !inbox_.empty(); }));
  EXPECT_EQ(inbox_[0].payload, bytes_of("one"));
}

TEST_F(TransportTest, ASecondProcessWithTheSameKeysIsRefusedUntilTheFirstIsGone) {
  auto first = dial(anna_);
  ASSERT_TRUE(connect(*first));
  ASSERT_TRUE(say(*first, bytes_of("first")));
  ASSERT_TRUE(server_->open_session(inbox_[0], boot(1)));
  const auto second = dial(anna_);
  ASSERT_TRUE(connect(*second));
  ASSERT_TRUE(say(*second, bytes_of("second")));
  EXPECT_FALSE(server_->open_session(inbox_[1], boot(2)));
  EXPECT_TRUE(server_->is_session(inbox_[0]));
  first.reset();
  EXPECT_TRUE(pump({second.get()}, [&] { return server_->open_session(inbox_[1], boot(2)); }));
  EXPECT_TRUE(server_->is_session(inbox_[1]));
}

TEST_F(TransportTest, TheSameProcessComesBackOnANewConnection) {
  const auto before = dial(anna_);
  ASSERT_TRUE(connect(*before));
  ASSERT_TRUE(say(*before, bytes_of("before")));
  ASSERT_TRUE(server_->open_session(inbox_[0], boot(1)));
  const auto after = dial(anna_);
  ASSERT_TRUE(connect(*after));
  ASSERT_TRUE(say(*after, bytes_of("after")));
  EXPECT_TRUE(server_->open_session(inbox_[1], boot(1)));
  EXPECT_FALSE(server_->is_session(inbox_[0]));
}

TEST_F(TransportTest, CutSessionsKeepOutWhoIsNoLongerOnTheRoster) {
  const auto anna = dial(anna_);
  const auto berta = dial(berta_);
  ASSERT_TRUE(pump({anna.get(), berta.get()}, [&] {
    return anna->state() == ConnectionState::connected && berta->state() == ConnectionState::connected;
  }));
  const std::uint64_t before = anna->connection_count();
  roster_.erase(berta_.public_key());
  ASSERT_TRUE(server_->cut_sessions().has_value());
  EXPECT_TRUE(pump({anna.get(), berta.get()},
                   [&] { return anna->connection_count() > before && berta->state() == ConnectionState::refused; }));
}

TEST_F(TransportTest, ManyLargeMessagesArriveWholeAndInOrder) {
  const auto anna = dial(anna_);
  ASSERT_TRUE(connect(*anna));
  ASSERT_TRUE(say(*anna, bytes_of("hello")));
  ASSERT_TRUE(server_->open_session(inbox_[0], boot(1)));
  constexpr std::size_t kCount = 50;  // far more than libzmq's own queue takes
  for (std::size_t i = 0; i < kCount; ++i)
    ASSERT_EQ(server_->send(site_named("anna"), shared(Bytes(900'000, static_cast<std::uint8_t>(i)))),
              coordinator::io::SendVerdict::queued);
  std::size_t arrived = 0;
  ASSERT_TRUE(pump({anna.get()}, [&] {
    while (const auto message = anna->receive()) {
      EXPECT_EQ(message->size(), 900'000U);
      EXPECT_EQ(message->front(), static_cast<std::uint8_t>(arrived));
      ++arrived;
    }
    return arrived == kCount;
  }));
}

// A site on a slow link is asked again for what has yet to come: that need not be queued twice. What a connection took
// along when it was lost must be.
TEST_F(TransportTest, WhatIsStillUnderWayIsKnownUntilTheOtherEndHasItOrTheConnectionIsLost) {
  const auto anna = dial(anna_);
  ASSERT_TRUE(connect(*anna));
  const Bytes first(700'000, 1), second(700'000, 2);
  ASSERT_TRUE(anna->send(first));
  EXPECT_TRUE(anna->is_under_way(first));
  EXPECT_FALSE(anna->is_under_way(second));
  EXPECT_EQ(anna->under_way_bytes(), first.size());
  ASSERT_TRUE(pump({anna.get()}, [&] {
    static_cast<void>(anna->receive());  // beats
    return anna->under_way_bytes() == 0;
  }));
  EXPECT_FALSE(anna->is_under_way(first));
  EXPECT_EQ(inbox_.size(), 1U);

  ASSERT_TRUE(anna->send(second));
  EXPECT_TRUE(anna->is_under_way(second));
  const std::uint64_t before = anna->connection_count();
  ASSERT_TRUE(server_->cut_sessions());
  ASSERT_TRUE(pump({anna.get()}, [&] { return anna->connection_count() > before; }));
  EXPECT_FALSE(anna->is_under_way(second));
  EXPECT_EQ(anna->under_way_bytes(), 0U);
}

// Nor is a sum sent again that a site has yet to take.
TEST_F(TransportTest, WhatASiteHasYetToTakeIsKnown) {
  const auto anna = dial(anna_);
  ASSERT_TRUE(connect(*anna));
  EXPECT_FALSE(server_->position(site_named("anna")));  // no session yet
  ASSERT_TRUE(say(*anna, bytes_of("hello")));
  ASSERT_TRUE(server_->open_session(inbox_[0], boot(1)));
  const auto before = server_->position(site_named("anna"));
  ASSERT_TRUE(before);
  EXPECT_FALSE(server_->is_under_way(site_named("anna"), *before));
  for (int i = 0; i < 30; ++i) server_->send(site_named("anna"), shared(Bytes(900'000)));
  const auto after = server_->position(site_named("anna"));
  EXPECT_TRUE(server_->is_under_way(site_named("anna"), *after));
  EXPECT_FALSE(server_->is_under_way(site_named("anna"), *before));
  EXPECT_FALSE(server_->is_under_way(site_named("berta"), *after));
  std::size_t taken = 0;
  ASSERT_TRUE(pump({anna.get()}, [&] {
    while (anna->receive()) ++taken;
    return taken == 30 && !server_->is_under_way(site_named("anna"), *after);
  }));
}

TEST_F(TransportTest, WhatArrivedIsCountedForTheSiteWhoseSessionItIs) {
  const auto anna = dial(anna_);
  ASSERT_TRUE(connect(*anna));
  ASSERT_TRUE(say(*anna, bytes_of("hello")));
  EXPECT_EQ(server_->bytes_arrived(site_named("anna")), 0U);  // no session yet
  ASSERT_TRUE(server_->open_session(inbox_[0], boot(1)));
  const std::uint64_t before = server_->bytes_arrived(site_named("anna"));
  EXPECT_GT(before, 0U);
  ASSERT_TRUE(say(*anna, Bytes(500'000)));
  EXPECT_GE(server_->bytes_arrived(site_named("anna")), before + 500'000);
  EXPECT_EQ(server_->bytes_arrived(site_named("berta")), 0U);
}

TEST_F(TransportTest, ASlowSitesQueueIsBounded) {
  auto small = ZmqServer::start({.endpoint = "tcp://127.0.0.1:0", .outbox_bytes_max = 4'000'000}, server_key_,
                                [this](const federation::io::CurvePublicKey& key) {
                                  return key == anna_.public_key() ? std::optional<SiteId>(site_named("anna"))
                                                                   : std::nullopt;
                                });
  ASSERT_TRUE(small.has_value());
  server_ = std::move(small).value();
  const auto anna = dial(anna_);
  ASSERT_TRUE(connect(*anna));
  ASSERT_TRUE(say(*anna, bytes_of("hello")));
  ASSERT_TRUE(server_->open_session(inbox_[0], boot(1)));
  const auto payload = shared(Bytes(900'000));
  bool full = false;
  for (int i = 0; i < 1000 && !full; ++i)
    full = server_->send(site_named("anna"), payload) == coordinator::io::SendVerdict::outbox_full;
  EXPECT_TRUE(full);
}

TEST_F(TransportTest, APortInUseSaysSo) {
  const auto second =
      ZmqServer::start({.endpoint = server_->endpoint()}, server_key_, [](const auto&) { return std::nullopt; });
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::unavailable);
  EXPECT_NE(second.error().message.find("choose another port"), std::string::npos);
}

// What a person looks for with `doctor` is what the node dials.
TEST_F(TransportTest, AnIPv6AddressIsListenedOnProvenAndReached) {
  const auto start = [&](const char* endpoint) {
    return ZmqServer::start({.endpoint = endpoint}, server_key_, [](const auto&) { return std::nullopt; });
  };
  const auto other = start("tcp://[::1]:0");
  if (!other && other.error().code == ErrorCode::invalid_argument) GTEST_SKIP() << "this machine has no IPv6";
  ASSERT_TRUE(other.has_value()) << other.error().message;
  const auto at = federation::membership::Endpoint::parse((*other)->endpoint());
  ASSERT_TRUE(at.has_value()) << at.error().message;
  EXPECT_EQ(at->host, "::1");
  const auto reached = node::io::try_tcp(*at, milliseconds(5'000));
  EXPECT_TRUE(reached.has_value()) << reached.error().message;
  // All addresses: the proof that strangers are refused dials one of them.
  for (const char* all : {"tcp://[::]:0", "tcp://0.0.0.0:0"}) {
    const auto listening = start(all);
    EXPECT_TRUE(listening.has_value()) << all << ": " << listening.error().message;
  }
}

TEST_F(TransportTest, AnAdmissionThatLetsEveryoneInFailsTheSelfTest) {
  const auto open = ZmqServer::start({.endpoint = "tcp://127.0.0.1:0"}, server_key_,
                                     [](const auto&) { return std::optional<SiteId>(site_named("anna")); });
  ASSERT_FALSE(open.has_value());
  EXPECT_EQ(open.error().code, ErrorCode::internal);
}

}  // namespace
}  // namespace fovea::test

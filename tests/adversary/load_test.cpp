// Failure class: one member that fills memory or disk of another, or takes all of its time. Each attack is bounded, and
// the run of the others completes.
#include <csignal>
#include <set>

#include "coordinator/registry/coordinator_folder.h"
#include "federation/io/inbound_guard.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/site_messages.h"
#include "tests/adversary/hospital_fixture.h"
#include "tests/adversary/load_fixture.h"

namespace fovea::test {
namespace {

using federation::messages::MessageKind;

constexpr std::size_t kMegabyte = std::size_t{1} << 20U;
// What a guard lets through while it does not look, and the allocator keeps.
constexpr std::size_t kMemorySlack = 64 * kMegabyte;
constexpr std::size_t kEndlessBytes = 500 * kMegabyte;

// A message of frames that each are within the limit; they share one buffer here.
void send_endless(zmq::socket_t& socket) {
  zmq::message_t frame(kMegabyte);
  for (std::size_t sent = 0; sent < kEndlessBytes; sent += kMegabyte) {
    zmq::message_t copy;
    copy.copy(frame);
    socket.send(copy, zmq::send_flags::sndmore);
  }
  socket.send(frame, zmq::send_flags::none);
}

using CoordinatorLoad = LoadTest;

TEST_F(CoordinatorLoad, EndlessFramesOfASiteDoNotFillTheCoordinatorsMemory) {
  serve_hospitals(200);
  ASSERT_TRUE(hospitals_->play_until([&] { return hospitals_->last_round() >= 2; }));
  const int process = coordinator_process();
  const std::size_t before = peak_memory(process);
  ASSERT_GT(before, 0U);
  zmq::context_t context(1);
  zmq::socket_t rogue(context, zmq::socket_type::dealer);
  rogue.set(zmq::sockopt::linger, 0);
  const auto invite = coordinator::registry::CoordinatorFolder(home()).federation().value();
  federation::io::set_curve_client(rogue, hospitals_->site("dora").transport(), invite.coordinator_transport_key);
  federation::io::ConnectionMonitor monitor(context, rogue, "rogue");
  rogue.connect("tcp://127.0.0.1:" + std::to_string(port_));
  send_endless(rogue);
  bool cut = false;
  ASSERT_TRUE(hospitals_->play_until([&] {
    while (const auto event = monitor.next()) cut = cut || *event == federation::io::ConnectionEvent::lost;
    return cut;
  }));
  const RoundNumber reached = hospitals_->last_round();
  ASSERT_TRUE(hospitals_->play_until([&] { return hospitals_->last_round() > reached; }));
  EXPECT_LT(peak_memory(process), before + federation::io::kInboundPeerBytesMax + kMemorySlack);
}

TEST_F(CoordinatorLoad, AStreamOfHellosThatLackEverySumCostsFewPublications) {
  serve_hospitals(200);
  ASSERT_TRUE(hospitals_->play_until([&] { return hospitals_->last_round() >= 3; }));
  constexpr int kHellos = 20'000;
  const Bytes hello =
      hospitals_->site("dora").seal(MessageKind::hello, federation::messages::Hello{.software = "scripted"}.encode());
  for (int i = 0; i < kHellos; ++i) hospitals_->say("dora", hello);
  // Sums that were sent to the site again; the first of each is what it needs to catch up.
  const auto sent_again = [&] {
    std::set<RoundNumber> sums;
    std::size_t again = 0;
    for (const Json& event : events_of(home() / "events.jsonl"))
      if (event["event"] == "catching_up" && event["site"] == "dora")
        again += sums.insert(event["round"].get<RoundNumber>()).second ? 0U : 1U;
    return again;
  };
  ASSERT_TRUE(hospitals_->play_until([&] { return hospitals_->has_said_all("dora"); }));
  wait_for_coordinator("site_overload", [](const Json& event) { return event["site"] == "dora"; });
  const RoundNumber reached = hospitals_->last_round();
  ASSERT_TRUE(hospitals_->play_until([&] { return hospitals_->last_round() > reached; }));
  EXPECT_LE(sent_again(), 20U);
}

TEST_F(CoordinatorLoad, MessagesWithoutEndOfAnAdmittedSiteDoNotFillTheLedger) {
  serve_hospitals(200);
  ASSERT_TRUE(hospitals_->play_until([&] { return hospitals_->last_round() >= 1; }));
  const Bytes progress = hospitals_->site("dora").seal(MessageKind::training_progress,
                                                       federation::messages::TrainingProgress{1, 500}.encode());
  // Held in one round, so that no new allowance comes.
  bool held = false;
  hospitals_->dishonest = [&](const ScriptedSite&, federation::messages::SignedMessage honest) {
    held = held || honest.kind() == MessageKind::training_ready;
    return held && honest.kind() != MessageKind::hello ? std::vector<Bytes>{} : std::vector<Bytes>{honest.wire()};
  };
  ASSERT_TRUE(hospitals_->play_until([&] { return held; }));
  const std::size_t before = folder_bytes(home() / "ledger");
  constexpr int kMessages = 50'000;
  for (int i = 0; i < kMessages; ++i) hospitals_->say("dora", progress);
  ASSERT_TRUE(hospitals_->play_until([&] { return hospitals_->has_said_all("dora"); }));
  wait_for_coordinator("site_overload", [](const Json& event) { return event["site"] == "dora"; });
  // An entry takes about 300 bytes; all of them would be fifteen million.
  EXPECT_LT(folder_bytes(home() / "ledger"), before + 3 * kMegabyte);
  hospitals_->dishonest = {};
  server_->signal(SIGTERM);
  std::optional<int> code;
  ASSERT_TRUE(hospitals_->play_until([&] { return (code = server_->wait(std::chrono::milliseconds(0))).has_value(); }));
  EXPECT_EQ(code, 0);
}

TEST_F(CoordinatorLoad, GarbageFromAnAdmittedSiteDoesNotFillTheEventFile) {
  serve_hospitals(200);
  ASSERT_TRUE(hospitals_->play_until([&] { return hospitals_->last_round() >= 1; }));
  for (int i = 0; i < 20'000; ++i) hospitals_->say("dora", Bytes(50, 0x5a));
  ASSERT_TRUE(hospitals_->play_until([&] { return hospitals_->has_said_all("dora"); }));
  wait_for_coordinator("site_overload", [](const Json& event) { return event["site"] == "dora"; });
  const std::vector<Json> events = events_of(home() / "events.jsonl");
  EXPECT_LT(std::count_if(events.begin(), events.end(),
                          [](const Json& event) { return event["event"] == "message_refused"; }),
            50);
  const RoundNumber reached = hospitals_->last_round();
  ASSERT_TRUE(hospitals_->play_until([&] { return hospitals_->last_round() > reached; }));
}

// ---- a hospital under a dishonest coordinator

class HospitalLoad : public HospitalTest {
 protected:
  void open() { begin_run({.rounds = 200}); }
  void offer_other_plan(std::size_t number) {
    Json plan = Json::parse(read_text(plan_file()));
    plan["seed"] = 1'000 + number;
    const std::string text = plan.dump();
    const ByteView bytes = as_bytes(text);
    scripted_->send_to_victim(federation::messages::seal_message(
        {.kind = MessageKind::plan_offer, .run = random_run(), .sender = std::nullopt, .epoch = 1},
        federation::messages::PlanOffer{Bytes(bytes.begin(), bytes.end())}.encode(), scripted_->key()));
  }
  std::size_t plans_on_disk() const {
    const std::filesystem::directory_iterator files(site_folder("anna") / "plans");
    return static_cast<std::size_t>(
        std::count_if(begin(files), end(files), [](const auto& entry) { return entry.is_regular_file(); }));
  }
  std::size_t count(std::string_view name) const {
    const std::vector<Json> events = events_of(site_folder("anna") / "events.jsonl");
    return static_cast<std::size_t>(
        std::count_if(events.begin(), events.end(), [&](const Json& event) { return event["event"] == name; }));
  }
};

TEST_F(HospitalLoad, PlansWithoutEndDoNotFillTheDiskOfAHospital) {
  open();
  for (std::size_t i = 0; i < 500; ++i) offer_other_plan(i);
  expect_handled();
  EXPECT_LE(plans_on_disk(), 1U + 16U);
  EXPECT_LE(count("plan_ignored"), 40U);
  EXPECT_GE(count("plan_ignored"), 1U);
  expect_round();
}

// Each is signed by all administrators and newer than the one before.
TEST_F(HospitalLoad, RostersWithoutEndDoNotFillTheDiskOfAHospital) {
  open();
  for (int i = 0; i < 30; ++i) {
    sign_roster({});
    scripted_->offer_roster();
  }
  expect_event({"roster_ignored"}, [](const Json& event) {
    return event["why"].get<std::string>().find("16 new rosters") != std::string::npos;
  });
  scripted_->send_to_victim(Bytes(10));
  expect_event({"message_ignored"});
  EXPECT_EQ(count("roster_adopted"), 16U);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(site_folder("anna") / "rosters"))
    files += entry.is_regular_file() ? 1U : 0U;
  EXPECT_LE(files, 17U);
}

// Each start of the node lets sixteen new plans in; what nobody has decided about is bounded over all of them.
TEST_F(HospitalLoad, PlansThatNobodyDecidesAboutAreBoundedOverRestarts) {
  open();
  for (std::size_t start = 0; start < 3; ++start) {
    for (std::size_t i = 0; i < 16; ++i) offer_other_plan(100 * start + i);
    if (start == 2) break;
    expect_event({"plan_offered"}, [&](const Json&) { return count("plan_offered") >= 16 * (start + 1); });
    stop_hospital();
    scripted_->follow_roster();  // it has to join again
    start_hospital();
  }
  expect_event({"plan_ignored"}, [](const Json& event) {
    return event["why"].get<std::string>().find("32 offered plans wait for a decision") != std::string::npos;
  });
  expect_handled();
  EXPECT_EQ(plans_on_disk(), 1U + 32U);  // the one that runs, too
  expect_round();
}

TEST_F(HospitalLoad, UnreadableMessagesDoNotFillTheEventFileOfAHospital) {
  open();
  for (int i = 0; i < 20'000; ++i) scripted_->send_to_victim(Bytes(50, 0x5a));
  expect_handled();
  EXPECT_LE(count("message_ignored"), 50U);
  EXPECT_GE(count("message_ignored"), 1U);
  expect_round();
}

// The coordinator's port, without the coordinator: a peer that has its transport key and never ends its message.
TEST_F(HospitalLoad, EndlessFramesOfTheCoordinatorDoNotFillAHospitalsMemory) {
  const auto keys = coordinator::registry::CoordinatorFolder(home()).keys().value();
  zmq::context_t context(1);
  zmq::socket_t rogue(context, zmq::socket_type::router);
  rogue.set(zmq::sockopt::linger, 0);
  rogue.set(zmq::sockopt::rcvtimeo, 20'000);
  rogue.set(zmq::sockopt::curve_server, true);
  rogue.set(zmq::sockopt::curve_secretkey,
            zmq::const_buffer(keys.transport.private_key().view().data(), keys.transport.private_key().view().size()));
  rogue.bind("tcp://127.0.0.1:" + std::to_string(port_));
  start_site("anna");
  zmq::message_t address;
  zmq::message_t hello;
  ASSERT_TRUE(rogue.recv(address).has_value() && rogue.recv(hello).has_value());
  const int process = wait_for_site("anna", "started")["pid"].get<int>();
  const std::size_t before = peak_memory(process);
  ASSERT_GT(before, 0U);
  rogue.send(address, zmq::send_flags::sndmore);
  send_endless(rogue);
  zmq::message_t again;  // cut, and dialled anew
  ASSERT_TRUE(rogue.recv(again).has_value() && rogue.recv(hello).has_value());
  EXPECT_LT(peak_memory(process), before + federation::io::kInboundPeerBytesMax + kMemorySlack);
}

TEST_F(HospitalLoad, RefusedMessagesDoNotFillTheEventFileOfAHospital) {
  open();
  for (int i = 0; i < 5'000; ++i) scripted_->send_to_victim(scripted_->seal(MessageKind::key_list, Bytes(10)));
  expect_handled();
  EXPECT_LE(count("message_refused"), 1'100U);
  expect_round();
}

}  // namespace
}  // namespace fovea::test

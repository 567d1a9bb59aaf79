// Failure class: the coordinator fills a hospital's disk with messages that are signed and right, each of which the
// hospital refuses or answers once more. A real fovea-node; the coordinator is played by the test.
#include <algorithm>
#include <chrono>
#include <set>

#include "coordinator/registry/coordinator_folder.h"
#include "federation/messages/coordinator_messages.h"
#include "tests/adversary/hospital_fixture.h"
#include "tests/adversary/load_fixture.h"

namespace fovea::test {
namespace {

using federation::messages::MessageKind;

class HospitalDisk : public HospitalTest {
 protected:
  // Without the queue between the programs growing too long.
  void send_often(const Bytes& wire, int count) {
    for (int i = 1; i <= count; ++i) {
      scripted_->send_to_victim(wire);
      int turns = i % 50 == 0 ? 10 : 0;
      ASSERT_TRUE(scripted_->serve_until([&] { return --turns < 0; }));
    }
  }
  // A plan that is new is stored whatever was asked before, and after it.
  void expect_all_read() {
    Json plan = Json::parse(read_text(plan_file()));
    plan["seed"] = 4'711;
    const std::string text = plan.dump();
    const ByteView bytes = as_bytes(text);
    const RunId run = random_run();
    scripted_->send_to_victim(federation::messages::seal_message(
        {.kind = MessageKind::plan_offer, .run = run, .sender = std::nullopt, .epoch = 1},
        federation::messages::PlanOffer{Bytes(bytes.begin(), bytes.end())}.encode(), scripted_->key()));
    expect_event({"plan_offered"}, [&](const Json& event) { return event["run"] == run.text(); });
  }
  std::size_t count(std::string_view name) const {
    const std::vector<Json> events = events_of(site_folder("anna") / "events.jsonl");
    return static_cast<std::size_t>(
        std::count_if(events.begin(), events.end(), [&](const Json& event) { return event["event"] == name; }));
  }
  // What is written there, and said in the log.
  std::size_t written() const {
    return folder_bytes(site_folder("anna") / "ledger") +
           std::filesystem::file_size(site_folder("anna") / "events.jsonl") + sites_.at("anna").standard_error().size();
  }
};

TEST_F(HospitalDisk, APlanThatWasRejectedIsRefusedAtARate) {
  make_plan({.rounds = 100});
  const Outcome rejected = node("anna", {"plan", "reject", plan_hash_.substr(0, 12), "--by", "tester"});
  ASSERT_EQ(rejected.exit_code, 0) << rejected.err;
  play_coordinator();
  start_site("anna");
  expect_event({"plan_refused"});
  const std::size_t before = written();
  const auto plan = read_file(plan_file(), federation::membership::kPlanBytesMax).value();
  send_often(scripted_->seal(MessageKind::plan_offer, federation::messages::PlanOffer{plan}.encode()), 2'000);
  expect_all_read();
  EXPECT_LE(count("plan_refused"), 1U + 16U);
  EXPECT_LT(written(), before + 100'000);
}

TEST_F(HospitalDisk, TheSameRequestAgainIsAnsweredAtARate) {
  begin_run({.rounds = 100});
  ASSERT_FALSE(HasFailure());
  scripted_->ignore_complaints(true);
  ASSERT_NO_FATAL_FAILURE(hold_round_at(MessageKind::key_list));
  const auto parameters = scripted_->last_to(scripted_->victim(), MessageKind::parameters);
  ASSERT_TRUE(parameters.has_value());
  send_often(parameters->wire(), 3'000);
  expect_all_read();
  EXPECT_LE(count("keys_sent"), 1'100U);
  // A published sum is always taken, and earns a new allowance.
  scripted_->give_up_round();
  scripted_->begin_round_without_victim();
  expect_event({"sum_applied"}, [](const Json& event) { return event["in_sum"] == false; });
  expect_round();
}

// Each attempt is a new one, with a number of its own.
TEST_F(HospitalDisk, AttemptsWithoutEndAreJoinedAtARate) {
  begin_run({.rounds = 100});
  ASSERT_FALSE(HasFailure());
  scripted_->ignore_complaints(true);
  ASSERT_NO_FATAL_FAILURE(hold_round_at(MessageKind::parameters));
  auto p = RoundParameters::decode(scripted_->trapped().payload()).value();
  for (int i = 0; i < 2'000; ++i, ++p.attempt) send_often(scripted_->seal(MessageKind::parameters, p.encode()), 1);
  expect_all_read();
  EXPECT_LE(count("keys_sent"), 1'100U);
  EXPECT_GE(count("keys_sent"), 900U);
}

TEST_F(HospitalDisk, RefusalsOfTheGateAreOneIncidentAMinute) {
  make_plan({.rounds = 100});
  set_node_setting("anna", "run_megabytes_max = 20000", "run_megabytes_max = 1");
  play_coordinator();
  start_hospital();
  ASSERT_FALSE(HasFailure());
  scripted_->ignore_complaints(true);
  ASSERT_NO_FATAL_FAILURE(hold_round_at(MessageKind::consistency_request));
  const auto request = federation::messages::ConsistencyRequest::decode(scripted_->trapped().payload()).value();
  const federation::messages::ChunkRequest statement{.ref = request.ref, .chunks = {}, .statement = true};
  send_often(scripted_->seal(MessageKind::chunk_request, statement.encode()), 1'000);
  expect_all_read();
  EXPECT_GE(count("egress_refused"), 1U);
  EXPECT_LE(count("egress_refused"), 40U);
  stop_hospital();
  const std::vector<Json> entries = entries_of(site_folder("anna"));
  const auto incidents = std::count_if(entries.begin(), entries.end(), [](const Json& entry) {
    return entry["type"] == "incident" && entry["rule"] == "budget";
  });
  EXPECT_GE(incidents, 2);  // the first one, and how many more there were
  EXPECT_LE(incidents, 4);
}

// The coordinator's port, without the coordinator: a peer that has its transport key and cuts each connection.
TEST_F(HospitalDisk, ConnectionsWithoutEndAreGreetedAtARate) {
  const auto keys = coordinator::registry::CoordinatorFolder(home()).keys().value();
  const auto begin = std::chrono::steady_clock::now();
  constexpr int kConnections = 90;
  int greeted = 0;
  start_site("anna");
  for (int i = 0; i < kConnections; ++i) {
    zmq::context_t context(1);
    zmq::socket_t rogue(context, zmq::socket_type::router);
    rogue.set(zmq::sockopt::linger, 0);
    rogue.set(zmq::sockopt::rcvtimeo, 100);
    rogue.set(zmq::sockopt::curve_server, true);
    rogue.set(zmq::sockopt::curve_secretkey, zmq::const_buffer(keys.transport.private_key().view().data(),
                                                               keys.transport.private_key().view().size()));
    federation::io::ConnectionMonitor monitor(context, rogue, "rogue");
    rogue.bind("tcp://127.0.0.1:" + std::to_string(port_));
    bool ready = false;
    while (!ready) {
      ASSERT_LT(std::chrono::steady_clock::now(), begin + kPatience);
      const auto event = monitor.next();
      ready = event && *event == federation::io::ConnectionEvent::ready;
      if (!event) std::this_thread::yield();
    }
    zmq::message_t part;
    while (rogue.recv(part))
      if (!part.more() && part.size() > 0) {
        ++greeted;
        break;
      }
  }
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_LE(greeted, 60 + seconds / 2 + 1);
  EXPECT_GE(greeted, 50);
}

}  // namespace
}  // namespace fovea::test

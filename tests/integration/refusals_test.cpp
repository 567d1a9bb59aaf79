// What must be refused, by real processes: each refusal says why, and the run goes on for the others.
#include <fstream>

#include "tests/integration/federation_fixture.h"

namespace fovea::test {
namespace {

class RefusalsTest : public FederationTest {
 protected:
  // The run completes with exactly these contributors in every round.
  void expect_complete_run_of(const std::vector<std::string>& contributors) {
    ASSERT_EQ(server_->wait(kPatience), 0) << server_->standard_error();
    const Json data = Json::parse(server_->standard_output())["data"];
    EXPECT_TRUE(data["complete"].get<bool>());
    for (const Json& event : events_of(home() / "events.jsonl")) {
      if (event["event"] == "round_finished") {
        EXPECT_EQ(event["contributors"], Json(contributors));
      }
    }
  }
  void shorten_joining() {
    std::string text = read_text(home() / "coordinator.toml");
    const std::string line = "joining_s = 30";
    ASSERT_NE(text.find(line), std::string::npos);
    text.replace(text.find(line), line.size(), "joining_s = 3");
    std::ofstream(home() / "coordinator.toml") << text;
  }
};

TEST_F(RefusalsTest, ASiteThatDidNotApproveThePlanSendsNoUpdateAndTheOthersGoOn) {
  shorten_joining();
  make_plan({.rounds = 2}, {"dora"});
  serve();
  for (const std::string& site : kSites)
    start_site(site, site == "dora" ? std::vector<std::string>{} : std::vector<std::string>{"--until-complete"});
  EXPECT_EQ(wait_for_site("dora", "plan_waiting")["plan"], plan_hash_);
  expect_complete_run_of({"anna", "berta", "clara"});
  for (const Json& event : events_of(site_folder("dora") / "events.jsonl"))
    EXPECT_NE(event["event"], "training_started");
}

TEST_F(RefusalsTest, AnUnknownSiteIsRefusedAtTheHandshakeAndTheRunGoesOn) {
  shorten_joining();
  make_plan({.rounds = 2});
  make_site("eve", false);
  serve();
  start_site("eve");
  wait_for_site("eve", "refused");
  for (const std::string& site : kSites) start_site(site, {"--until-complete"});
  expect_complete_run_of(kSites);
  EXPECT_NE(server_->standard_error().find("is not on the roster"), std::string::npos);
}

TEST_F(RefusalsTest, APlanThatAsksForLessThanTheSitesPolicyIsRefusedByTheRulesName) {
  set_node_setting("anna", "colluders_max = 1", "colluders_max = 0");  // cohort_min, 3, is at least their sum
  set_node_setting("anna", "honest_min = 2", "honest_min = 3");
  make_plan({.rounds = 1}, {"anna", "berta", "clara", "dora"});
  std::filesystem::copy_file(plan_file(), site_folder("anna") / "plans" / (plan_hash_ + ".json"));
  const Outcome refused = node("anna", {"plan", "approve", plan_hash_.substr(0, 12), "--by", "tester"});
  EXPECT_EQ(refused.exit_code, 6) << refused.err;
  EXPECT_NE(refused.err.find("honest_min"), std::string::npos) << refused.err;
}

// Two runs from one model would be two sums on it, which one site fewer in the second would tell apart.
TEST_F(RefusalsTest, ASecondRunFromTheSameModelIsRefusedAndOneFromAnotherSeedIsNot) {
  make_plan({.rounds = 1});
  serve();
  for (const std::string& site : kSites) start_site(site);
  expect_complete_run_of(kSites);

  serve();  // the plan is complete, so this begins another run of it
  EXPECT_NE(server_->wait(kPatience), 0);
  EXPECT_NE(server_->standard_error().find("another seed"), std::string::npos) << server_->standard_error();
  const Json refused = wait_for_site("anna", "message_refused",
                                     [](const Json& event) { return event["reason"] == "model-already-released"; });
  EXPECT_NE(refused["why"].get<std::string>().find("in run "), std::string::npos);
  // Nor after a restart of the node, nor when its register is gone: the journal of the first run still says so.
  sites_.at("anna").signal(SIGTERM);
  ASSERT_EQ(sites_.at("anna").wait(kPatience), 0);
  ASSERT_TRUE(std::filesystem::remove(site_folder("anna") / "register"));
  const std::size_t before = events_of(site_folder("anna") / "events.jsonl").size();
  start_site("anna");
  serve();
  EXPECT_NE(server_->wait(kPatience), 0);
  const std::vector<Json> events = events_of(site_folder("anna") / "events.jsonl");
  EXPECT_TRUE(std::any_of(events.begin() + static_cast<std::ptrdiff_t>(before), events.end(), [](const Json& event) {
    return event["event"] == "message_refused" && event["reason"] == "model-already-released";
  }));

  make_plan({.rounds = 1, .seed = 77});
  serve();
  expect_complete_run_of(kSites);
}

TEST_F(RefusalsTest, GarbageOnThePortLeavesHonestSitesAlone) {
  make_plan({.rounds = 2});
  serve();
  wait_for_coordinator("run_started");
  std::vector<std::unique_ptr<LoopbackSocket>> strangers;
  for (int n = 0; n < 20; ++n) {
    strangers.push_back(std::make_unique<LoopbackSocket>());
    ASSERT_TRUE(strangers.back()->connect_to(port_));
    if (n % 2 == 0)
      strangers.back()->send(std::string(70'000, static_cast<char>(n * 13 + 1)));  // the others stay silent
  }
  for (const std::string& site : kSites) start_site(site, {"--until-complete"});
  expect_complete_run_of(kSites);
}

TEST_F(RefusalsTest, APortInUseIsNamedWithWhatToDo) {
  make_plan({.rounds = 1});
  const LoopbackSocket occupant;
  ASSERT_TRUE(occupant.listen_on(port_));
  const Outcome refused = coordinator({"run", "start", plan_file().string()});
  EXPECT_EQ(refused.exit_code, 4) << refused.err;
  EXPECT_NE(refused.err.find(std::to_string(port_)), std::string::npos) << refused.err;
}

TEST_F(RefusalsTest, AMistakeInTheSettingsNamesLineColumnFieldAndFix) {
  set_node_setting("anna", "# port = 7443", "port = \"7443\"");
  const Outcome refused = node("anna", {"start"});
  EXPECT_EQ(refused.exit_code, 3) << refused.err;
  for (const std::string part : {"node.toml:", "coordinator.port", "fix:"})
    EXPECT_NE(refused.err.find(part), std::string::npos) << refused.err;
  set_node_setting("anna", "port = \"7443\"", "prot = 7443");
  const Outcome misspelt = node("anna", {"start"});
  EXPECT_EQ(misspelt.exit_code, 3) << misspelt.err;
  EXPECT_NE(misspelt.err.find("port"), std::string::npos) << misspelt.err;
}

TEST_F(RefusalsTest, ATamperedInviteIsNotJoined) {
  std::string invite = read_text(home() / "invite.json");
  const std::size_t at = invite.find("test-federation");
  ASSERT_NE(at, std::string::npos);
  invite.replace(at, 4, "fake");
  std::ofstream(root() / "changed.json") << invite;
  ASSERT_EQ(node("eve", {"init", "eve"}).exit_code, 0);
  const Outcome refused = node("eve", {"join", (root() / "changed.json").string()});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_NE(refused.err.find("changed.json"), std::string::npos) << refused.err;
}

}  // namespace
}  // namespace fovea::test

// Failure class: a site is away for ever, for a small reason. Whatever kept it away, once that is over it is back by
// itself, the reason is told there and at the coordinator, and the model of a run that it took part in is complete.
#include <signal.h>

#include <algorithm>
#include <atomic>

#include "node/training/trainer.h"
#include "tests/integration/federation_fixture.h"
#include "tests/integration/site_thread.h"

namespace fovea::test {
namespace {

const std::vector<std::string> kWithoutDora = {"anna", "berta", "clara"};

class AwayTest : public FederationTest {
 protected:
  void slow_down() {
    for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 100");
  }
  void kill_site(const std::string& site) {
    sites_.at(site).signal(SIGKILL);
    EXPECT_EQ(sites_.at(site).wait(kPatience), 128 + SIGKILL);
  }
  std::size_t coordinator_events() const { return events_of(home() / "events.jsonl").size(); }
  // The first sum after so many events, with this site in it.
  void expect_sum_with(const std::string& site, std::size_t after) {
    const auto seen = [&] {
      const std::vector<Json> events = events_of(home() / "events.jsonl");
      return std::any_of(events.begin() + static_cast<std::ptrdiff_t>(std::min(after, events.size())), events.end(),
                         [&](const Json& event) {
                           return event.value("event", "") == "round_finished" && contains(event["contributors"], site);
                         });
    };
    EXPECT_TRUE(wait_until(home(), seen, kPatience)) << "no sum with " << site;
  }
  Json sum_of_everyone() {
    return wait_for_coordinator("round_finished",
                                [](const Json& event) { return event["contributors"].size() == kSites.size(); });
  }
  // A run that ends while dora is away; the others have its last sum.
  void end_without_dora() {
    make_plan({.rounds = 3});
    slow_down();
    serve();
    for (const std::string& site : kWithoutDora) start_site(site, {"--until-complete"});
    start_site("dora");
    sum_of_everyone();
    kill_site("dora");
    for (const std::string& site : kWithoutDora) EXPECT_EQ(sites_.at(site).wait(kPatience), 0);
    EXPECT_NE(node("dora", {"status"}).out.find("the final model is lacking: run "), std::string::npos);
  }
  void expect_dora_complete() {
    wait_for_site("dora", "run_complete");
    EXPECT_EQ(node("dora", {"status"}).out.find("is lacking"), std::string::npos) << node("dora", {"status"}).out;
  }
  void stop_server() {
    server_->signal(SIGTERM);
    EXPECT_EQ(server_->wait(kPatience), 0) << server_->standard_error();
  }
  std::vector<std::string> all_rosters() const {
    std::vector<std::string> out = {"--roster", (home() / "roster.json").string()};
    for (const auto& file : std::filesystem::directory_iterator(home() / "rosters"))
      out.insert(out.end(), {"--roster", file.path().string()});
    return out;
  }
  void expect_sound(const std::filesystem::path& owner) {
    std::vector<std::string> arguments = {"--json", "--quiet", "verify", owner.string()};
    for (std::string& argument : all_rosters()) arguments.push_back(std::move(argument));
    const Outcome verified = run_program("fovea-audit", arguments, root() / ("audit-" + std::to_string(++commands_)));
    EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
  }
};

TEST_F(AwayTest, AfterTheLastRoundTheCoordinatorGoesOnUntilASiteThatWasAwayHasItsSum) {
  set_coordinator_setting("last_sum_s = 0", "last_sum_s = 3600");
  end_without_dora();
  EXPECT_EQ(wait_for_coordinator("handing_out",
                                 [](const Json& event) { return event["lacking"] == Json({"dora"}); })["event"],
            "handing_out");
  start_site("dora");
  expect_dora_complete();
  EXPECT_EQ(server_->wait(kPatience), 0) << server_->standard_error();
  wait_for_coordinator("site_has_last_sum", [](const Json& event) { return event["site"] == "dora"; });
}

TEST_F(AwayTest, TheSumsOfARunThatHasEndedAreHandedOutByServe) {
  end_without_dora();
  EXPECT_EQ(server_->wait(kPatience), 0) << server_->standard_error();
  EXPECT_NE(server_->standard_error().find("dora lacks the last sum of run "), std::string::npos)
      << server_->standard_error();
  const Outcome again = coordinator({"run", "start", plan_file().string()});
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_NE(again.err.find("sites that lack its last sum get it from: "), std::string::npos) << again.err;
  const Outcome nobody = coordinator({"--json", "serve", "--for", "1"});
  EXPECT_EQ(nobody.exit_code, 0) << nobody.err;
  EXPECT_EQ(Json::parse(nobody.out)["data"]["lacking"], Json({"dora"}));

  server_.emplace(
      Program::start("fovea-coordinator", {"--home", home().string(), "--json", "serve"}, root() / "serve-log"));
  start_site("dora");
  expect_dora_complete();
  EXPECT_EQ(server_->wait(kPatience), 0) << server_->standard_error();
  EXPECT_EQ(Json::parse(server_->standard_output())["data"]["lacking"], Json::array());
  // Everybody has it: nothing is left to do.
  EXPECT_EQ(coordinator({"serve"}).exit_code, 0);
}

TEST_F(AwayTest, WhileTheNextRunIsServedASiteFirstGetsTheSumThatItLacksOfTheOneBefore) {
  end_without_dora();
  EXPECT_EQ(server_->wait(kPatience), 0) << server_->standard_error();
  make_plan({.rounds = 400, .seed = 4711});
  const std::size_t before = coordinator_events();
  serve();
  start_all_sites();
  wait_for_site("dora", "run_complete");
  expect_sum_with("dora", before);
  stop_server();
}

TEST_F(AwayTest, ASiteThatMissedTwoRostersFollowsTheSumsThatWereMadeUnderThem) {
  make_plan({.rounds = 400});
  slow_down();
  serve();
  start_all_sites();
  sum_of_everyone();
  kill_site("dora");
  for (int renewal = 0; renewal < 2; ++renewal) {
    const std::size_t before = coordinator_events();
    ASSERT_EQ(coordinator({"sign", "--renew"}).exit_code, 0);
    expect_sum_with("anna", before);
    wait_for_coordinator("roster_adopted", [&](const Json& event) { return event["epoch"] == 2 + renewal; });
    expect_sum_with("anna", coordinator_events());
  }
  const std::size_t before = coordinator_events();
  start_site("dora");
  EXPECT_EQ(wait_for_site("dora", "past_roster_taken")["epoch"], 2);
  expect_sum_with("dora", before);
  stop_server();
  sites_.at("dora").signal(SIGTERM);
  EXPECT_EQ(sites_.at("dora").wait(kPatience), 0);
  // Its ledger names the roster that it went by, for who compares ledgers; the newest is in force after it.
  std::vector<std::uint64_t> epochs;
  for (const Json& entry : entries_of(site_folder("dora")))
    if (entry["type"] == "roster.epoch") epochs.push_back(entry["epoch"]);
  EXPECT_EQ(epochs, (std::vector<std::uint64_t>{1, 3, 2, 3}));
  expect_sound(site_folder("dora"));
  expect_sound(home());
}

TEST_F(AwayTest, AHospitalThatJoinsARunThatHasBegunTakesPartInIt) {
  make_plan({.rounds = 400});
  slow_down();
  serve();
  start_all_sites();
  sum_of_everyone();
  make_site("emil");
  for (const std::string site : {"anna", "berta", "clara", "dora", "emil"}) accept_all(site);
  approve("emil");
  const std::size_t before = coordinator_events();
  start_site("emil");
  expect_sum_with("emil", before);
  EXPECT_EQ(wait_for_site("emil", "past_roster_taken")["epoch"], 1);
  stop_server();
}

TEST_F(AwayTest, ASiteThatIsSignedAgainAfterItWasRevokedTakesPartAgain) {
  make_plan({.rounds = 400});
  slow_down();
  serve();
  start_all_sites();
  sum_of_everyone();
  ASSERT_EQ(coordinator({"revoke", "clara"}).exit_code, 0);
  wait_for_site("clara", "refused");
  wait_for_coordinator("round_finished", [](const Json& event) { return !contains(event["contributors"], "clara"); });
  const std::size_t before = coordinator_events();
  ASSERT_EQ(coordinator({"sign", (site_folder("clara") / "join-request.json").string()}).exit_code, 0);
  expect_sum_with("clara", before);
  EXPECT_EQ(wait_for_site("clara", "past_roster_taken")["epoch"], 2);
  stop_server();
}

// The same as a site that starts again while its last connection is not known to be gone.
TEST_F(AwayTest, AGreetingThatWasRefusedIsRepeatedUntilTheFirstProcessIsGone) {
  make_plan({.rounds = 400});
  slow_down();
  serve();
  start_all_sites();
  sum_of_everyone();
  std::filesystem::copy(site_folder("dora"), site_folder("dora-copy"), std::filesystem::copy_options::recursive);
  start_site("dora-copy");
  EXPECT_EQ(wait_for_coordinator("second_process_refused")["site"], "dora");
  const Json refused = wait_for_site("dora-copy", "refused_by_coordinator");
  EXPECT_EQ(refused["kind"], "hello");
  expect_status("dora-copy", "the coordinator has another connection under this site's keys");
  EXPECT_NE(node("dora-copy", {"doctor"}).out.find("another connection under this site's keys"), std::string::npos);
  const std::size_t before = coordinator_events();
  kill_site("dora");
  wait_for_site("dora-copy", "run_opened");
  expect_sum_with("dora", before);
  // However often it asks, it is said once.
  const std::vector<Json> events = events_of(home() / "events.jsonl");
  EXPECT_EQ(std::count_if(events.begin(), events.end(),
                          [](const Json& event) { return event["event"] == "second_process_refused"; }),
            1);
  stop_server();
}

TEST_F(AwayTest, APlanThatWasRejectedBeforeItsRunAndIsApprovedLaterIsTakenUp) {
  make_plan({.rounds = 400}, {"dora"});
  slow_down();
  std::filesystem::copy_file(plan_file(), site_folder("dora") / "plans" / (plan_hash_ + ".json"));
  ASSERT_EQ(node("dora", {"plan", "reject", plan_hash_.substr(0, 12), "--by", "tester"}).exit_code, 0);
  shorten_joining();
  serve();
  start_all_sites();
  wait_for_coordinator("site_failure",
                       [](const Json& event) { return event["site"] == "dora" && event["reason"] == "plan-rejected"; });
  expect_status("dora", "a person here rejected the plan at 20");
  const std::size_t before = coordinator_events();
  approve("dora");
  expect_sum_with("dora", before);
  stop_server();
}

// As a trainer that reads the site's studies does: none are there, then none with findings, then all.
TEST_F(AwayTest, ASiteThatHasNothingToLearnFromTakesPartWhenItHas) {
  node::io::block_stop_signals();
  enum class Studies { none, without_findings, enough };
  std::atomic<Studies> studies = Studies::none;
  struct Fruitless final : node::training::Trainer {
    Result<node::training::TrainingOutcome> train(const node::training::TrainingTask&,
                                                  const node::training::TrainingProgress&) override {
      return failed_precondition("no study here has known findings");
    }
  };
  const auto make =
      [&studies](const federation::membership::Plan& plan) -> Result<std::unique_ptr<node::training::Trainer>> {
    if (studies == Studies::none) return failed_precondition("no usable studies of the split \"train\" at this site");
    if (studies == Studies::without_findings)
      return std::unique_ptr<node::training::Trainer>(std::make_unique<Fruitless>());
    return SiteThread::make_probe(plan);
  };
  make_plan({.rounds = 400});
  slow_down();
  shorten_joining();
  serve();
  for (const char* site : {"berta", "clara", "dora"}) start_site(site);
  const SystemClock clock;
  const SiteThread anna(site_folder("anna"), clock, make);
  const auto of_anna = [](const Json& event) {
    return event["site"] == "anna" && event["reason"] == "training-failed";
  };
  wait_for_coordinator("site_failure", of_anna);
  expect_status("anna", "cannot be trained here: no usable studies of the split \"train\" at this site");
  EXPECT_NE(node("anna", {"doctor"}).out.find("cannot be trained here"), std::string::npos);
  studies = Studies::without_findings;
  wait_for_site("anna", "training_failed");
  wait_for_coordinator("site_failure", [&](const Json& event) { return of_anna(event) && event["round"] > 0; });
  const std::size_t before = coordinator_events();
  studies = Studies::enough;
  expect_sum_with("anna", before);
  stop_server();
}

}  // namespace
}  // namespace fovea::test

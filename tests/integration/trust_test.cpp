// Who says so, by real processes: a rejection or a stricter policy in mid-round, and blame over a restart.
#include <signal.h>

#include <fstream>

#include "tests/integration/federation_fixture.h"

namespace fovea::test {
namespace {

class TrustTest : public FederationTest {
 protected:
  void begin_long_run() {
    shorten_joining();
    make_plan({.rounds = 400, .phase_s = 2});
    for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 100");
    serve();
  }
  void stop(Program& program) {
    program.signal(SIGTERM);
    EXPECT_EQ(program.wait(kPatience), 0) << program.standard_error();
  }
  void stop_everything() {
    stop(*server_);
    for (const std::string& site : kSites) stop(sites_.at(site));
  }
  // A sum over exactly these sites, after the `after`-th line of the coordinator's events.
  void wait_for_sum_of(const std::vector<std::string>& sites, std::size_t after) {
    const auto seen = [&] {
      const std::vector<Json> events = events_of(home() / "events.jsonl");
      return std::any_of(events.begin() + static_cast<std::ptrdiff_t>(std::min(after, events.size())), events.end(),
                         [&](const Json& event) {
                           return event.value("event", "") == "round_finished" && event["contributors"] == Json(sites);
                         });
    };
    EXPECT_TRUE(wait_until(home(), seen, kPatience)) << "no sum over " << Json(sites);
  }
  void expect_never(const std::string& site, const std::string& text) {
    EXPECT_EQ(sites_.at(site).standard_error().find(text), std::string::npos) << sites_.at(site).standard_error();
  }
  std::size_t coordinator_events() const { return events_of(home() / "events.jsonl").size(); }
  void expect_sound(const std::filesystem::path& owner) {
    const Outcome verified = run_program(
        "fovea-audit", {"--json", "--quiet", "verify", owner.string(), "--roster", (home() / "roster.json").string()},
        root() / ("audit-" + std::to_string(++commands_)));
    EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
  }
  // As an auditor sees it: the file of signed messages, and the ledger that names it.
  void expect_sound_evidence(const std::string& run, const std::string& digest) {
    const Outcome checked =
        run_program("fovea-audit",
                    {"--json", "--quiet", "evidence", (home() / "runs" / run / "blame" / "pardoned" / digest).string(),
                     "--coordinator", home().string(), "--roster", (home() / "roster.json").string()},
                    root() / ("audit-" + std::to_string(++commands_)));
    EXPECT_EQ(checked.exit_code, 0) << checked.out << checked.err;
    const Json found = Json::parse(checked.out)["data"]["evidence"][0];
    EXPECT_EQ(found["reason"], "model-differs");
    EXPECT_EQ(found["messages"][0]["sender"], "dora");
    EXPECT_EQ(found["messages"][0]["signed"], true);
  }
  static bool of_plan(const Json& entry) { return entry["type"] == "egress.intent" && entry.contains("plan"); }
};

const std::vector<std::string> kWithoutDora = {"anna", "berta", "clara"};

// The site holds the order to send its masked vector when the plan is rejected: it must not follow it.
TEST_F(TrustTest, APlanRejectedInMidRoundTakesEffectBeforeTheNextByte) {
  begin_long_run();
  for (const std::string& site : kSites)
    start_site(site,
               site == "dora" ? std::vector<std::string>{"--hold-after", "shares:2"} : std::vector<std::string>{});
  wait_for_site("dora", "held");
  const Outcome rejected = node("dora", {"plan", "reject", plan_hash_.substr(0, 12), "--by", "tester"});
  ASSERT_EQ(rejected.exit_code, 0) << rejected.err;
  const std::size_t before = coordinator_events();
  sites_.at("dora").signal(SIGCONT);
  wait_for_site("dora", "plan_withdrawn");
  wait_for_coordinator("site_failure",
                       [](const Json& event) { return event["site"] == "dora" && event["reason"] == "plan-rejected"; });
  wait_for_sum_of(kWithoutDora, before);
  expect_status("dora", "a person here rejected the plan at 20");
  expect_never("dora", "nobody at this site approved the plan");
  EXPECT_NE(server_->standard_error().find("dora refused: plan-rejected, in round "), std::string::npos);
  EXPECT_EQ(server_->standard_error().find("tester"), std::string::npos);
  // A later approval takes the site back in.
  approve("dora");
  wait_for_site("dora", "plan_approved_again");
  wait_for_sum_of(kSites, coordinator_events());
  stop_everything();

  const std::vector<Json> entries = entries_of(site_folder("dora"));
  const auto type = [](const char* wanted) { return [wanted](const Json& entry) { return entry["type"] == wanted; }; };
  const auto withdrawn = std::find_if(entries.begin(), entries.end(), type("plan.withdrawn"));
  ASSERT_NE(withdrawn, entries.end());
  const auto approved = std::find_if(withdrawn, entries.end(), type("plan.approved"));
  ASSERT_NE(approved, entries.end());
  EXPECT_EQ(std::count_if(withdrawn, approved, of_plan), 0);
  EXPECT_GT(std::count_if(withdrawn, approved, type("egress.intent")), 0);  // the reason, and greetings
  const auto closed = std::find_if(withdrawn, approved, type("round.close"));
  ASSERT_NE(closed, approved);
  EXPECT_EQ((*closed)["outcome"], "abandoned");
  EXPECT_EQ(std::count_if(entries.begin(), withdrawn,
                          [](const Json& e) { return e.value("kind", "") == "masked-chunk" && e["round"] == 2; }),
            0);
  expect_sound(site_folder("dora"));
  expect_sound(home());
}

// The site holds the order to send its masked vector when a person takes back that berta is who it says.
TEST_F(TrustTest, AnAcceptanceTakenBackInMidRoundTakesEffectBeforeTheNextByte) {
  begin_long_run();
  for (const std::string& site : kSites)
    start_site(site,
               site == "dora" ? std::vector<std::string>{"--hold-after", "shares:2"} : std::vector<std::string>{});
  wait_for_site("dora", "held");
  const Outcome taken = node("dora", {"roster", "forget", "berta", "--by", "tester"});
  ASSERT_EQ(taken.exit_code, 0) << taken.err;
  EXPECT_NE(taken.out.find("acceptance taken back by tester"), std::string::npos) << taken.out;
  const std::size_t before = coordinator_events();
  sites_.at("dora").signal(SIGCONT);
  EXPECT_EQ(wait_for_site("dora", "acceptances_withdrawn")["sites"], Json({"berta"}));
  wait_for_sum_of(kWithoutDora, before);
  // Nor is a sum followed in which berta is one colluder too many.
  wait_for_site("dora", "message_refused", [](const Json& event) {
    return event["reason"] == "unacquainted-sites" &&
           event["why"].get<std::string>().find("(berta)") != std::string::npos;
  });
  expect_status("dora", "1 site is not accepted here and counts as a colluder");
  const Json listed = Json::parse(node("dora", {"--json", "roster", "list"}).out)["data"];
  EXPECT_EQ(listed["unaccepted"], 1);
  EXPECT_EQ(listed["sites"][1]["standing"], "withdrawn");
  // There is nothing left to take back, and nobody who was never there.
  const Outcome twice = node("dora", {"roster", "forget", "berta", "--by", "tester"});
  EXPECT_EQ(twice.exit_code, 0) << twice.err;
  EXPECT_NE(twice.out.find("berta  is not accepted here: there is nothing to take back"), std::string::npos)
      << twice.out;
  EXPECT_NE(node("dora", {"roster", "forget", "eve", "--by", "tester"}).exit_code, 0);
  // What a person took back is not given again in passing, but by name.
  const Outcome all = node("dora", {"roster", "accept", "--all", "--by", "tester"});
  EXPECT_NE(all.out.find("berta  not accepted: the acceptance was taken back by tester"), std::string::npos) << all.out;
  const Outcome again = node("dora", {"roster", "accept", "berta", "--by", "tester"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  wait_for_site("dora", "sites_accepted", [](const Json& event) { return event["sites"] == Json({"berta"}); });
  wait_for_sum_of(kSites, coordinator_events());
  stop_everything();

  const std::vector<Json> entries = entries_of(site_folder("dora"));
  const auto type = [](const char* wanted) { return [wanted](const Json& entry) { return entry["type"] == wanted; }; };
  const auto ended = std::find_if(entries.begin(), entries.end(), type("roster.withdrawn"));
  ASSERT_NE(ended, entries.end());
  EXPECT_EQ(std::count_if(ended, entries.end(), type("roster.withdrawn")), 1);
  const auto accepted = std::find_if(ended, entries.end(), type("roster.accepted"));
  ASSERT_NE(accepted, entries.end());
  EXPECT_EQ(std::count_if(ended, accepted,
                          [](const Json& entry) {
                            const std::string kind = entry.value("kind", "");
                            return kind == "masked-chunk" || kind == "unmask-shares" || kind == "keys";
                          }),
            0);
  const auto closed = std::find_if(ended, accepted, type("round.close"));
  ASSERT_NE(closed, accepted);
  EXPECT_EQ((*closed)["outcome"], "abandoned");
  expect_sound(site_folder("dora"));
  const std::filesystem::path page = root() / "report.html";
  const Outcome report = run_program(
      "fovea-audit",
      {"report", site_folder("dora").string(), "--roster", (home() / "roster.json").string(), "--out", page.string()},
      root() / "report");
  EXPECT_EQ(report.exit_code, 0) << report.out << report.err;
  EXPECT_NE(read_text(page).find("<td>taken back</td><td>tester</td>"), std::string::npos);
}

TEST_F(TrustTest, APolicyMadeStricterIsInForceWithoutARestart) {
  begin_long_run();
  start_all_sites();
  wait_for_sum_of(kSites, 0);
  set_node_setting("dora", "cohort_min = 3", "cohort_min = 16");
  sites_.at("dora").signal(SIGHUP);
  EXPECT_TRUE(wait_for_site("dora", "policy_reloaded")["forbids_plan"].get<bool>());
  wait_for_coordinator("site_failure",
                       [](const Json& event) { return event["site"] == "dora" && event["reason"] == "local-policy"; });
  wait_for_sum_of(kWithoutDora, coordinator_events());
  for (const Json& event : events_of(home() / "events.jsonl")) {
    if (event["event"] == "site_failure" && event["site"] == "dora") {
      EXPECT_NE(event["reason"], "plan-not-approved");
    }
  }
  const std::string rule = "approved, but refused by cohort_min = 16 (the plan has 3)";
  expect_status("dora", rule);
  const Outcome listed = node("dora", {"plan", "list"});
  EXPECT_NE(listed.out.find(rule), std::string::npos) << listed.out << listed.err;
  expect_never("dora", "nobody at this site approved the plan");
  expect_never("dora", "withdrawn");
  set_node_setting("dora", "cohort_min = 16", "cohort_min = 3");
  sites_.at("dora").signal(SIGHUP);
  wait_for_sum_of(kSites, coordinator_events());
  // A mistake in the file changes nothing, and is named.
  set_node_setting("dora", "cohort_min = 3", "cohort_min = 1");
  sites_.at("dora").signal(SIGHUP);
  EXPECT_NE(wait_for_site("dora", "policy_not_reloaded")["why"].get<std::string>().find("node.toml"),
            std::string::npos);
  wait_for_sum_of(kSites, coordinator_events());
  expect_never("dora", "\\n");  // a log line is one line, for people
  EXPECT_NE(sites_.at("dora").standard_error().find("; fix: cohort_min = 3"), std::string::npos);
  stop_everything();
  expect_sound(site_folder("dora"));
}

// The person had approved it; the policy became stricter before the node was started, and is loosened while it runs.
TEST_F(TrustTest, APlanThatThePolicyRulesOutIsTakenUpWhenThePolicyAllowsIt) {
  begin_long_run();
  set_node_setting("dora", "cohort_min = 3", "cohort_min = 16");
  start_all_sites();
  const std::string rule = "approved, but refused by cohort_min = 16 (the plan has 3)";
  const Json refused = wait_for_site("dora", "plan_refused");
  EXPECT_NE(refused["why"].get<std::string>().find(rule), std::string::npos) << refused;
  expect_status("dora", rule);
  wait_for_coordinator("site_failure",
                       [](const Json& event) { return event["site"] == "dora" && event["reason"] == "local-policy"; });
  wait_for_sum_of(kWithoutDora, 0);
  set_node_setting("dora", "cohort_min = 16", "cohort_min = 3");
  sites_.at("dora").signal(SIGHUP);
  wait_for_site("dora", "run_opened");
  wait_for_sum_of(kSites, coordinator_events());
  stop_everything();
}

// A coordinator that forgot whom it blamed would let the site in again, and its evidence would be gone.
TEST_F(TrustTest, BlameSurvivesARestartUntilAnAdministratorPardons) {
  begin_long_run();
  for (const std::string& site : kSites) start_site(site, {"--hold-after", "keys:3"});
  for (const std::string& site : kSites) wait_for_site(site, "held");
  for (const std::string& site : kSites) stop(sites_.at(site));
  // One weight of dora's model is another from here on.
  const std::string run = wait_for_coordinator("run_started")["run"];
  const std::filesystem::path model = site_folder("dora") / "runs" / run / "model.safetensors";
  std::string bytes = read_text(model);
  ASSERT_GT(bytes.size(), 4U);
  bytes[bytes.size() - 4] = static_cast<char>(bytes[bytes.size() - 4] ^ 1);
  std::ofstream(model, std::ios::binary) << bytes;
  start_site("dora");
  const Json blamed = wait_for_coordinator("site_blamed");
  EXPECT_EQ(blamed["site"], "dora");
  EXPECT_EQ(blamed["reason"], "model-differs");
  EXPECT_EQ(blamed["messages"], 1);

  server_->signal(SIGKILL);
  ASSERT_EQ(server_->wait(kPatience), 128 + SIGKILL);
  const Json sites = Json::parse(coordinator({"--json", "sites"}).out)["data"];
  ASSERT_EQ(sites["left_out"].size(), 1U);
  EXPECT_EQ(sites["left_out"][0]["site"], "dora");
  EXPECT_EQ(sites["left_out"][0]["evidence"], blamed["evidence"]);
  EXPECT_NE(coordinator({"sites"}).out.find("model-differs"), std::string::npos);
  std::size_t before = coordinator_events();
  serve();
  for (const std::string& site : kWithoutDora) start_site(site);
  wait_for_sum_of(kWithoutDora, before);
  const std::vector<Json> since = events_of(home() / "events.jsonl");
  for (std::size_t i = before; i < since.size(); ++i) {
    EXPECT_NE(since[i]["event"], "site_blamed") << "of the same process only";
    if (since[i]["event"] == "round_finished") {
      EXPECT_EQ(since[i]["contributors"], Json(kWithoutDora));
    }
  }

  // dora makes its model again from what was published; a stranger's key pardons nobody.
  stop(sites_.at("dora"));
  std::filesystem::remove(model);
  ASSERT_EQ(coordinator({"administrator", (root() / "stranger.key").string()}).exit_code, 0);
  EXPECT_NE(coordinator({"pardon", "dora", "--run", run, "--key", (root() / "stranger.key").string()}).exit_code, 0);
  EXPECT_NE(coordinator({"pardon", "anna", "--run", run}).exit_code, 0);
  const Outcome pardoned = coordinator({"pardon", "dora", "--run", run, "--reason", "a disk fault"});
  ASSERT_EQ(pardoned.exit_code, 0) << pardoned.err;
  EXPECT_EQ(wait_for_coordinator("site_pardoned")["evidence"], blamed["evidence"]);
  before = coordinator_events();
  start_site("dora");
  wait_for_sum_of(kSites, before);
  EXPECT_TRUE(Json::parse(coordinator({"--json", "sites"}).out)["data"]["left_out"].empty());
  stop_everything();

  const std::vector<Json> entries = entries_of(home());
  std::vector<std::string> decisions;
  for (const Json& entry : entries) {
    const std::string type = entry["type"];
    if (type != "site.blamed" && type != "site.pardoned") continue;
    decisions.push_back(type);
    EXPECT_EQ(entry["site"], "dora");
    EXPECT_EQ(entry["evidence"], blamed["evidence"]);
  }
  EXPECT_EQ(decisions,
            (std::vector<std::string>{"site.blamed", "site.blamed", "site.pardoned"}));  // each start says it
  expect_sound(home());
  expect_sound_evidence(run, blamed["evidence"]);
}

}  // namespace
}  // namespace fovea::test

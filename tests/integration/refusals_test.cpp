// What must be refused, by real processes: each refusal says why, and the run goes on for the others.
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "common/bytes.h"
#include "crypto/hash.h"
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
};

// A start that fails leaves nothing behind that later commands take for a run.
TEST_F(RefusalsTest, AStartWhosePortIsTakenMakesNoRun) {
  make_plan({.rounds = 1});
  const LoopbackSocket taken;
  ASSERT_TRUE(taken.listen_on(port_));
  const Outcome refused = coordinator({"run", "start", plan_file().string()});
  EXPECT_EQ(refused.exit_code, 4) << refused.err;
  EXPECT_NE(refused.err.find("cannot listen"), std::string::npos) << refused.err;
  EXPECT_TRUE(std::filesystem::is_empty(home() / "runs"));
  EXPECT_EQ(read_text(home() / "ledger" / "journal"), "");
}

// A run in which no round has ended has no model, and does not hide one that has.
TEST_F(RefusalsTest, TheModelThatIsExportedIsThatOfTheNewestRunWithOne) {
  const std::string output = (root() / "model.safetensors").string();
  make_plan({.rounds = 1});
  serve();
  for (const std::string& site : kSites) start_site(site, {"--until-complete"});
  expect_complete_run_of(kSites);
  const Json finished = Json::parse(server_->standard_output())["data"];
  server_.reset();
  std::filesystem::remove(home() / "events.jsonl");
  make_plan({.rounds = 2});
  serve();  // without sites
  wait_for_coordinator("run_started");
  const Outcome exported = coordinator({"--json", "model", "export", "--output", output});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_EQ(Json::parse(exported.out)["data"]["model"], finished["model"]);
}

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

// The roster is the administrators' word. Until a person at dora has compared fingerprints, the others count there as
// colluders, and an approved plan is not begun; afterwards it is, without a restart.
TEST_F(RefusalsTest, ASiteWhereNobodyAcceptedTheOthersTakesNoPartUntilAPersonDoes) {
  shorten_joining();
  make_plan({.rounds = 200, .strangers = {"dora"}});
  for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 100");
  serve();
  start_all_sites();
  const Json unknown = wait_for_site("dora", "sites_unacquainted");
  EXPECT_EQ(unknown["count"], 3);
  EXPECT_EQ(unknown["sites"], Json({"anna", "berta", "clara"}));
  wait_for_site("dora", "plan_waits_for_acceptances");
  const Json told = wait_for_coordinator("site_failure");
  EXPECT_EQ(told["site"], "dora");
  EXPECT_EQ(told["reason"], "unacquainted-sites");
  wait_for_coordinator("round_finished");
  for (const Json& event : events_of(site_folder("dora") / "events.jsonl"))
    EXPECT_NE(event["event"], "training_started");
  EXPECT_NE(node("dora", {"doctor"}).out.find("3 sites are not accepted here and count as colluders"),
            std::string::npos);
  EXPECT_NE(node("dora", {"doctor"}).out.find("a signed checkpoint of"), std::string::npos);
  const std::vector<std::string> approve_again = {"plan", "approve", plan_hash_.substr(0, 12), "--by", "tester"};
  const std::string missing = "this site does not take part yet: 3 of the roster's 4 sites are not accepted here";
  const Outcome early = node("dora", approve_again);
  EXPECT_NE(early.out.find(missing), std::string::npos) << early.out << early.err;
  EXPECT_NE(early.out.find("roster accept"), std::string::npos) << early.out;

  // What is compared: dora sees of anna what anna's own machine says of itself.
  const Json shown = Json::parse(node("dora", {"--json", "roster", "show", "anna"}).out)["data"];
  EXPECT_EQ(shown["standing"], "unaccepted");
  EXPECT_EQ(shown["fingerprint"], Json::parse(node("anna", {"--json", "status"}).out)["data"]["fingerprint"]);
  EXPECT_NE(node("dora", {"roster", "accept", "eve", "--by", "tester"}).exit_code, 0);
  EXPECT_NE(node("dora", {"roster", "accept", "dora", "--by", "tester"}).exit_code, 0);
  const Outcome accepted = node("dora", {"roster", "accept", "anna", "berta", "clara", "--by", "tester"});
  ASSERT_EQ(accepted.exit_code, 0) << accepted.err;
  EXPECT_NE(accepted.out.find(shown["fingerprint"].get<std::string>()), std::string::npos) << accepted.out;
  std::set<std::string> let_in;  // the node may look between two of the three
  wait_for_site("dora", "sites_accepted", [&](const Json& event) {
    for (const Json& site : event["sites"]) let_in.insert(site.get<std::string>());
    return let_in.size() == 3;
  });
  wait_for_coordinator("round_finished", [](const Json& event) { return contains(event["contributors"], "dora"); });
  const Json listed = Json::parse(node("dora", {"--json", "roster", "list"}).out)["data"];
  EXPECT_EQ(listed["unaccepted"], 0);
  EXPECT_EQ(node("dora", approve_again).out.find("take part yet"), std::string::npos);
  EXPECT_EQ(node("dora", {"roster", "accept", "--all", "--by", "tester"}).exit_code, 0);  // nothing is left
  server_->signal(SIGTERM);
  EXPECT_EQ(server_->wait(kPatience), 0);
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

// Doctor does not pass what the next decision will fail for.
TEST_F(RefusalsTest, AnApproversKeyThatIsGoneIsNamedByDoctorAndByWhoNeedsIt) {
  make_plan({.rounds = 1});
  const std::filesystem::path key = site_folder("anna") / "keys" / "approver.pem";
  EXPECT_NE(node("anna", {"doctor"}).out.find("approver's key"), std::string::npos);
  // Nor the ledger, without which no node starts.
  const std::filesystem::path checkpoint = site_folder("anna") / "ledger" / "checkpoint";
  std::filesystem::create_directories(checkpoint.parent_path());
  std::ofstream(checkpoint) << "half a file";
  const Outcome half = node("anna", {"doctor"});
  EXPECT_NE(half.err.find("fix this first: ledger"), std::string::npos) << half.out << half.err;
  EXPECT_NE(half.out.find(checkpoint.string()), std::string::npos) << half.out;
  std::filesystem::remove_all(checkpoint.parent_path());
  std::filesystem::remove(key);
  const Outcome doctor = node("anna", {"doctor"});
  const Outcome approve = node("anna", {"plan", "approve", plan_hash_.substr(0, 12), "--by", "tester"});
  const Outcome reject = node("anna", {"plan", "reject", plan_hash_.substr(0, 12), "--by", "tester"});
  EXPECT_NE(doctor.err.find("fix this first: approver's key"), std::string::npos) << doctor.out << doctor.err;
  for (const std::string& said : {doctor.out, approve.err, reject.err})
    for (const std::string& part : {key.string() + ": is missing", std::string("plan approve"),
                                    std::string("restore it from your backup"), std::string("fovea-node init")})
      EXPECT_NE(said.find(part), std::string::npos) << part << "\n" << said;
}

TEST_F(RefusalsTest, WeightsByStudiesAreWarnedOfAndASitesPolicyMayRefuseThem) {
  set_node_setting("anna", R"(weights = ["equal", "studies"])", R"(weights = ["equal"])");
  make_plan({.rounds = 1,
             .edit =
                 [](Json& plan) {
                   plan["strategy"]["weights"] = "studies";
                   plan["strategy"]["weight_max"] = 1000;
                 }},
            {"anna", "berta", "clara", "dora"});
  const std::string warning = "warning: strategy.weights: \"studies\" with cohort.smallest = 3, below 10";
  const Outcome valid = coordinator({"plan", "validate", plan_file().string()});
  EXPECT_NE(valid.out.find(warning), std::string::npos) << valid.out;
  for (const std::string site : {"anna", "berta"})
    std::filesystem::copy_file(plan_file(), site_folder(site) / "plans" / (plan_hash_ + ".json"));
  const Outcome shown = node("berta", {"plan", "show", plan_hash_.substr(0, 12)});
  EXPECT_NE(shown.out.find(warning), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("show that site's exact number of studies"), std::string::npos) << shown.out;
  const Outcome approved = node("berta", {"plan", "approve", plan_hash_.substr(0, 12), "--by", "tester"});
  EXPECT_EQ(approved.exit_code, 0) << approved.err;
  EXPECT_NE(approved.err.find(warning), std::string::npos) << approved.err;
  const Outcome refused = node("anna", {"plan", "approve", plan_hash_.substr(0, 12), "--by", "tester"});
  EXPECT_EQ(refused.exit_code, 6) << refused.err;
  EXPECT_NE(refused.err.find("rule weights: the plan has \"studies\""), std::string::npos) << refused.err;
}

// What an older version left beside a new run hinders neither a list nor a start.
TEST_F(RefusalsTest, APlanAndARunOfTheFormatBeforeAreListedAsUnreadableAndLeftAlone) {
  make_plan({.rounds = 1});
  Json old = Json::parse(read_text(plan_file()));
  old["fovea_plan"] = 1;
  old["strategy"] = {{"name", "fedavg"}, {"weight_max", 1000}, {"delta_max", 0.5}};
  const std::string text = old.dump(1);
  const std::string hash = to_hex(crypto::sha256(as_bytes(text)));
  const std::string run(32, 'a');
  std::filesystem::create_directories(home() / "runs" / run);
  std::ofstream(home() / "runs" / run / "plan.json") << text;
  std::ofstream(home() / "runs" / run / "run.json")
      << Json({{"fovea_run", 1}, {"run", run}, {"plan", hash}, {"started_ms", 1}}).dump();
  std::ofstream(site_folder("anna") / "plans" / (hash + ".json")) << text;
  for (const Outcome& listed : {coordinator({"run", "list"}), node("anna", {"plan", "list"})}) {
    EXPECT_EQ(listed.exit_code, 0) << listed.err;
    EXPECT_NE(listed.out.find("plan.fovea_plan: expected 2, found 1"), std::string::npos) << listed.out;
    EXPECT_NE(listed.out.find("fovea-coordinator plan new"), std::string::npos) << listed.out;
  }
  serve();
  for (const std::string& site : kSites) start_site(site, {"--until-complete"});
  expect_complete_run_of(kSites);
}

// Two runs from one model would be two sums on it, which one site fewer in the second would tell apart.
TEST_F(RefusalsTest, ASecondRunFromTheSameModelIsRefusedAndOneFromAnotherSeedIsNot) {
  make_plan({.rounds = 1});
  serve();
  for (const std::string& site : kSites) start_site(site);
  expect_complete_run_of(kSites);

  // Unasked, the coordinator begins no run that nobody would take part in.
  const Outcome complete = coordinator({"run", "start", plan_file().string()});
  EXPECT_EQ(complete.exit_code, 1) << complete.err;
  for (const char* part : {"of this plan, is complete", "model export", "another seed"})
    EXPECT_NE(complete.err.find(part), std::string::npos) << complete.err;

  // The coordinator ends the run with the first refusals, so some sites may not be asked any more.
  std::map<std::string, std::size_t> before;
  const auto begin_again = [&] {
    for (const std::string& site : kSites) before[site] = events_of(site_folder(site) / "events.jsonl").size();
    serve({"--new"});
    EXPECT_NE(server_->wait(kPatience), 0);
    EXPECT_NE(server_->standard_error().find("another seed"), std::string::npos) << server_->standard_error();
  };
  const auto was_refused = [&](const std::string& site) {
    const std::vector<Json> events = events_of(site_folder(site) / "events.jsonl");
    return std::any_of(events.begin() + static_cast<std::ptrdiff_t>(before[site]), events.end(), [](const Json& event) {
      return event["event"] == "message_refused" && event["reason"] == "model-already-released" &&
             event["why"].get<std::string>().find("in run ") != std::string::npos;
    });
  };
  begin_again();
  EXPECT_TRUE(std::any_of(kSites.begin(), kSites.end(), was_refused));
  // Nor after a restart of the nodes, nor when their registers are gone: the journal of the first run still says so.
  for (const std::string& site : kSites) {
    sites_.at(site).signal(SIGTERM);
    ASSERT_EQ(sites_.at(site).wait(kPatience), 0);
    ASSERT_TRUE(std::filesystem::remove(site_folder(site) / "register"));
    start_site(site);
  }
  begin_again();
  EXPECT_TRUE(std::any_of(kSites.begin(), kSites.end(), was_refused));

  make_plan({.rounds = 1, .seed = 77});
  serve();
  expect_complete_run_of(kSites);
}

// The ledger lies in another place than the journal and the register, and shows what they lack.
TEST_F(RefusalsTest, AJournalAndARegisterThatAreGoneAreMissedByTheLedger) {
  shorten_joining();
  make_plan({.rounds = 300});
  for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 100");
  serve();
  start_all_sites();
  wait_for_coordinator("round_finished", [](const Json& event) { return event["contributors"].size() == 4; });
  const std::string run = wait_for_coordinator("run_started")["run"];
  const auto restart_without = [&](const std::vector<std::filesystem::path>& files) {
    sites_.at("dora").signal(SIGTERM);
    ASSERT_EQ(sites_.at("dora").wait(kPatience), 0);
    for (const auto& file : files) ASSERT_TRUE(std::filesystem::remove(file)) << file;
    start_site("dora");
  };
  const std::filesystem::path journal = site_folder("dora") / "runs" / run / "journal";
  restart_without({});
  wait_for_site("dora", "run_opened", [](const Json& event) { return event["sums_applied"] > 0; });
  for (const Json& event : events_of(site_folder("dora") / "events.jsonl")) {
    EXPECT_NE(event["event"], "journal_lacks_records");
    EXPECT_NE(event["event"], "register_restored");
  }
  restart_without({journal, site_folder("dora") / "register"});
  const Json restored = wait_for_site("dora", "register_restored");
  EXPECT_GT(restored["releases"], 0);
  EXPECT_NE(restored["file"].get<std::string>().find("register"), std::string::npos);
  const Json lacks = wait_for_site("dora", "journal_lacks_records");
  EXPECT_GT(lacks["round"], 0);
  EXPECT_NE(lacks["file"].get<std::string>().find(run), std::string::npos);
  // It goes on with attempts that come after what the ledger shows.
  const std::size_t sums = events_of(home() / "events.jsonl").size();
  EXPECT_TRUE(wait_until(
      home(),
      [&] {
        const std::vector<Json> events = events_of(home() / "events.jsonl");
        return std::any_of(events.begin() + static_cast<std::ptrdiff_t>(sums), events.end(), [](const Json& event) {
          return event["event"] == "round_finished" && contains(event["contributors"], "dora");
        });
      },
      kPatience));
  server_->signal(SIGTERM);
  EXPECT_EQ(server_->wait(kPatience), 0);
}

// Half of the strangers say nothing, half of them garbage. The coordinator is started with fewer descriptors than there
// are strangers, as a shell may set it: it takes as many as it may have.
TEST_F(RefusalsTest, AThousandStrangersOnThePortLeaveHonestSitesAlone) {
  constexpr rlim_t kStrangers = 1'000;
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_max < 2 * kStrangers) GTEST_SKIP() << "at most " << limit.rlim_max << " files can be open here";
  make_plan({.rounds = 2});
  limit.rlim_cur = kStrangers / 4;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  serve();
  wait_for_coordinator("run_started");
  limit.rlim_cur = 2 * kStrangers;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  std::vector<std::unique_ptr<LoopbackSocket>> strangers;
  for (rlim_t n = 0; n < kStrangers; ++n) {
    strangers.push_back(std::make_unique<LoopbackSocket>());
    ASSERT_TRUE(strangers.back()->connect_to(port_)) << n;
    if (n % 2 == 0)
      strangers.back()->send(std::string(70'000, static_cast<char>(n * 13 + 1)));  // the others stay silent
  }
  // The next one is greeted while the silent ones are all there still: it does not wait for their descriptors.
  const LoopbackSocket next;
  ASSERT_TRUE(next.connect_to(port_));
  EXPECT_FALSE(next.receive().empty());
  EXPECT_FALSE(strangers[1]->was_closed());
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

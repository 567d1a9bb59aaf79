// Whole rounds between real processes: they complete, survive a killed hospital and a killed coordinator.
#include <signal.h>

#include <algorithm>

#include "node/io/site_folder.h"
#include "node/io/site_run.h"
#include "node/round/site_marks.h"
#include "tests/integration/federation_fixture.h"

namespace fovea::test {
namespace {

class RoundsTest : public FederationTest {
 protected:
  static inline const std::vector<std::string> kFallen = {"clara", "dora"};

  // A run in whose round 2 these two stop when they have signed: without the shares of one of them the sum stays
  // closed.
  void start_and_hold_two_after_they_signed() {
    make_plan({.rounds = 200, .phase_s = 2});
    for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 150");
    serve();
    for (const std::string& site : kSites)
      start_site(site, contains(kFallen, site) ? std::vector<std::string>{"--hold-after", "consistency:2"}
                                               : std::vector<std::string>{});
    for (const std::string& site : kFallen) wait_for_site(site, "held");
  }
  void kill_site(const std::string& site) {
    sites_.at(site).signal(SIGKILL);
    EXPECT_EQ(sites_.at(site).wait(kPatience), 128 + SIGKILL);
  }
  // After the last sum: three signed and released statements in each site's journal, and of no share a byte.
  void expect_no_shares_on_disk(const std::string& name) {
    const RunId run = RunId::parse(name).value();
    for (const std::string& site : kSites) {
      const node::io::SiteFolder folder(site_folder(site));
      const auto file = node::io::open_run_journal(folder.run(run) / "journal", run, folder.keys().value().log);
      ASSERT_TRUE(file.has_value()) << site;
      const auto memory = node::round::SiteMemory::restore(run, file->records()).value();
      ASSERT_TRUE(memory.unmasked && memory.closed) << site;
      EXPECT_EQ(memory.unmasked->ref.round, 3U) << site;
      EXPECT_EQ(memory.closed->round, 3U) << site;
      EXPECT_FALSE(node::round::without_spent_shares(run, file->records())->has_value()) << site;
    }
    EXPECT_EQ(std::filesystem::file_size(home() / "runs" / name / "journal"), 0U);
  }
};

Json summary_of(const std::filesystem::path& home, const std::string& run) {
  return Json::parse(read_text(home / "runs" / run / "summary.json"));
}

TEST_F(RoundsTest, FourSitesCompleteARunWithOneModel) {
  make_plan({.rounds = 3, .largest = 1000});  // more than the roster has, and than the complete graph takes
  serve();
  for (const std::string& site : kSites) start_site(site, {"--until-complete"});
  ASSERT_EQ(server_->wait(kPatience), 0) << server_->standard_error();
  const Json data = Json::parse(server_->standard_output())["data"];
  EXPECT_TRUE(data["complete"].get<bool>());
  for (const std::string& site : kSites) {
    ASSERT_EQ(sites_.at(site).wait(kPatience), 0) << site;
    EXPECT_EQ(wait_for_site(site, "run_complete")["model"], data["model"]) << site;
    // No later sum may be of an earlier roster, after a restart either.
    const std::filesystem::path model =
        site_folder(site) / "runs" / data["run"].get<std::string>() / "model.safetensors";
    const std::string text = read_text(model);
    EXPECT_NE(text.find("\"fovea.epoch\":\""), std::string::npos) << site;
    EXPECT_EQ(text.find("\"fovea.epoch\":\"0\""), std::string::npos) << site;  // that of the initial weights
  }
  expect_no_shares_on_disk(data["run"]);
  const Json summary = summary_of(home(), data["run"]);
  ASSERT_EQ(summary["rounds"].size(), 3U);
  for (const Json& round : summary["rounds"]) {
    EXPECT_EQ(round["contributors"].size(), 4U);
    EXPECT_EQ(round["weight_sum"], 4);  // equal weights: of 20 studies at each site nothing shows
    EXPECT_EQ(round["metric_sums"], Json({4.0, 4.0, 0.0, 0.0}));
    EXPECT_EQ(round["attempt"], 1);
  }
  const Outcome exported =
      coordinator({"--json", "model", "export", "--output", (root() / "model.safetensors").string()});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_EQ(Json::parse(exported.out)["data"]["model"], data["model"]);
}

TEST_F(RoundsTest, AHospitalKilledAfterItsSharesIsLeftOutAndComesBack) {
  make_plan({.rounds = 200, .phase_s = 2, .edit = [](Json& plan) {
               plan["strategy"]["weights"] = "studies";
               plan["strategy"]["weight_max"] = 1000;
             }});
  for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 150");
  serve();
  for (const std::string& site : kSites)
    start_site(site,
               site == "dora" ? std::vector<std::string>{"--hold-after", "shares:2"} : std::vector<std::string>{});
  wait_for_site("dora", "held");
  kill_site("dora");
  const Json without = wait_for_coordinator("round_finished", [](const Json& event) { return event["round"] == 2; });
  EXPECT_EQ(without["contributors"], Json({"anna", "berta", "clara"}));
  EXPECT_EQ(without["dropouts"], Json({"dora"}));
  // What weights by studies show: the sum before had dora's 20 studies in it.
  const Json with = wait_for_coordinator("round_finished", [](const Json& event) { return event["round"] == 1; });
  EXPECT_EQ(with["weight_sum"], 80);
  EXPECT_EQ(without["weight_sum"], 60);

  start_site("dora");
  const Json again = wait_for_coordinator("round_finished", [](const Json& event) {
    return event["round"] > 2 && contains(event["contributors"], "dora");
  });
  EXPECT_EQ(again["contributors"].size(), 4U);
  // It has the very model of the others: it applied the sum of the round in which it was killed.
  const Json applied =
      wait_for_site("dora", "sum_applied", [&](const Json& event) { return event["round"] == again["round"]; });
  EXPECT_EQ(applied["model"], again["model"]);
  server_->signal(SIGTERM);
  EXPECT_EQ(server_->wait(kPatience), 0);
}

TEST_F(RoundsTest, AHospitalKilledAfterItSignedStillReleasesItsShares) {
  start_and_hold_two_after_they_signed();
  for (const std::string& site : kFallen) kill_site(site);
  start_site("dora");
  wait_for_site("dora", "unmask_sent", [](const Json& event) { return event["round"] == 2; });
  const Json finished = wait_for_coordinator("round_finished", [](const Json& event) { return event["round"] == 2; });
  EXPECT_EQ(finished["contributors"].size(), 4U);
  EXPECT_EQ(finished["weight_sum"], 4);
  EXPECT_EQ(finished["attempt"], 1);
  start_site("clara");  // the round is over: it takes the sum, and part in the rounds that follow
  const Json again = wait_for_coordinator("round_finished", [](const Json& event) {
    return event["round"] > 2 && contains(event["contributors"], "clara");
  });
  const Json applied =
      wait_for_site("clara", "sum_applied", [&](const Json& event) { return event["round"] == again["round"]; });
  EXPECT_EQ(applied["model"], again["model"]);
  server_->signal(SIGTERM);
  EXPECT_EQ(server_->wait(kPatience), 0);
}

// Shares are sealed under the roster of their round, and given once: the newer roster waits until the sum is there.
TEST_F(RoundsTest, ACoordinatorKilledWhileSharesAreReleasedKeepsTheSumThoughTheRosterIsRenewed) {
  start_and_hold_two_after_they_signed();
  wait_for_site("anna", "unmask_sent", [](const Json& event) { return event["round"] == 2; });
  server_->signal(SIGKILL);
  EXPECT_EQ(server_->wait(kPatience), 128 + SIGKILL);
  make_site("emil");  // a roster of another epoch
  serve();
  for (const std::string& site : kFallen) {
    kill_site(site);
    start_site(site);
  }
  const Json finished = wait_for_coordinator("round_finished", [](const Json& event) { return event["round"] == 2; });
  EXPECT_EQ(finished["contributors"].size(), 4U);
  EXPECT_EQ(finished["attempt"], 1);
  const Json adopted = wait_for_coordinator("roster_adopted");
  EXPECT_EQ(adopted["sites"], 5);
  EXPECT_GE(adopted["at_ms"], finished["at_ms"]);
  // Under the new roster the run goes on from that sum.
  const Json next =
      wait_for_coordinator("round_finished", [&](const Json& event) { return event["at_ms"] > adopted["at_ms"]; });
  EXPECT_GT(next["sums"], finished["sums"]);
  for (const std::string& site : kSites)
    EXPECT_EQ(wait_for_site(site, "sum_applied", [](const Json& event) { return event["round"] == 2; })["model"],
              finished["model"])
        << site;
  server_->signal(SIGTERM);
  EXPECT_EQ(server_->wait(kPatience), 0);
}

TEST_F(RoundsTest, ACoordinatorKilledMidRunResumesTheSameRun) {
  make_plan({.rounds = 6});
  for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 100");
  serve();
  start_all_sites();
  wait_for_coordinator("round_finished", [](const Json& event) { return event["round"] == 2; });
  wait_for_coordinator("phase",
                       [](const Json& event) { return event["round"] == 3 && event["phase"] == "collecting-masked"; });
  server_->signal(SIGKILL);
  EXPECT_EQ(server_->wait(kPatience), 128 + SIGKILL);
  serve();
  ASSERT_EQ(server_->wait(kPatience), 0) << server_->standard_error();
  const Json data = Json::parse(server_->standard_output())["data"];
  EXPECT_TRUE(data["complete"].get<bool>());
  EXPECT_EQ(data["rounds_done"], 6);
  for (const std::string& site : kSites) EXPECT_EQ(wait_for_site(site, "run_complete")["model"], data["model"]);
}

TEST_F(RoundsTest, ARevokedSiteIsCutOffAndTheRunGoesOn) {
  make_plan({.rounds = 200});
  for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 100");
  serve();
  start_all_sites();
  wait_for_coordinator("round_finished", [](const Json& event) { return event["contributors"].size() == 4; });
  ASSERT_EQ(coordinator({"revoke", "clara"}).exit_code, 0);
  const Json refused = wait_for_site("clara", "refused");
  EXPECT_EQ(refused["epoch"], 1);
  // Not that it should ask to join: it was on the roster, and is told since when it is not, and what to do.
  const std::string taken_off = "on the roster of epoch 1, the newest that it has, and was taken off since";
  EXPECT_NE(refused["why"].get<std::string>().find(taken_off), std::string::npos) << refused;
  expect_status("clara", taken_off);
  EXPECT_NE(node("clara", {"status"}).out.find(": not taking part, "), std::string::npos)
      << node("clara", {"status"}).out;
  const Outcome doctor = node("clara", {"doctor"});
  EXPECT_NE(doctor.out.find(taken_off), std::string::npos) << doctor.out;
  EXPECT_NE(doctor.out.find("sign join-request.json again"), std::string::npos) << doctor.out;
  const Json after = wait_for_coordinator("round_finished",
                                          [](const Json& event) { return !contains(event["contributors"], "clara"); });
  EXPECT_EQ(after["contributors"], Json({"anna", "berta", "dora"}));
  // What it was told to do is enough to be let in again, without a restart.
  ASSERT_EQ(coordinator({"sign", (site_folder("clara") / "join-request.json").string()}).exit_code, 0);
  for (const auto& roster : std::filesystem::directory_iterator(home() / "rosters"))
    std::filesystem::remove(roster.path());
  EXPECT_EQ(wait_for_site("clara", "roster_adopted", [](const Json& event) { return event["epoch"] == 3; })["sites"],
            4);
  // But sums were made under epoch 2, which it never had and the coordinator has no more: it cannot follow this run.
  // That is said once, there and here, and nobody asks it for what it cannot do.
  wait_for_coordinator("site_cut_off", [](const Json& event) { return event["site"] == "clara"; });
  wait_for_site("clara", "cut_off");
  const std::string without =
      "goes on without this site: by the coordinator's word it made sums under rosters that this site never had";
  expect_status("clara", without);
  EXPECT_NE(node("clara", {"doctor"}).out.find(without), std::string::npos);
  const Outcome listed = coordinator({"sites"});
  EXPECT_NE(listed.out.find("clara: run "), std::string::npos) << listed.out << listed.err;
  EXPECT_NE(listed.out.find(" goes on without it since round "), std::string::npos) << listed.out;
  const auto count = [&](const std::filesystem::path& file, const std::string& name) {
    const std::vector<Json> events = events_of(file);
    return std::count_if(events.begin(), events.end(), [&](const Json& event) { return event["event"] == name; });
  };
  const auto refused_at_clara = [&] { return count(site_folder("clara") / "events.jsonl", "message_refused"); };
  const auto rounds = [&] { return count(home() / "events.jsonl", "round_finished"); };
  const auto more_rounds = [&](std::ptrdiff_t more) {
    const auto before = rounds();
    return wait_until(
        home(), [&] { return rounds() >= before + more; }, kPatience);
  };
  ASSERT_TRUE(more_rounds(1));  // what was under way when it said so
  const auto before = refused_at_clara();
  ASSERT_TRUE(more_rounds(8));
  EXPECT_EQ(refused_at_clara(), before);
  EXPECT_EQ(count(home() / "events.jsonl", "site_cut_off"), 1);
  EXPECT_EQ(count(site_folder("clara") / "events.jsonl", "cut_off"), 1);

  // A node that was stopped does not run, whatever it wrote of itself a moment ago.
  sites_.at("clara").signal(SIGTERM);
  EXPECT_EQ(sites_.at("clara").wait(kPatience), 0);
  EXPECT_NE(node("clara", {"status"}).out.find("not running"), std::string::npos);
  server_->signal(SIGTERM);
  EXPECT_EQ(server_->wait(kPatience), 0);
}

}  // namespace
}  // namespace fovea::test

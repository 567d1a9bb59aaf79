// Failure class: a roster that is valid is refused, or one that has run out is used, because a clock is off; and it
// does not heal without a restart. One site's daemon runs inside the test, under a clock that the test moves.
#include <signal.h>

#include <algorithm>

#include "coordinator/registry/coordinator_folder.h"
#include "crypto/key_file.h"
#include "tests/integration/coordinator_thread.h"
#include "tests/integration/federation_fixture.h"
#include "tests/integration/site_thread.h"

namespace fovea::test {
namespace {

using ClockTest = FederationTest;
using ServedTest = FederationTest;

TEST_F(ClockTest, AClockThatIsOffIsToldApartFromARosterThatHasRunOutAndBothHealWithoutARestart) {
  node::io::block_stop_signals();
  make_plan({.rounds = 60});
  for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 100");
  serve();
  for (const char* site : {"berta", "clara", "dora"}) start_site(site);
  MovedClock clock;
  clock.set_ahead_days(-10);
  const SiteThread anna(site_folder("anna"), clock);
  const auto says = [](const std::string& text) {
    return [text](const Json& event) { return event["why"].get<std::string>().find(text) != std::string::npos; };
  };
  wait_for_site("anna", "roster_ignored", says("this machine's clock is 10 days behind the coordinator's"));
  const auto doctor_says_so = [&] {
    const std::string said = node("anna", {"doctor"}).out;
    return said.find("FAIL  roster and clock") != std::string::npos &&
           said.find("the roster of epoch 1 is not valid yet, but this machine's clock is 10 days behind") !=
               std::string::npos;
  };
  EXPECT_TRUE(wait_until(site_folder("anna"), doctor_says_so, kPatience));
  clock.set_ahead_days(0);
  wait_for_site("anna", "roster_adopted");
  const auto with_anna = [](const Json& event) { return contains(event["contributors"], "anna"); };
  wait_for_coordinator("round_finished", with_anna);

  // By anna's clock the roster, valid for seven days, has run out in the middle of the run.
  clock.set_ahead_days(8);
  wait_for_site("anna", "message_refused", [](const Json& event) { return event["reason"] == "roster-expired"; });
  wait_for_site("anna", "roster_ignored", says("this machine's clock is 8 days ahead of the coordinator's"));
  const Json told = wait_for_coordinator("site_failure");
  EXPECT_EQ(told["site"], "anna");
  EXPECT_EQ(told["reason"], "roster-expired");
  wait_for_coordinator("round_finished", [&](const Json& event) {
    return event["at_ms"] > told["at_ms"] && !contains(event["contributors"], "anna");
  });
  clock.set_ahead_days(0);
  wait_for_coordinator("round_finished",
                       [&](const Json& event) { return event["at_ms"] > told["at_ms"] && with_anna(event); });
  server_->signal(SIGTERM);
  EXPECT_EQ(server_->wait(kPatience), 0);
}

// All hospitals would refuse, so each round would end without a sum, and twelve of them the run. The coordinator's
// clock is moved; the roster was signed three days ago, so that the renewed one is valid by its clock and by the
// others'.
TEST_F(ClockTest, ARosterThatRunsOutInMidRunIsWarnedOfAndWaitedForAndANewerOneGoesOnByItself) {
  coordinator::io::block_stop_signals();
  shorten_joining();
  make_plan({.rounds = 400});
  for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 100");
  const auto passphrase = crypto::SecretBytes::copy_of(as_bytes(std::string_view(kPassphrase)));
  const auto key = crypto::read_protected_key_file(administrator_key(), passphrase);
  ASSERT_TRUE(key) << key.error().message;
  const coordinator::registry::CoordinatorFolder folder(home());
  const auto sign = [&](std::int64_t days_ago) {
    // Over one of today, with a clock that is three days behind.
    const coordinator::registry::RosterChange change{
        .added = {}, .removed = {}, .waiting = coordinator::registry::Waiting::replace};
    const auto roster = folder.sign_next(change, *key, UnixMs{SystemClock().wall().value - days_ago * 24 * 3'600'000});
    ASSERT_TRUE(roster) << roster.error().message;
  };
  sign(3);
  MovedClock clock;
  CoordinatorThread coordinator(home(), plan_file(), clock);
  // The first event of this name after what was written when the clock was moved last.
  std::size_t before = 0;
  const auto move = [&](std::int64_t days_ahead) {
    before = events_of(home() / "events.jsonl").size();
    clock.set_ahead_days(days_ahead);
  };
  const auto wait_since = [&](const std::string& name) {
    Json found = Json::object();
    const auto seen = [&] {
      const std::vector<Json> events = events_of(home() / "events.jsonl");
      for (std::size_t i = before; i < events.size() && found.empty(); ++i)
        if (events[i]["event"] == name) found = events[i];
      return !found.empty();
    };
    EXPECT_TRUE(wait_until(home(), seen, kPatience)) << name;
    return found;
  };
  start_all_sites();
  wait_since("round_finished");
  move(3);
  EXPECT_LT(wait_since("roster_runs_out")["left_ms"].get<std::int64_t>(), 24 * 3'600'000);

  move(5);
  const Json over = wait_since("roster_not_valid");
  for (const std::string part : {"epoch 2 ran out at ", "fovea-coordinator sign --renew", "fovea-coordinator take"})
    EXPECT_NE(over["why"].get<std::string>().find(part), std::string::npos) << over;
  EXPECT_TRUE(coordinator.comes_to_show("waiting: the roster of epoch 2 ran out at ", kPatience));
  move(0);  // a clock that was wrong is put right
  wait_since("roster_valid");
  wait_since("round_finished");
  move(5);
  wait_since("roster_not_valid");
  before = events_of(home() / "events.jsonl").size();
  sign(0);
  EXPECT_EQ(wait_since("roster_adopted")["epoch"], 3);
  wait_since("round_finished");

  // In between nothing was begun, and the warning came once for its threshold.
  bool waiting = false;
  int warnings = 0;
  for (const Json& event : events_of(home() / "events.jsonl")) {
    const std::string name = event["event"];
    if (name == "roster_not_valid") waiting = true;
    if (name == "roster_valid" || name == "roster_adopted") waiting = false;
    if (name == "roster_runs_out") ++warnings;
    EXPECT_FALSE(waiting && name == "round_started") << event;
  }
  EXPECT_EQ(warnings, 1);
}

// Whoever serves must see for whom to telephone.
TEST_F(ServedTest, WhoHasYetToApproveAndWhoIsWaitedForIsShown) {
  coordinator::io::block_stop_signals();
  make_plan({.rounds = 1}, {"dora"});
  const MovedClock clock;
  CoordinatorThread server(home(), plan_file(), clock);
  start_site("dora");
  const std::string dora = "1 more is connected and waits for a person's approval there";
  EXPECT_TRUE(server.comes_to_show("0 of 4 sites have joined, " + dora + ", at least 3 are needed", kPatience));
  for (const char* site : {"anna", "berta", "clara"}) start_site(site);
  EXPECT_TRUE(server.comes_to_show("3 of 4 sites have joined, " + dora + " · waiting for dora, 00:", kPatience));
  approve("dora");
  const Json finished = wait_for_coordinator("round_finished");
  EXPECT_EQ(finished["contributors"].size(), 4U);
}

}  // namespace
}  // namespace fovea::test

// Failure class: a roster that is valid is refused, or one that has run out is used, because a clock is off; and it
// does not heal without a restart. One site's daemon runs inside the test, under a clock that the test moves.
#include <signal.h>

#include "tests/integration/federation_fixture.h"
#include "tests/integration/site_thread.h"

namespace fovea::test {
namespace {

using ClockTest = FederationTest;

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

}  // namespace
}  // namespace fovea::test

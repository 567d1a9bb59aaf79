// Failure class: a roster that is valid is refused, or one that has run out is used, because a clock is off; and it
// does not heal without a restart. One site's daemon runs inside the test, under a clock that the test moves.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "federation/model/layout.h"
#include "node/io/site_driver.h"
#include "node/training/probe_trainer.h"
#include "tests/integration/federation_fixture.h"

namespace fovea::test {
namespace {

class MovedClock final : public Clock {
 public:
  MonotonicMs monotonic() const override { return system_.monotonic(); }
  UnixMs wall() const override { return {system_.wall().value + ahead_ms_.load()}; }
  void set_ahead_days(std::int64_t days) { ahead_ms_ = days * 24 * 3'600'000; }

 private:
  SystemClock system_;
  std::atomic<std::int64_t> ahead_ms_{0};
};

Result<std::unique_ptr<node::training::Trainer>> make_probe(const federation::membership::Plan& plan) {
  FOVEA_TRY_ASSIGN(federation::model::ModelLayout layout, federation::model::make_layout(plan.architecture));
  return std::unique_ptr<node::training::Trainer>(std::make_unique<node::training::ProbeTrainer>(
      std::move(layout), node::training::ProbeSettings{.site_seed = 1, .delay_ms = 100}));
}

// Ends with the object.
class DriverThread {
 public:
  DriverThread(const std::filesystem::path& folder, const Clock& clock) {
    const node::io::SiteFolder site(folder);
    auto config = node::io::NodeConfig::read(site.config());
    EXPECT_TRUE(config) << config.error().message;
    node::io::SiteDriverOptions options{.folder = site, .config = *config, .make_trainer = make_probe, .hold = {}};
    auto opened = node::io::SiteDriver::open(std::move(options), clock);
    EXPECT_TRUE(opened) << opened.error().message;
    driver_ = std::move(*opened);
    thread_ = std::thread([this] { outcome_ = driver_->run(); });
  }
  DriverThread(const DriverThread&) = delete;
  DriverThread& operator=(const DriverThread&) = delete;
  ~DriverThread() {
    ::kill(::getpid(), SIGTERM);  // blocked in every thread, so the driver reads it from its descriptor
    thread_.join();
    EXPECT_TRUE(outcome_) << outcome_.error().message;
  }

 private:
  std::unique_ptr<node::io::SiteDriver> driver_;
  Result<void> outcome_;
  std::thread thread_;
};

using ClockTest = FederationTest;

TEST_F(ClockTest, AClockThatIsOffIsToldApartFromARosterThatHasRunOutAndBothHealWithoutARestart) {
  node::io::block_stop_signals();
  make_plan({.rounds = 60});
  for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 100");
  serve();
  for (const char* site : {"berta", "clara", "dora"}) start_site(site);
  MovedClock clock;
  clock.set_ahead_days(-10);
  const DriverThread anna(site_folder("anna"), clock);
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

// Failure class: what the people who run the programs do (a stopped terminal, a renewed roster, a look at a run that
// crashed, a file of an old run that the disk lost) stops more than it concerns, or is answered with what is not true.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "federation/secagg/framed_journal.h"
#include "tests/integration/federation_fixture.h"

namespace fovea::test {
namespace {

namespace fs = std::filesystem;

// A pipe in the place of a program's log that takes not one byte more: like a terminal after Ctrl-S.
class StoppedTerminal {
 public:
  explicit StoppedTerminal(fs::path path) : path_(std::move(path)) {
    EXPECT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    pipe_ = Descriptor(::open(path_.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    const std::string block(4096, '.');
    while (::write(pipe_.number(), block.data(), block.size()) > 0) {
    }
  }
  StoppedTerminal(const StoppedTerminal&) = delete;
  StoppedTerminal& operator=(const StoppedTerminal&) = delete;
  ~StoppedTerminal() { fs::remove(path_); }  // a test that failed reads the logs

 private:
  fs::path path_;
  Descriptor pipe_;
};

class OperatorTest : public FederationTest {
 protected:
  static bool everyone(const Json& event) { return event["contributors"].size() == kSites.size(); }
  Json only_run() {
    const Outcome listed = coordinator({"--json", "run", "list"});
    EXPECT_EQ(listed.exit_code, 0) << listed.err;
    const Json runs = Json::parse(listed.out)["data"];
    EXPECT_EQ(runs.size(), 1U) << runs;
    return runs.empty() ? Json::object() : runs[0];
  }
  void expect_events_without(const std::string& name) {
    for (const Json& event : events_of(home() / "events.jsonl")) EXPECT_NE(event["event"], name) << event;
  }
};

TEST_F(OperatorTest, ATerminalThatIsStoppedHoldsUpNeitherRoundsNorAStop) {
  make_plan({.rounds = 400});
  const StoppedTerminal coordinators(root() / "coordinator-log.err"), doras(root() / "dora-log.err");
  serve();
  start_all_sites();
  const Json first = wait_for_coordinator("round_finished", everyone);
  wait_for_coordinator("round_finished",
                       [&](const Json& event) { return everyone(event) && event["round"] > first["round"]; });
  sites_.at("dora").signal(SIGTERM);
  EXPECT_EQ(sites_.at("dora").wait(kPatience), 0);
  server_->signal(SIGTERM);
  EXPECT_EQ(server_->wait(kPatience), 0);
}

TEST_F(OperatorTest, ARenewedRosterWaitsForTheRoundThatItFallsInto) {
  make_plan({.rounds = 3, .phase_s = 30, .progress_s = 30});
  serve();
  for (const std::string& site : kSites)
    start_site(site,
               site == "dora" ? std::vector<std::string>{"--hold-after", "shares:2"} : std::vector<std::string>());
  wait_for_site("dora", "held");
  const Outcome renewed = coordinator({"sign", "--renew"});
  ASSERT_EQ(renewed.exit_code, 0) << renewed.err;
  EXPECT_EQ(wait_for_coordinator("roster_waits")["round"], 2);
  sites_.at("dora").signal(SIGCONT);
  const Json finished =
      wait_for_coordinator("round_finished", [](const Json& event) { return event["round"] == 2 && everyone(event); });
  EXPECT_EQ(finished["attempt"], 1);
  EXPECT_GE(wait_for_coordinator("roster_adopted")["at_ms"], finished["at_ms"]);
  EXPECT_EQ(server_->wait(kPatience), 0) << server_->standard_error();
  EXPECT_TRUE(Json::parse(server_->standard_output())["data"]["complete"]);
  expect_events_without("round_aborted");
}

TEST_F(OperatorTest, WhoListsAndWatchesIsToldWhatBecameOfTheProcessThatServes) {
  make_plan({.rounds = 400}, {"anna", "berta", "clara", "dora"});
  serve();
  wait_for_coordinator("run_started");
  EXPECT_EQ(only_run()["state"], "open");
  server_->signal(SIGKILL);
  EXPECT_EQ(server_->wait(kPatience), 128 + SIGKILL);
  EXPECT_EQ(only_run()["state"], "stopped");
  const Outcome crashed = coordinator({"run", "watch"});
  EXPECT_EQ(crashed.exit_code, 1) << crashed.err;
  EXPECT_NE(crashed.err.find("is gone without having ended it"), std::string::npos) << crashed.err;
  serve();
  wait_for_coordinator("run_started", [count = 0](const Json&) mutable { return ++count == 2; });
  server_->signal(SIGTERM);
  EXPECT_EQ(server_->wait(kPatience), 0) << server_->standard_error();
  const Outcome stopped = coordinator({"run", "watch"});
  EXPECT_EQ(stopped.exit_code, 0) << stopped.err;
}

// No single site may say so: then any of them could end a run.
TEST_F(OperatorTest, ACoordinatorsFolderThatWasPutBackFromAnOlderCopyHaltsByName) {
  make_plan({.rounds = 400});
  serve();
  start_all_sites();
  wait_for_coordinator("round_finished", everyone);
  const auto stop = [&] {
    server_->signal(SIGTERM);
    EXPECT_EQ(server_->wait(kPatience), 0) << server_->standard_error();
  };
  stop();
  const fs::path older = root() / "older";
  fs::copy(home(), older, fs::copy_options::recursive);
  serve();
  const std::uint64_t sums = only_run()["rounds_done"];
  wait_for_coordinator("round_finished",
                       [&](const Json& event) { return everyone(event) && event["sums"] > sums + 2; });
  stop();
  fs::remove_all(home());
  fs::rename(older, home());
  serve();
  EXPECT_EQ(server_->wait(kPatience), 7) << server_->standard_error();
  const std::string said = server_->standard_error();
  EXPECT_NE(said.find("was put back from an older copy"), std::string::npos) << said;
  EXPECT_EQ(wait_for_coordinator("run_failed")["run"], only_run()["run"]);
}

TEST_F(OperatorTest, ADamagedJournalOfAnOldRunConcernsThatRunAlone) {
  const auto start_and_stop = [&](int seed) {
    fs::remove(home() / "events.jsonl");
    make_plan({.rounds = 400, .seed = seed});
    serve();
    start_all_sites();
    wait_for_coordinator("round_finished");
    server_->signal(SIGTERM);
    EXPECT_EQ(server_->wait(kPatience), 0) << server_->standard_error();
    sites_.clear();
  };
  start_and_stop(1);
  const std::string old = only_run()["run"];
  const fs::path journal = home() / "runs" / old / "journal", old_plan = root() / "old-plan.json";
  fs::copy_file(plan_file(), old_plan);
  Bytes damaged = federation::secagg::frame_record(Bytes{1, 2, 3});
  damaged.back() ^= 1U;
  const Bytes whole = federation::secagg::frame_record(Bytes{4});
  damaged.insert(damaged.end(), whole.begin(), whole.end());
  std::ofstream(journal, std::ios::app) << as_text(damaged);
  start_and_stop(2);
  const Outcome listed = coordinator({"run", "list"});
  EXPECT_EQ(listed.exit_code, 0) << listed.err;
  EXPECT_EQ(listed.out.find("unreadable"), std::string::npos) << listed.out;
  const auto exported = [&](const std::string& name, std::vector<std::string> options) {
    options.insert(options.begin(), {"--json", "model", "export", "--output", (root() / name).string()});
    return coordinator(options);
  };
  const Outcome newest = exported("newest", {});
  EXPECT_EQ(newest.exit_code, 0) << newest.err;
  EXPECT_NE(Json::parse(newest.out)["data"]["run"], old);
  EXPECT_EQ(exported("old", {"--run", old}).exit_code, 0);  // a model needs no journal
  const Outcome refused = coordinator({"run", "start", old_plan.string()});
  EXPECT_EQ(refused.exit_code, 7) << refused.err;
  EXPECT_NE(refused.err.find(journal.string()), std::string::npos) << refused.err;
  // Nobody knows whether one that lost its record is the newest: that is said.
  std::ofstream(home() / "runs" / old / "run.json", std::ios::trunc) << "{";
  const Outcome warned = exported("warned", {});
  EXPECT_EQ(warned.exit_code, 0) << warned.err;
  EXPECT_NE(warned.err.find("run " + old + " began cannot be read"), std::string::npos) << warned.err;
}

}  // namespace
}  // namespace fovea::test

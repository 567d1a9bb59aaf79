// Failure class: what a killed coordinator left on disk.
#include "coordinator/store/run_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <functional>
#include <set>

#include "coordinator/store/cut_off_sites.h"
#include "coordinator/store/served_sites.h"
#include "federation/model/safetensors.h"
#include "tests/support/full_disk.h"
#include "tests/support/probe_plan.h"
#include "tests/support/temporary_folder.h"

namespace fovea::coordinator {
namespace {

class RunStoreTest : public ::testing::Test {
 protected:
  store::RunStore make() {
    return store::RunStore::create(folder_.path() / "run", RunId{{1, 2, 3}}, as_bytes(test::kProbePlan), UnixMs{5})
        .value();
  }
  Result<store::RunStore> reopen() { return store::RunStore::open(folder_.path() / "run"); }
  static store::RoundRecord record(RoundNumber round) {
    store::RoundRecord out;
    out.round = round;
    out.attempt = 1;
    out.stage = "one";
    out.stage_round = 1;
    out.contributors = {"anna", "berta", "clara"};
    out.next_round = round + 1;
    return out;
  }
  static federation::model::ModelState model(float value) {
    return federation::model::ModelState::create(federation::model::make_layout("probe-10").value(),
                                                 std::vector<float>(10, value))
        .value();
  }

  static Result<void> finish(store::RunStore& store, RoundNumber round, const std::vector<Bytes>& publication) {
    return store.finish_round(record(round), store.begin_publication(round, publication), model(0.5F));
  }

  test::TemporaryFolder folder_;
};

// Does `work` in a child that is killed before it enters the kernel for the `step`-th time. False: it ended before.
bool is_killed_at(std::size_t step, const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(1);
    ::raise(SIGSTOP);
    work();
    ::_exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  for (std::size_t stop = 0; WIFSTOPPED(status) && stop < 2 * step - 1; ++stop) {  // each call stops twice
    EXPECT_EQ(::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr), 0);
    EXPECT_EQ(::waitpid(child, &status, 0), child);
  }
  if (!WIFSTOPPED(status)) return false;
  ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
  return true;
}

TEST_F(RunStoreTest, FinishedRoundsSurviveARestart) {
  {
    store::RunStore store = make();
    EXPECT_EQ(store.next_round(), 1U);
    ASSERT_TRUE(store.begin_round(1).value().empty());
    ASSERT_TRUE(finish(store, 1, {Bytes{1, 2}, Bytes{3}}).has_value());
    ASSERT_TRUE(store.save_model().has_value());
    store::RoundRecord lost = record(2);
    lost.aborted = "too few sites";
    lost.next_round = 5;
    ASSERT_TRUE(store.abort_round(lost).has_value());
  }
  const store::RunStore store = reopen().value();
  EXPECT_EQ(store.sums(), 1U);
  EXPECT_EQ(store.next_round(), 5U);
  EXPECT_EQ(store.model_digest(), model(0.5F).digest());
  EXPECT_EQ(store.history()[1].aborted, "too few sites");
  EXPECT_EQ(store.publication_after(0).value()->messages, (std::vector<Bytes>{{1, 2}, {3}}));
  EXPECT_FALSE(store.publication_after(1).value().has_value());
}

// `run list` opens every run, and `run start` too: neither waits for whoever would write into a pipe.
TEST_F(RunStoreTest, APipeInAFilesPlaceIsNamedAndHoldsNobodyUp) {
  make();
  for (const char* name : {"journal", "history", "plan.json", "run.json"}) {
    const std::filesystem::path file = folder_.path() / "run" / name, kept = folder_.path() / "kept";
    const bool existed = std::filesystem::exists(file);
    if (existed) std::filesystem::rename(file, kept);
    ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
    const auto refused = reopen();
    ASSERT_FALSE(refused) << name;
    EXPECT_NE(refused.error().message.find(file.string()), std::string::npos) << refused.error().message;
    std::filesystem::remove(file);
    if (existed) std::filesystem::rename(kept, file);
  }
  EXPECT_TRUE(reopen());
}

TEST_F(RunStoreTest, ADamagedModelIsNamedByItsFile) {
  {
    store::RunStore store = make();
    ASSERT_TRUE(finish(store, 1, {Bytes{1}}).has_value());
    ASSERT_TRUE(store.save_model().has_value());
  }
  const std::string file = (folder_.path() / "run/models/000001.safetensors").string();
  std::ofstream(file, std::ios::trunc) << "x";
  const auto refused = reopen();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::corruption);
  EXPECT_EQ(refused.error().message.rfind(file + ": ", 0), 0U) << refused.error().message;
}

// The model is made again from what was published, where its file is gone.
TEST_F(RunStoreTest, ADamagedPublicationIsNamedByItsFile) {
  {
    store::RunStore store = make();
    ASSERT_TRUE(finish(store, 1, {Bytes{1}}).has_value());
  }
  const std::string file = (folder_.path() / "run/publications/000001").string();
  for (const std::string& damaged : {std::string("x"), std::string("\0\0\0\1x", 5), std::string()}) {
    std::ofstream(file, std::ios::trunc) << damaged;
    const auto refused = reopen();
    ASSERT_FALSE(refused) << damaged.size();
    EXPECT_NE(refused.error().message.find(file + ": "), std::string::npos) << refused.error().message;
    EXPECT_EQ(refused.error().message.find("safetensors"), std::string::npos) << refused.error().message;
  }
}

TEST_F(RunStoreTest, ASumToRepeatIsKeptUntilARoundEndsWithoutOne) {
  store::RoundRecord lost = record(1);
  lost.aborted = "a dealer's fault";
  {
    store::RunStore store = make();
    EXPECT_FALSE(store.sum_to_repeat()->has_value());
    ASSERT_TRUE(store.abort_round(lost, Bytes{1, 2, 3}).has_value());
  }
  {
    store::RunStore store = reopen().value();
    EXPECT_EQ(store.sum_to_repeat().value(), (Bytes{1, 2, 3}));
    lost.round = 2;
    ASSERT_TRUE(store.abort_round(lost).has_value());
    EXPECT_FALSE(store.sum_to_repeat()->has_value());
    lost.round = 3;
    ASSERT_TRUE(store.abort_round(lost, Bytes{4}).has_value());
    EXPECT_EQ(store.sum_to_repeat().value(), Bytes{4});
    ASSERT_TRUE(finish(store, 4, {}).has_value());
    ASSERT_TRUE(store.save_model().has_value());
    EXPECT_FALSE(store.sum_to_repeat()->has_value());
    lost.round = 5;
    ASSERT_TRUE(store.abort_round(lost, Bytes{5}).has_value());
  }
  std::filesystem::remove(folder_.path() / "run/repeats/000005");
  EXPECT_EQ(reopen()->sum_to_repeat().error().code, ErrorCode::not_found);
}

// The masked sum, the sealed shares and a sum to repeat are of use only to whoever wants to open a sum once more.
TEST_F(RunStoreTest, AfterASumNeitherJournalNorSumToRepeatIsLeft) {
  const Bytes shares(64, 0x5a);
  const auto is_left = [&] {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      if (!entry.is_regular_file()) continue;
      const Bytes bytes = read_file(entry.path(), 1 << 20).value();
      if (std::search(bytes.begin(), bytes.end(), shares.begin(), shares.end()) != bytes.end()) return true;
    }
    return false;
  };
  store::RoundRecord lost = record(1);
  lost.aborted = "a dealer's fault";
  store::RunStore store = make();
  ASSERT_TRUE(store.begin_round(1).has_value());
  ASSERT_TRUE(store.append_journal(std::vector<Bytes>{shares}).has_value());
  ASSERT_TRUE(store.abort_round(lost, shares).has_value());
  ASSERT_TRUE(store.begin_round(2).has_value());
  ASSERT_TRUE(store.append_journal(std::vector<Bytes>{shares}).has_value());
  EXPECT_TRUE(is_left());
  ASSERT_TRUE(finish(store, 2, {Bytes{1}}).has_value());
  ASSERT_TRUE(store.save_model().has_value());
  EXPECT_FALSE(is_left());
  EXPECT_TRUE(reopen()->sum_to_repeat().has_value());
  EXPECT_TRUE(store.begin_round(3).value().empty());
  ASSERT_TRUE(store.append_journal(std::vector<Bytes>{{7}}).has_value());
  EXPECT_EQ(reopen()->begin_round(3).value(), (std::vector<Bytes>{{7}}));
}

TEST_F(RunStoreTest, ACrashAfterTheLastSumLeavesItsJournalToTheNextOpening) {
  {
    store::RunStore store = make();
    for (RoundNumber round = 1; round <= 3; ++round) {
      ASSERT_TRUE(store.begin_round(round).has_value());
      ASSERT_TRUE(store.append_journal(std::vector<Bytes>{{9, 9, 9}}).has_value());
      if (round == 3) std::filesystem::copy_file(folder_.path() / "run/journal", folder_.path() / "kept");
      ASSERT_TRUE(finish(store, round, {}).has_value());
    }
    ASSERT_TRUE(store.save_model().has_value());
  }
  std::filesystem::rename(folder_.path() / "kept", folder_.path() / "run/journal");
  EXPECT_GT(std::filesystem::file_size(folder_.path() / "run/journal"), 0U);
  EXPECT_TRUE(reopen()->complete());
  EXPECT_EQ(std::filesystem::file_size(folder_.path() / "run/journal"), 0U);
}

TEST_F(RunStoreTest, OnlyTheJournalOfTheRoundInProgressSurvivesARestart) {
  {
    store::RunStore store = make();
    ASSERT_TRUE(store.begin_round(1).has_value());
    ASSERT_TRUE(store.append_journal(std::vector<Bytes>{{7}, {8, 9}}).has_value());
  }
  {
    store::RunStore store = reopen().value();
    EXPECT_EQ(store.begin_round(1).value(), (std::vector<Bytes>{{7}, {8, 9}}));
  }
  store::RunStore store = reopen().value();
  EXPECT_TRUE(store.begin_round(2).value().empty());
}

TEST_F(RunStoreTest, ATornRecordIsDropped) {
  {
    store::RunStore store = make();
    ASSERT_TRUE(store.begin_round(1).has_value());
    ASSERT_TRUE(store.append_journal(std::vector<Bytes>{{7}}).has_value());
  }
  std::ofstream(folder_.path() / "run/journal", std::ios::app | std::ios::binary) << "torn";
  store::RunStore store = reopen().value();
  EXPECT_EQ(store.begin_round(1).value(), (std::vector<Bytes>{{7}}));
}

TEST_F(RunStoreTest, ARoundWithoutItsPublicationOnDiskDoesNotEnd) {
  store::RunStore store = make();
  ASSERT_TRUE(store.begin_round(1).has_value());
  std::filesystem::remove_all(folder_.path() / "run/publications");
  EXPECT_FALSE(finish(store, 1, {Bytes{1, 2}}).has_value());
  EXPECT_EQ(store.sums(), 0U);
  EXPECT_TRUE(reopen()->history().empty());
}

// Cut, or put back from a backup: the round that was published would begin again, on a model that the sites have left.
TEST_F(RunStoreTest, AHistoryThatIsShorterThanItsPublicationsIsRefused) {
  const std::filesystem::path history = folder_.path() / "run/history", older = folder_.path() / "older";
  {
    store::RunStore store = make();
    for (RoundNumber round = 1; round <= 3; ++round) {
      ASSERT_TRUE(store.begin_round(round).has_value());
      if (round == 3) std::filesystem::copy_file(history, older);
      ASSERT_TRUE(finish(store, round, {Bytes{1}}).has_value());
    }
    ASSERT_TRUE(store.save_model().has_value());
  }
  ASSERT_TRUE(reopen()->complete());
  std::filesystem::rename(older, history);
  const auto cut = reopen();
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, ErrorCode::corruption);
  for (const char* part : {"history", "ends with round 2", "round 3 was published"})
    EXPECT_NE(cut.error().message.find(part), std::string::npos) << cut.error().message;
}

// The publication is the first thing that a sum leaves, and its journal the last that goes.
TEST_F(RunStoreTest, AKillBetweenAPublicationAndItsRecordLeavesARunThatGoesOn) {
  {
    store::RunStore store = make();
    ASSERT_TRUE(store.begin_round(1).has_value());
    ASSERT_TRUE(store.append_journal(std::vector<Bytes>{{7}}).has_value());
    const std::vector<Bytes> publication = {Bytes{1}};
    ASSERT_TRUE(store.begin_publication(1, publication).get().has_value());
  }
  {
    store::RunStore store = reopen().value();
    EXPECT_EQ(store.sums(), 0U);
    EXPECT_EQ(store.begin_round(1).value(), (std::vector<Bytes>{{7}}));
    store::RoundRecord lost = record(1);  // its roster cannot be read any more
    lost.aborted = "the roster changed";
    ASSERT_TRUE(store.abort_round(lost).has_value());
    ASSERT_TRUE(store.begin_round(2).has_value());
  }
  EXPECT_EQ(reopen()->next_round(), 2U);
}

TEST_F(RunStoreTest, AModelThatTheHistoryDoesNotNameIsRefused) {
  {
    store::RunStore store = make();
    ASSERT_TRUE(store.begin_round(1).has_value());
    ASSERT_TRUE(finish(store, 1, {}).has_value());
    const Bytes other = federation::model::write_safetensors(model(0.25F), {}).value();
    ASSERT_TRUE(write_file_durably(store.model_file(), other).has_value());
  }
  EXPECT_EQ(reopen().error().code, ErrorCode::corruption);
}

TEST_F(RunStoreTest, ARunThatCannotBeMadeWholeLeavesNoFolderBehind) {
  {
    const test::FullDisk full(10);
    EXPECT_FALSE(store::RunStore::create(folder_.path() / "run", RunId{{1}}, as_bytes(test::kProbePlan), UnixMs{5}));
  }
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "run"));
  EXPECT_TRUE(store::list_runs(folder_.path())->empty());
  // One that is there is not made anew, nor taken away for it.
  make();
  EXPECT_FALSE(store::RunStore::create(folder_.path() / "run", RunId{{1}}, as_bytes(test::kProbePlan), UnixMs{5}));
  EXPECT_TRUE(reopen());
}

// A start that is killed anywhere while it makes a run leaves a whole run or none, and the next start goes on.
TEST_F(RunStoreTest, AKillAtAnyStepOfMakingARunLeavesAWholeOneOrNone) {
  const pid_t traced = ::fork();
  if (traced == 0) ::_exit(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 ? 0 : 1);
  int allowed = 0;
  ASSERT_EQ(::waitpid(traced, &allowed, 0), traced);
  if (allowed != 0) GTEST_SKIP() << "this process may trace no child here";
  std::size_t step = 1, whole = 0, rests = 0;
  for (bool killed = true; killed; ++step) {
    const std::filesystem::path runs = folder_.path() / std::to_string(step);
    std::filesystem::create_directories(runs);
    const auto create = [&](std::uint8_t number) {
      const RunId run{{number}};
      return store::RunStore::create(runs / run.text(), run, as_bytes(test::kProbePlan), UnixMs{5}).has_value();
    };
    killed = is_killed_at(step, [&] { create(1); });
    const auto left = store::list_runs(runs).value();
    for (const auto& run : left) EXPECT_TRUE(store::RunStore::open(run)) << step;
    whole += left.size();
    rests += left.empty() && !std::filesystem::is_empty(runs) ? 1U : 0U;
    EXPECT_TRUE(create(2)) << step;
    EXPECT_EQ(store::list_runs(runs)->size(), left.size() + 1) << step;
    const auto entries = std::filesystem::directory_iterator(runs);
    EXPECT_EQ(std::distance(begin(entries), end(entries)), static_cast<std::ptrdiff_t>(left.size() + 1)) << step;
  }
  EXPECT_GT(whole, 1U);
  EXPECT_GT(rests, 10U);
}

TEST_F(RunStoreTest, WhatCannotBeReadIsListedAndNothingIsWrittenIntoIt) {
  make();
  for (const char* name : {"half", "newer", "none"}) std::filesystem::create_directories(folder_.path() / name);
  std::ofstream(folder_.path() / "newer" / "run.json") << R"({"fovea_run": 9, "started_ms": "later"})";
  std::ofstream(folder_.path() / "half" / "run.json") << R"({"fovea_)";
  std::ofstream(folder_.path() / "no folder") << "";
  const auto runs = store::list_runs(folder_.path()).value();
  ASSERT_EQ(runs.size(), 4U);
  EXPECT_EQ(runs.back().filename(), "run");
  const auto why = [&](const char* name) { return store::RunStore::open(folder_.path() / name).error(); };
  EXPECT_EQ(why("newer").code, ErrorCode::invalid_argument);
  EXPECT_NE(why("newer").message.find("run.json.fovea_run: 9 is the format of a newer version"), std::string::npos);
  EXPECT_EQ(why("half").code, ErrorCode::invalid_argument);
  EXPECT_EQ(why("none").code, ErrorCode::not_found);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() / "none"));
}

TEST_F(RunStoreTest, WhoCannotFollowIsReadAsItWasWrittenOrRefusedByTheFieldsName) {
  make();
  const std::filesystem::path run = folder_.path() / "run";
  EXPECT_TRUE(store::read_cut_off_sites(run)->empty());
  ASSERT_TRUE(store::write_cut_off_sites(run, {{SiteId::create("clara").value(), 7}}));
  const auto read = store::read_cut_off_sites(run).value();
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].site.text(), "clara");
  EXPECT_EQ(read[0].round, 7U);
  for (const char* bad :
       {"", "{", R"({"fovea_cut_off":2,"sites":[]})", R"({"fovea_cut_off":1,"sites":[{"site":"c"}]})",
        R"({"fovea_cut_off":1,"sites":[{"site":"C c","round":1}]})", R"({"fovea_cut_off":1,"sites":[],"more":1})"}) {
    std::ofstream(run / "cut-off.json", std::ios::trunc) << bad;
    const auto refused = store::read_cut_off_sites(run);
    ASSERT_FALSE(refused) << bad;
    EXPECT_NE(refused.error().message.find("cut-off.json"), std::string::npos) << refused.error().message;
  }
}

TEST_F(RunStoreTest, WhoHasTheLastSumIsReadAsItWasWrittenOrRefusedByTheFieldsName) {
  make();
  const std::filesystem::path run = folder_.path() / "run";
  EXPECT_TRUE(store::read_served_sites(run)->empty());
  const std::set<SiteId> sites = {SiteId::create("anna").value(), SiteId::create("clara").value()};
  ASSERT_TRUE(store::write_served_sites(run, sites));
  EXPECT_EQ(store::read_served_sites(run).value(), sites);
  for (const char* bad : {"", "{", R"({"fovea_last_sum":2,"sites":[]})", R"({"fovea_last_sum":1,"sites":["anna"]})",
                          R"({"fovea_last_sum":1,"sites":[{"site":"C c"}]})",
                          R"({"fovea_last_sum":1,"sites":[{"site":"anna","more":1}]})"}) {
    std::ofstream(run / "last-sum.json", std::ios::trunc) << bad;
    const auto refused = store::read_served_sites(run);
    ASSERT_FALSE(refused) << bad;
    EXPECT_NE(refused.error().message.find("last-sum.json"), std::string::npos) << refused.error().message;
  }
}

TEST_F(RunStoreTest, APlanThatIsNotTheRunsIsRefused) {
  make();
  std::ofstream(folder_.path() / "run/plan.json", std::ios::app) << "\n";
  EXPECT_EQ(reopen().error().code, ErrorCode::corruption);
}

}  // namespace
}  // namespace fovea::coordinator

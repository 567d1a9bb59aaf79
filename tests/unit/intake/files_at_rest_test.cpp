// Files that somebody still writes are waited for, by a clock and a disk of the test's own.
#include "node/intake/files_at_rest.h"

#include <gtest/gtest.h>

#include <fstream>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace fovea::node {
namespace {

using intake::FileStamps;
using intake::kRestMs;

constexpr std::int64_t kNow = 1'800'000'000'000;

class HandClock final : public Clock {
 public:
  MonotonicMs monotonic() const override { return {now_ms}; }
  UnixMs wall() const override { return {now_ms}; }
  std::int64_t now_ms = kNow;
};

// A disk whose looks are listed; the last one stays.
struct Watched {
  std::vector<FileStamps> looks;
  HandClock clock{};
  unsigned waits = 0;
  std::size_t told = 0;

  std::set<std::filesystem::path> wait() {
    std::size_t at = 0;
    return intake::wait_for_rest([&] { return looks[std::min(at++, looks.size() - 1)]; },
                                 {.clock = clock,
                                  .wait = [this](std::int64_t ms) { clock.now_ms += ms, ++waits; },
                                  .tell = [this](std::size_t files) { told = files; }});
  }
};

intake::FileStamp changed_at(std::int64_t ms, std::uintmax_t bytes = 10) { return {bytes, ms * 1'000'000}; }

TEST(FilesAtRest, WhatNobodyChangedLatelyIsNotWaitedFor) {
  Watched old{.looks = {{{"a", changed_at(kNow - kRestMs)}, {"b", changed_at(0)}}}};
  EXPECT_TRUE(old.wait().empty());
  EXPECT_EQ(old.waits, 0u);
}

TEST(FilesAtRest, AFileThatWasJustWrittenIsLookedAtAgain) {
  Watched fresh{.looks = {{{"a", changed_at(kNow - kRestMs + 1)}, {"b", changed_at(0)}}}};
  EXPECT_TRUE(fresh.wait().empty());
  EXPECT_EQ(fresh.waits, 1u);
  EXPECT_EQ(fresh.told, 1u);
}

TEST(FilesAtRest, ACopyIsWaitedForUntilItStops) {
  Watched copy{.looks = {{{"a", changed_at(kNow)}},
                         {{"a", changed_at(kNow + 1000, 20)}},
                         {{"a", changed_at(kNow + 3000, 30)}, {"b", changed_at(5)}}}};
  EXPECT_TRUE(copy.wait().empty());
  EXPECT_EQ(copy.waits, 3u);
}

TEST(FilesAtRest, AFileServersClockThatIsAheadIsNoCopy) {
  Watched ahead{.looks = {{{"a", changed_at(kNow + 600'000)}}}};
  EXPECT_TRUE(ahead.wait().empty());
  EXPECT_EQ(ahead.waits, 1u);
}

TEST(FilesAtRest, WhatNeverComesToRestIsNamed) {
  Watched growing;
  for (unsigned n = 0; n < 2 * intake::kRestLooksMax; ++n)
    growing.looks.push_back({{"a", changed_at(kNow + n * kRestMs, n)}, {"b", changed_at(0)}});
  EXPECT_EQ(growing.wait(), (std::set<std::filesystem::path>{"a"}));
  EXPECT_EQ(growing.waits, intake::kRestLooksMax - 1);
}

TEST(FilesAtRest, HiddenNamesAndFoldersCountAndAChangeOfAnyIsSeen) {
  const test::TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "below");
  std::ofstream(folder.path() / "below" / ".part") << "some";
  const std::vector<std::filesystem::path> roots{folder.path()};
  const FileStamps before = intake::stamps_below(roots);
  EXPECT_EQ(before.size(), 3u);
  EXPECT_EQ(intake::stamps_below(roots), before);
  std::ofstream(folder.path() / "below" / ".part", std::ios::app) << " more";
  const FileStamps after = intake::stamps_below(roots);
  EXPECT_NE(after, before);
  EXPECT_EQ(after.at(folder.path() / "below" / ".part").bytes, 9u);
  const std::vector<std::filesystem::path> missing{folder.path() / "none"};
  EXPECT_EQ(intake::stamps_of(missing).at(missing[0]), intake::FileStamp{});
}

}  // namespace
}  // namespace fovea::node

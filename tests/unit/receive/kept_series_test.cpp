// Received series until their time is over. Failure classes: one that is thrown away before it was ingested, one that
// stays for ever, a study that comes back after it was forgotten.
#include "node/receive/kept_series.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/durable_file.h"
#include "tests/support/temporary_folder.h"

namespace fovea::node::receive {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;

class KeptSeriesTest : public testing::Test {
 protected:
  KeptSeries open(KeptSeries::Limits limits = {.age = hours(24), .bytes = 1'000'000}) const {
    return KeptSeries::open(kept(), limits).value();
  }
  fs::path kept() const { return kept_folder(site_.path()); }
  // An object of a series, as it lies in a batch.
  void come(const KeptSeries& series, const std::string& code, const std::string& name, std::size_t bytes = 10) {
    const fs::path file = site_.path() / ("batch-" + std::to_string(count_++));
    ASSERT_TRUE(replace_file(file, Bytes(bytes, 7)));
    ASSERT_TRUE(series.add(file, code, name));
    EXPECT_FALSE(fs::exists(file));
  }
  static std::vector<std::string> names(const std::vector<fs::path>& folders) {
    std::vector<std::string> out;
    for (const fs::path& folder : folders) out.push_back(folder.filename().string());
    return out;
  }
  static std::vector<std::string> files_in(const fs::path& folder) {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".sealed") out.push_back(entry.path().filename().string());
    std::sort(out.begin(), out.end());
    return out;
  }
  static fs::file_time_type later(hours by) { return fs::file_time_type::clock::now() + by; }

  test::TemporaryFolder site_;
  int count_ = 0;
};

TEST_F(KeptSeriesTest, ASeriesIsDueUntilItWasIngestedAndAgainWhenMoreComes) {
  const KeptSeries series = open();
  come(series, "s-one", "a"), come(series, "s-one", "b"), come(series, "s-two", "a");
  EXPECT_EQ(names(series.due()), (std::vector<std::string>{"s-one", "s-two"}));
  EXPECT_EQ(names(open().due()), (std::vector<std::string>{"s-one", "s-two"})) << "after a restart";
  for (const fs::path& folder : series.due()) ASSERT_TRUE(series.set_ingested(folder));
  EXPECT_TRUE(series.due().empty());
  come(series, "s-one", "c"), come(series, "s-one", "a");  // one of them was sent before
  EXPECT_EQ(names(series.due()), std::vector<std::string>{"s-one"});
  EXPECT_EQ(files_in(kept() / "s-one"), (std::vector<std::string>{"a.sealed", "b.sealed", "c.sealed"}));
  EXPECT_EQ(fs::status(kept()).permissions(), fs::perms::owner_all);
}

TEST_F(KeptSeriesTest, WhatIsOldIsDroppedButNeverWhatIsDue) {
  const KeptSeries series = open();
  come(series, "s-one", "a"), come(series, "s-two", "a");
  ASSERT_TRUE(series.set_ingested(kept() / "s-one"));
  EXPECT_EQ(series.drop(later(hours(23))).aged, 0U);
  EXPECT_EQ(series.drop(later(hours(25))).aged, 1U);
  EXPECT_FALSE(fs::exists(kept() / "s-one"));
  EXPECT_EQ(names(series.due()), std::vector<std::string>{"s-two"});
}

TEST_F(KeptSeriesTest, WithoutHoursNothingIsKept) {
  const KeptSeries series = open({.age = hours(0), .bytes = 1'000});
  come(series, "s-one", "a");
  EXPECT_EQ(series.drop(later(hours(0))).aged, 0U);
  ASSERT_TRUE(series.set_ingested(kept() / "s-one"));
  EXPECT_EQ(series.drop(later(hours(0))).aged, 1U);
  EXPECT_TRUE(fs::is_empty(kept()));
}

TEST_F(KeptSeriesTest, WhereThereIsNoRoomTheOldestGoFirst) {
  const KeptSeries series = open({.age = hours(24), .bytes = 2'500});
  for (const char* code : {"s-one", "s-two", "s-three"}) {
    come(series, code, "a", 1'000);
    ASSERT_TRUE(series.set_ingested(kept() / code));
    fs::last_write_time(kept() / code, later(hours(code == std::string("s-two") ? -5 : -1)));
  }
  const KeptSeries::Dropped dropped = series.drop(later(hours(0)));
  EXPECT_EQ(dropped.crowded, 1U);
  EXPECT_EQ(dropped.aged, 0U);
  EXPECT_FALSE(fs::exists(kept() / "s-two"));
  const KeptSeries full = open({.age = hours(24), .bytes = 2'500, .free_bytes_min = ~0ull});
  EXPECT_EQ(full.drop(later(hours(0))).crowded, 2U);
}

TEST_F(KeptSeriesTest, AForgottenStudyLeavesNoKeptScans) {
  const KeptSeries series = open();
  come(series, "s-one", "a"), come(series, "s-two", "a");
  // A scan of the hospital's own, whatever its folder is called, is not ours to delete.
  const fs::path hospital = site_.path() / "archive/kept/s-three";
  fs::create_directories(hospital);
  ASSERT_TRUE(replace_file(hospital / "a.dcm", as_bytes("x")));
  ASSERT_TRUE(forget_kept(site_.path(), hospital / "a.dcm"));
  EXPECT_TRUE(fs::exists(hospital / "a.dcm"));
  for (const char* other : {"", "a.sealed", "kept/../a.sealed", "/kept/a.sealed"})
    ASSERT_TRUE(forget_kept(site_.path(), other)) << other;
  EXPECT_EQ(series.due().size(), 2U);
  // By the name under which the site was opened then.
  ASSERT_TRUE(forget_kept(site_.path(), "elsewhere/data/kept/s-one/a.sealed"));
  EXPECT_EQ(names(series.due()), std::vector<std::string>{"s-two"});
}

}  // namespace
}  // namespace fovea::node::receive

// Failure class: a ledger's folder is put back from an older copy, alone, and its owner writes on as if nothing were
// missing. A copy of the newest checkpoint lies beside the folder.
#include <gtest/gtest.h>

#include <fstream>

#include "federation/ledger/ledger.h"
#include "tests/support/ledger_folder.h"
#include "tests/support/temporary_folder.h"

namespace fovea::federation {
namespace {

namespace fs = std::filesystem;

using test::files_in;
using test::kTestTime;
using test::ledger_options;
using test::numbered_entries;

struct KeptLedger {
  test::TemporaryFolder root;
  fs::path folder = root.path() / "ledger";
  fs::path newest = root.path() / "newest-checkpoint";

  Result<ledger::Ledger> open() const {
    auto options = ledger_options(folder);
    options.newest = newest;
    return ledger::Ledger::open(std::move(options));
  }
  Result<std::uint64_t> check() const {
    auto options = ledger_options(folder);
    options.newest = newest;
    return ledger::Ledger::check(std::move(options));
  }
  void write(std::uint64_t first, std::uint64_t count) const {
    ledger::Ledger ledger = open().value();
    ASSERT_TRUE(ledger.append(kTestTime, numbered_entries(first, count)));
    ASSERT_TRUE(ledger.publish());
  }
  void copy(const fs::path& from, const fs::path& to) const {
    fs::remove_all(to);
    fs::copy(from, to, fs::copy_options::recursive);
  }
  // Refused as damage that nobody has made worse.
  void expect_refused(const std::string& what) const {
    std::vector<std::string> before = files_in(folder);
    const auto opened = open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::corruption);
    EXPECT_NE(opened.error().message.find(what), std::string::npos) << opened.error().message;
    EXPECT_EQ(files_in(folder), before);
    // And so by whoever only looks, in the same words.
    const auto checked = check();
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().message, opened.error().message);
    EXPECT_EQ(files_in(folder), before);
  }
};

TEST(NewestCheckpoint, AnOlderCopyOfTheFolderIsRefusedAndLeftAsItIs) {
  const KeptLedger kept;
  kept.write(0, 300);
  kept.copy(kept.folder, kept.root.path() / "older");
  kept.write(300, 5);
  kept.copy(kept.folder, kept.root.path() / "newer");
  kept.copy(kept.root.path() / "older", kept.folder);
  kept.expect_refused("restored from a backup");
  // The older checkpoint alone: the tiles after it are not taken for leftovers.
  kept.copy(kept.root.path() / "newer", kept.folder);
  fs::copy_file(kept.root.path() / "older" / "checkpoint", kept.folder / "checkpoint",
                fs::copy_options::overwrite_existing);
  kept.expect_refused("restored from a backup");
  fs::remove_all(kept.folder);
  fs::create_directories(kept.folder);
  kept.expect_refused("has 0 entries");
  kept.copy(kept.root.path() / "newer", kept.folder);
  kept.write(305, 1);
}

TEST(NewestCheckpoint, ACopyThatAnotherProgramWentOnWithIsRefused) {
  const KeptLedger kept;
  kept.write(0, 300);
  kept.copy(kept.folder, kept.root.path() / "fork");
  kept.write(300, 5);
  {
    ledger::Ledger fork = ledger::Ledger::open(ledger_options(kept.root.path() / "fork")).value();
    ASSERT_TRUE(fork.append(kTestTime, numbered_entries(77'777, 40)));
    ASSERT_TRUE(fork.publish());
  }
  kept.copy(kept.root.path() / "fork", kept.folder);
  kept.expect_refused("another copy of it is in use");
}

TEST(NewestCheckpoint, IsNotMissingBesideALedgerWithEntries) {
  const KeptLedger kept;
  kept.write(0, 3);
  fs::remove(kept.newest);
  kept.expect_refused(kept.newest.string());
  fs::copy_file(kept.folder / "checkpoint", kept.newest);  // a person's doing
  kept.write(3, 3);
  test::flip_byte(kept.newest, 40);
  EXPECT_FALSE(kept.open());
}

// Whatever is left of it: nothing, the empty checkpoint of the first start, an empty journal.
TEST(NewestCheckpoint, AnEmptyLedgerIsNotBegunWhereItsOwnerHasAHistory) {
  const KeptLedger kept;
  const auto open = [&] {
    auto options = ledger_options(kept.folder);
    options.newest = kept.newest;
    options.history = "runs/1 is of a run";
    return ledger::Ledger::open(std::move(options));
  };
  const auto refused = [&] {
    const auto opened = open();
    return !opened && opened.error().code == ErrorCode::corruption &&
           opened.error().message.find("has no entry, but runs/1 is of a run") != std::string::npos;
  };
  EXPECT_TRUE(refused());
  EXPECT_TRUE(files_in(kept.folder).empty());
  EXPECT_FALSE(fs::exists(kept.newest));
  { ASSERT_TRUE(kept.open()); }  // its first start
  EXPECT_TRUE(refused());
  {
    ledger::Ledger ledger = kept.open().value();
    ASSERT_TRUE(ledger.append(kTestTime, numbered_entries(0, 1)));
    ASSERT_TRUE(ledger.sync());
  }
  EXPECT_TRUE(open());
  kept.write(1, 1);
  EXPECT_TRUE(open());
  fs::remove_all(kept.folder);
  fs::remove(kept.newest);
  EXPECT_TRUE(refused());
}

// A publish writes the checkpoint and then its copy. Killed after any of its steps, the copy is the older one or the
// same, and the start goes on.
TEST(NewestCheckpoint, AKillAnywhereInAPublishRaisesNoAlarm) {
  const KeptLedger kept;
  { ASSERT_TRUE(kept.open()); }
  fs::remove(kept.newest);  // in the very first one
  kept.write(0, 255);
  for (const std::uint64_t first : {255U, 256U, 300U}) {
    const std::string older = test::slurp(kept.newest);
    kept.write(first, 1);
    const std::string newer = test::slurp(kept.newest);
    EXPECT_EQ(newer, test::slurp(kept.folder / "checkpoint"));
    test::spill(kept.newest, older);
    EXPECT_TRUE(kept.open());
    kept.write(first + 1, 1);
  }
}

// Between the first checkpoint and its copy, and once more in the first publish.
TEST(NewestCheckpoint, TwoKillsRaiseNoAlarmEither) {
  const KeptLedger kept;
  { ASSERT_TRUE(kept.open()); }
  fs::remove(kept.newest);
  {
    ledger::Ledger ledger = kept.open().value();
    EXPECT_EQ(test::slurp(kept.newest), test::slurp(kept.folder / "checkpoint"));
    ASSERT_TRUE(ledger.append(kTestTime, numbered_entries(0, 2)));
    ASSERT_TRUE(ledger.sync());
  }
  const std::string first = test::slurp(kept.newest);
  kept.write(2, 1);
  test::spill(kept.newest, first);
  EXPECT_TRUE(kept.open());
}

// Whoever only looks sees what a start would, a torn last write and leftovers of a publish included, and mends nothing.
TEST(NewestCheckpoint, ACheckChangesNothingOnDisk) {
  const KeptLedger kept;
  EXPECT_EQ(kept.check().error().code, ErrorCode::not_found);
  EXPECT_FALSE(fs::exists(kept.folder));
  kept.write(0, 300);
  {
    ledger::Ledger ledger = kept.open().value();
    ASSERT_TRUE(ledger.append(kTestTime, numbered_entries(300, 2)));
    ASSERT_TRUE(ledger.sync());
    EXPECT_EQ(kept.check().value(), 302U);  // no lock is taken either
  }
  std::ofstream(kept.folder / "journal", std::ios::app) << "FVJ2 torn";
  const std::string journal = test::slurp(kept.folder / "journal");
  const std::vector<std::string> before = files_in(kept.folder);
  EXPECT_EQ(kept.check().value(), 302U);
  EXPECT_EQ(test::slurp(kept.folder / "journal"), journal);
  EXPECT_EQ(files_in(kept.folder), before);
  EXPECT_EQ(kept.open()->recovery().torn_bytes, 9U);
}

TEST(NewestCheckpoint, ThatIsDamagedIsNamedWithWhatToDo) {
  const KeptLedger kept;
  kept.write(0, 3);
  for (const char* bytes : {"", "half a fi", "no blank line\n"}) {
    ASSERT_TRUE(write_file_durably(kept.newest, as_bytes(std::string_view(bytes))));
    const auto refused = kept.open();
    ASSERT_FALSE(refused) << bytes;
    EXPECT_EQ(refused.error().code, ErrorCode::corruption);
    for (const std::string& part :
         {kept.newest.string() + ": is ", std::string("fix: no backup has"), kept.folder.string()})
      EXPECT_NE(refused.error().message.find(part), std::string::npos) << refused.error().message;
  }
}

}  // namespace
}  // namespace fovea::federation

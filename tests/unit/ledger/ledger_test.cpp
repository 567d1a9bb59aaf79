// Failure class: an entry that was promised is lost, or a changed one goes unnoticed.
#include "federation/ledger/ledger.h"

#include <gtest/gtest.h>

#include "crypto/random_source.h"
#include "federation/ledger/journal.h"
#include "federation/ledger/tile.h"
#include "federation/ledger/tile_check.h"
#include "tests/support/full_disk.h"
#include "tests/support/ledger_edits.h"
#include "tests/support/ledger_folder.h"
#include "tests/support/temporary_folder.h"

namespace fovea::federation {
namespace {

using test::flip_byte;
using test::kTestTime;
using test::ledger_options;
using test::numbered_entries;

void write_ledger(const std::filesystem::path& folder, std::uint64_t entries, std::uint64_t batch = 7) {
  ledger::Ledger ledger = ledger::Ledger::open(ledger_options(folder)).value();
  for (std::uint64_t done = ledger.size(); done < entries;) {
    const std::uint64_t count = std::min(batch, entries - done);
    ASSERT_EQ(ledger.append(kTestTime, numbered_entries(done, count)).value(), done);
    done += count;
  }
  ASSERT_TRUE(ledger.publish());
}

crypto::NoteKey test_note_key() {
  return crypto::NoteKey::create("test/st-anna", test::signing_key(1).verify_key()).value();
}

std::vector<ledger::LedgerProblem> problems_of(const std::filesystem::path& folder) {
  const auto checkpoint = ledger::read_checkpoint(folder, test_note_key());
  if (!checkpoint) return {{ledger::ProblemKind::changed, "checkpoint", checkpoint.error().message}};
  return ledger::check_tiles(folder, checkpoint->checkpoint, {}).problems;
}

TEST(TilePaths, AreThoseOfTheSpecification) {
  EXPECT_EQ(ledger::tile_path(0, 1'234'067, 256), "tile/0/x001/x234/067");
  EXPECT_EQ(ledger::tile_path(1, 0, 17), "tile/1/000.p/17");
  EXPECT_EQ(ledger::bundle_path(999, 256), "tile/entries/999");
  EXPECT_EQ(ledger::bundle_path(1000, 1), "tile/entries/x001/000.p/1");
  // The example of C2SP tlog-tiles: a log of 70 000 entries.
  EXPECT_EQ(ledger::tile_width(0, 273, 70'000), 112U);
  EXPECT_EQ(ledger::tile_width(1, 1, 70'000), 17U);
  EXPECT_EQ(ledger::tile_width(2, 0, 70'000), 1U);
  EXPECT_EQ(ledger::tile_width(3, 0, 70'000), 0U);
  EXPECT_EQ(ledger::tile_paths(70'000).size(), 274U * 2 + 2 + 1);
}

TEST(TilePaths, AreRecognisedWhateverSizeIsClaimed) {
  for (const std::uint64_t size : {0U, 1U, 255U, 256U, 257U, 600U, 65'536U, 70'000U, 300'000U}) {
    for (const std::string& path : ledger::tile_paths(size)) EXPECT_TRUE(ledger::is_tile_path(path, size)) << path;
    const std::vector<std::string> own = ledger::tile_paths(size);
    for (const std::string& path : ledger::tile_paths(size + 1))
      EXPECT_EQ(ledger::is_tile_path(path, size), std::find(own.begin(), own.end(), path) != own.end()) << path;
  }
  constexpr std::uint64_t kHuge = ~std::uint64_t{0};
  EXPECT_TRUE(ledger::is_tile_path("tile/0/x072/x057/x594/x037/x927/934", kHuge));
  for (const char* other :
       {"", "tile", "tile/0", "tile/0/0", "tile/0/0000", "tile/0/000/", "tile/9/000", "tile/x/000", "tile/0/x000/000",
        "tile/0/000.p/256", "tile/0/000.p/", "tile/entries", "checkpoint", "tile/00/000", "tile/0/-01", "tile/0/ 01",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/x999/999", "tile/8/000", "tile/0/000.p/1/0"})
    EXPECT_FALSE(ledger::is_tile_path(other, kHuge)) << other;
}

TEST(Ledger, KeepsEntriesInOrderAndAcrossRestarts) {
  const test::TemporaryFolder folder;
  std::vector<std::string> seen;
  for (std::uint64_t round = 0; round < 4; ++round) {
    seen.clear();
    ledger::Ledger ledger = ledger::Ledger::open(ledger_options(folder.path()), [&](std::uint64_t index,
                                                                                    const ledger::StampedEntry& entry) {
                              EXPECT_EQ(index, seen.size());
                              seen.push_back(std::get<ledger::Incident>(entry.body).detail);
                              return Result<void>();
                            }).value();
    EXPECT_EQ(seen.size(), round * 100);
    ASSERT_EQ(ledger.append(kTestTime, numbered_entries(round * 100, 100)).value(), round * 100);
    ASSERT_TRUE(ledger.sync());
    if (round % 2 == 0) {
      ASSERT_TRUE(ledger.publish());
    }
  }
  for (std::uint64_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], "entry number " + std::to_string(i));
}

TEST(Ledger, PublishesTheSameFilesHoweverItsEntriesWereGrouped) {
  const test::TemporaryFolder one, other;
  write_ledger(one.path(), 600, 600);
  for (const std::uint64_t size : {1U, 2U, 255U, 256U, 257U, 300U, 511U, 600U}) write_ledger(other.path(), size, 13);
  ASSERT_EQ(test::files_in(one.path()), test::files_in(other.path()));
  for (const std::string& file : test::files_in(one.path()))
    EXPECT_EQ(test::slurp(one.path() / file), test::slurp(other.path() / file)) << file;
  std::vector<std::string> expected = ledger::tile_paths(600);
  expected.insert(expected.end(), {"checkpoint", "journal"});
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(test::files_in(one.path()), expected);
  EXPECT_EQ(test::slurp(one.path() / "journal"), "");
}

TEST(Ledger, RefusesASecondWriterAnotherKeyAndAnotherName) {
  const test::TemporaryFolder folder;
  {
    const ledger::Ledger ledger = ledger::Ledger::open(ledger_options(folder.path())).value();
    EXPECT_EQ(ledger::Ledger::open(ledger_options(folder.path())).error().code, ErrorCode::failed_precondition);
  }
  EXPECT_EQ(ledger::Ledger::open(ledger_options(folder.path(), "test/st-anna", 2)).error().code,
            ErrorCode::permission_denied);
  EXPECT_FALSE(ledger::Ledger::open(ledger_options(folder.path(), "test/other", 1)));
  EXPECT_FALSE(ledger::Ledger::open(ledger_options(folder.path(), "two words", 1)));
  EXPECT_TRUE(ledger::Ledger::open(ledger_options(folder.path())));
}

TEST(Ledger, ProvesEntriesToOthers) {
  const test::TemporaryFolder folder;
  write_ledger(folder.path(), 700);
  const ledger::Ledger ledger = ledger::Ledger::open(ledger_options(folder.path())).value();
  for (const std::uint64_t index : {0U, 255U, 256U, 511U, 699U}) {
    ledger::EntryProof proof = ledger.prove_entry(index).value();
    EXPECT_NE(proof.entry.find("entry number " + std::to_string(index)), std::string::npos);
    EXPECT_TRUE(ledger::check_entry_proof(proof, test_note_key()));
    const auto stranger = crypto::NoteKey::create("test/st-anna", test::signing_key(9).verify_key()).value();
    EXPECT_EQ(ledger::check_entry_proof(proof, stranger).error().code, ErrorCode::permission_denied);
    proof.entry.back() = ' ';
    EXPECT_EQ(ledger::check_entry_proof(proof, test_note_key()).error().code, ErrorCode::corruption);
  }
  EXPECT_EQ(ledger.prove_entry(700).error().code, ErrorCode::failed_precondition);
}

TEST(Ledger, HaltsWhenItWasRolledBack) {
  const test::TemporaryFolder folder, other;
  write_ledger(folder.path(), 300);
  const auto seen = ledger::read_checkpoint(folder.path(), test_note_key()).value().checkpoint;
  write_ledger(other.path(), 299);
  {
    const ledger::Ledger shorter = ledger::Ledger::open(ledger_options(other.path())).value();
    EXPECT_EQ(shorter.must_contain(seen).error().code, ErrorCode::corruption);
  }
  {
    ledger::Ledger forked = ledger::Ledger::open(ledger_options(other.path())).value();
    ASSERT_TRUE(forked.append(kTestTime, numbered_entries(77'777, 40)));
    ASSERT_TRUE(forked.publish());
    EXPECT_EQ(forked.must_contain(seen).error().code, ErrorCode::corruption);
  }
  write_ledger(folder.path(), 800);
  const ledger::Ledger grown = ledger::Ledger::open(ledger_options(folder.path())).value();
  EXPECT_TRUE(grown.must_contain(seen));
  EXPECT_TRUE(grown.must_contain({"test/st-anna", 0, crypto::merkle_empty_root()}));
  EXPECT_FALSE(grown.must_contain({"test/other", 0, crypto::merkle_empty_root()}));
}

// Every byte of every file of a small ledger: found, and the entry or file named.
TEST(LedgerDamage, EveryFlippedByteIsFoundAndNamed) {
  const test::TemporaryFolder folder;
  write_ledger(folder.path(), 5);
  ASSERT_TRUE(problems_of(folder.path()).empty());
  for (const std::string& file : test::files_in(folder.path())) {
    const std::string good = test::slurp(folder.path() / file);
    for (std::size_t at = 0; at < good.size(); ++at) {
      flip_byte(folder.path() / file, at, 1U << (at % 8));
      const auto problems = problems_of(folder.path());
      ASSERT_FALSE(problems.empty()) << file << " byte " << at;
      if (file.starts_with("tile/entries/")) {
        const std::uint64_t entry = at / (good.size() / 5);  // all five have one length
        EXPECT_EQ(problems[0].where, "entry " + std::to_string(entry)) << "byte " << at;
      } else {
        EXPECT_EQ(problems[0].where, file) << "byte " << at;
      }
      if (at % 16 == 0) {  // the same check, by the owner at start
        const auto opened = ledger::Ledger::open(ledger_options(folder.path()));
        ASSERT_FALSE(opened) << file << " byte " << at;
        EXPECT_NE(opened.error().message.find(problems[0].where), std::string::npos) << opened.error().message;
      }
      test::spill(folder.path() / file, good);
    }
  }
  EXPECT_TRUE(ledger::Ledger::open(ledger_options(folder.path())));
}

// A larger ledger has full tiles, parents and a partial edge: flips at drawn places.
TEST(LedgerDamage, RandomFlipsInAThreeLevelLedgerAreFoundAndNamed) {
  const test::TemporaryFolder folder;
  write_ledger(folder.path(), 700, 350);
  const std::vector<std::string> files = test::files_in(folder.path());
  constexpr std::uint64_t kSeed = 20'261'122;
  const crypto::SecretKey seed = test::numbered_key(kSeed);
  crypto::SeededRandom random(seed);
  for (int trial = 0; trial < 400; ++trial) {
    std::array<std::uint8_t, 8> draw{};
    random.fill(draw);
    const std::string& file = files[draw[0] % files.size()];
    const std::string good = test::slurp(folder.path() / file);
    if (good.empty()) continue;
    const std::size_t at = ((std::size_t{draw[1]} << 16U) | (std::size_t{draw[2]} << 8U) | draw[3]) % good.size();
    flip_byte(folder.path() / file, at, 1U << (draw[4] % 8));
    const auto problems = problems_of(folder.path());
    ASSERT_FALSE(problems.empty()) << "seed " << kSeed << " trial " << trial << ": " << file << " byte " << at;
    EXPECT_TRUE(file.starts_with("tile/entries/") ? problems[0].where.starts_with("entry ") : problems[0].where == file)
        << "seed " << kSeed << " trial " << trial << ": " << file << " byte " << at << " was reported as "
        << problems[0].where;
    test::spill(folder.path() / file, good);
  }
}

TEST(LedgerDamage, MissingTruncatedAndAddedFilesAreNamed) {
  const test::TemporaryFolder folder;
  write_ledger(folder.path(), 300);
  for (const std::string& file : test::files_in(folder.path())) {
    if (file == "journal") continue;
    const std::string good = test::slurp(folder.path() / file);
    std::filesystem::remove(folder.path() / file);
    ASSERT_FALSE(problems_of(folder.path()).empty()) << file;
    EXPECT_NE(problems_of(folder.path())[0].what.find(file == "checkpoint" ? "checkpoint" : "missing"),
              std::string::npos);
    EXPECT_FALSE(ledger::Ledger::open(ledger_options(folder.path()))) << file;
    test::spill(folder.path() / file, good.substr(0, good.size() - 1));
    EXPECT_FALSE(problems_of(folder.path()).empty()) << file;
    test::spill(folder.path() / file, good + "x");
    EXPECT_FALSE(problems_of(folder.path()).empty()) << file;
    test::spill(folder.path() / file, good);
  }
  test::spill(folder.path() / "tile" / "0" / "001.p" / "99", "stranger");
  const auto problems = problems_of(folder.path());
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].kind, ledger::ProblemKind::uncovered);
  EXPECT_EQ(problems[0].where, "tile/0/001.p/99");
}

// A checkpoint is a claim of its signer: what a check costs follows from the files. It says so first, and still judges
// what is there.
TEST(LedgerDamage, ACheckpointThatClaimsMoreThanItsFilesHoldEndsSoon) {
  const test::TemporaryFolder folder;
  write_ledger(folder.path(), 700);
  for (const std::uint64_t size :
       {std::uint64_t{10'000'000'000}, std::uint64_t{1'000'000'000'000'000}, ~std::uint64_t{0}}) {
    std::uint64_t seen = 0;
    const ledger::TileCheck check = ledger::check_tiles(
        folder.path(), {"test/st-anna", size, {}},
        [](std::uint64_t index, ByteView) { ADD_FAILURE() << "entry " << index << " leads to no such root"; },
        [&](std::uint64_t index, ByteView) { EXPECT_EQ(index, seen++); });
    EXPECT_EQ(seen, 512U);  // of the two tiles that are whole
    ASSERT_FALSE(check.problems.empty());
    EXPECT_EQ(check.problems[0].where, "checkpoint");
    EXPECT_NE(check.problems[0].what.find("claims " + std::to_string(size) + " entries"), std::string::npos);
    EXPECT_LT(check.problem_count, 3 * ledger::kProblemsMax);
  }
  // Links cannot make one file a million.
  for (int i = 0; i < 200; ++i) {
    std::string name = std::to_string(i);
    name = "x" + std::string(3 - name.size(), '0') + name;
    for (const char* level : {"0", "entries"})
      std::filesystem::create_directory_symlink(".", folder.path() / "tile" / level / name);
  }
  const ledger::TileCheck check = ledger::check_tiles(folder.path(), {"test/st-anna", 1'000'000'000'000'000, {}}, {});
  EXPECT_LT(check.problem_count, 10'000U);
}

TEST(LedgerDamage, AnEntryAndItsHashChangedTogetherAreNamedByTheirTile) {
  const test::TemporaryFolder folder;
  write_ledger(folder.path(), 300);
  std::string bundle = test::slurp(folder.path() / "tile/entries/000");
  const std::size_t at = bundle.find("entry number 17\"");
  bundle[at + 13] = '9';  // "entry number 97"
  test::spill(folder.path() / "tile/entries/000", bundle);
  const ledger::Bundle decoded = ledger::decode_bundle(as_bytes(bundle), 256);
  std::string tile = test::slurp(folder.path() / "tile/0/000");
  const Digest leaf = crypto::merkle_leaf(decoded.entries[17]);
  std::copy(leaf.begin(), leaf.end(), tile.begin() + 17 * 32);
  test::spill(folder.path() / "tile/0/000", tile);
  const auto problems = problems_of(folder.path());
  ASSERT_FALSE(problems.empty());
  EXPECT_EQ(problems[0].where, "tile/1/000.p/1");
  EXPECT_NE(problems[0].what.find("tile/0/000"), std::string::npos);
}

// --- what leads to the root that was signed ---

struct Visited {
  std::vector<bool> covered;
  std::uint64_t uncovered = 0;

  // [first, last) were shown as the ledger's, and all others were not.
  bool are_all_but(std::uint64_t first, std::uint64_t last) const {
    for (std::uint64_t i = 0; i < covered.size(); ++i)
      if (covered[i] == (i >= first && i < last)) return false;
    return true;
  }
};

Visited visited(const std::filesystem::path& folder, std::uint64_t size) {
  const auto checkpoint = ledger::read_checkpoint(folder, test_note_key()).value();
  Visited out{std::vector<bool>(size), 0};
  ledger::check_tiles(
      folder, checkpoint.checkpoint, [&](std::uint64_t index, ByteView) { out.covered.at(index) = true; },
      [&](std::uint64_t, ByteView) { ++out.uncovered; });
  return out;
}

std::string changed(std::string entry) {
  entry[entry.find("number ") + 7] = '9';
  return entry;
}

class LedgerRoot : public testing::TestWithParam<std::uint64_t> {};

// Whoever holds the files can make them agree. In each size another tile is the one whose hash the root is made of.
TEST_P(LedgerRoot, AnEntryThatDoesNotLeadToItIsNone) {
  const std::uint64_t size = GetParam();
  const test::TemporaryFolder whole;
  write_ledger(whole.path(), size, 350);
  ASSERT_TRUE(visited(whole.path(), size).are_all_but(0, 0));
  const unsigned top = size > 65'536 ? 2 : size > 256 ? 1 : 0;
  for (unsigned levels = 0; levels <= top + 1; ++levels) {
    const test::TemporaryFolder folder;
    std::filesystem::copy(whole.path(), folder.path(), std::filesystem::copy_options::recursive);
    test::edit_entry(folder.path(), 17, changed, levels);
    const Visited found = visited(folder.path(), size);
    // The hashes above that are as they were still say which entries are the ledger's.
    const std::uint64_t tile = std::min<std::uint64_t>(size, 256);
    if (levels == 0) EXPECT_TRUE(found.are_all_but(17, 18)) << size;
    else if (levels == top + 1) EXPECT_TRUE(found.are_all_but(0, size)) << size;
    else EXPECT_TRUE(found.are_all_but(0, levels == 1 ? tile : 65'536)) << size << " level " << levels;
    EXPECT_EQ(found.uncovered,
              static_cast<std::uint64_t>(std::count(found.covered.begin(), found.covered.end(), false)));
  }
}

// A tile that is gone or changed alone hides no entry that leads to the root without it.
TEST_P(LedgerRoot, AnEntryThatLeadsToItIsOneWhateverTileIsDamaged) {
  const std::uint64_t size = GetParam();
  const test::TemporaryFolder folder;
  write_ledger(folder.path(), size, 350);
  std::vector<std::string> files = test::files_in(folder.path());
  std::erase_if(files,
                [](const auto& name) { return name.starts_with("tile/entries/") || !name.starts_with("tile/"); });
  if (files.size() > 12) files.erase(files.begin() + 6, files.end() - 6);
  for (const std::string& file : files) {
    const std::string good = test::slurp(folder.path() / file);
    std::filesystem::remove(folder.path() / file);
    EXPECT_TRUE(visited(folder.path(), size).are_all_but(0, 0)) << file;
    test::spill(folder.path() / file, good);
    flip_byte(folder.path() / file, 7);
    EXPECT_TRUE(visited(folder.path(), size).are_all_but(0, 0)) << file;
    test::spill(folder.path() / file, good);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, LedgerRoot, testing::Values(20, 256, 300, 512, 700, 65'536 + 300));

// --- crashes ---

TEST(LedgerCrash, SyncedEntriesSurviveWithoutAPublish) {
  const test::TemporaryFolder folder;
  {
    ledger::Ledger ledger = ledger::Ledger::open(ledger_options(folder.path())).value();
    ASSERT_TRUE(ledger.append(kTestTime, numbered_entries(0, 10)));
    ASSERT_TRUE(ledger.sync());
  }
  ledger::Ledger ledger = ledger::Ledger::open(ledger_options(folder.path())).value();
  EXPECT_EQ(ledger.size(), 10U);
  EXPECT_EQ(ledger.recovery().entries_recovered, 10U);
  EXPECT_EQ(ledger.recovery().torn_bytes, 0U);
  ASSERT_TRUE(ledger.publish());
  EXPECT_TRUE(problems_of(folder.path()).empty());
}

// The last batch was being written when the power went: the file may end anywhere in it.
TEST(LedgerCrash, ATornLastBatchIsDroppedAndTheRestIsKept) {
  const test::TemporaryFolder folder;
  std::size_t synced_bytes = 0;
  {
    ledger::Ledger ledger = ledger::Ledger::open(ledger_options(folder.path())).value();
    ASSERT_TRUE(ledger.append(kTestTime, numbered_entries(0, 3)));
    ASSERT_TRUE(ledger.sync());
    synced_bytes = test::slurp(folder.path() / "journal").size();
    ASSERT_TRUE(ledger.append(kTestTime, numbered_entries(3, 2)));
  }
  const std::string journal = test::slurp(folder.path() / "journal");
  const std::size_t record = (journal.size() - synced_bytes) / 2;
  for (std::size_t length = synced_bytes; length <= journal.size(); ++length) {
    test::spill(folder.path() / "journal", journal.substr(0, length));
    const ledger::Ledger ledger = ledger::Ledger::open(ledger_options(folder.path())).value();
    EXPECT_EQ(ledger.size(), 3 + (length - synced_bytes) / record) << length;
    EXPECT_EQ(ledger.recovery().torn_bytes, (length - synced_bytes) % record);
    EXPECT_EQ(test::slurp(folder.path() / "journal").size(), length - (length - synced_bytes) % record);
  }
  // Blocks that never reached the disk read as zeros.
  test::spill(folder.path() / "journal",
              journal.substr(0, synced_bytes) + std::string(journal.size() - synced_bytes, '\0'));
  EXPECT_EQ(ledger::Ledger::open(ledger_options(folder.path())).value().size(), 3U);
}

TEST(LedgerCrash, DamageToDurableEntriesIsNotTakenForATornTail) {
  const test::TemporaryFolder folder;
  std::size_t synced_bytes = 0;
  {
    ledger::Ledger ledger = ledger::Ledger::open(ledger_options(folder.path())).value();
    ASSERT_TRUE(ledger.append(kTestTime, numbered_entries(0, 3)));
    ASSERT_TRUE(ledger.sync());
    synced_bytes = test::slurp(folder.path() / "journal").size();
    ASSERT_TRUE(ledger.append(kTestTime, numbered_entries(3, 1)));
  }
  for (std::size_t at = 0; at < synced_bytes; ++at) {
    flip_byte(folder.path() / "journal", at, 1U << (at % 8));
    const auto opened = ledger::Ledger::open(ledger_options(folder.path()));
    ASSERT_FALSE(opened) << at;
    EXPECT_EQ(opened.error().code, ErrorCode::corruption);
    flip_byte(folder.path() / "journal", at, 1U << (at % 8));
  }
  EXPECT_EQ(ledger::Ledger::open(ledger_options(folder.path())).value().size(), 4U);
}

// Each place that only begins like a record costs a hash of the 64 kB that it claims: a file of them is no torn write.
TEST(LedgerCrash, AJournalFullOfFalseBeginningsIsDamage) {
  const test::TemporaryFolder folder;
  { ASSERT_TRUE(ledger::Ledger::open(ledger_options(folder.path()))); }
  std::string beginning = "FVJ2" + std::string(16, '\0') + std::string("\x00\xf0\x00\x00", 4);
  std::string journal;
  for (int i = 0; i < 5000; ++i) journal += beginning;
  test::spill(folder.path() / "journal", journal);
  EXPECT_EQ(ledger::Ledger::open(ledger_options(folder.path())).error().code, ErrorCode::corruption);
}

// A publish is many files; the crash may come after any of them.
TEST(LedgerCrash, AnInterruptedPublishIsRedone) {
  const test::TemporaryFolder before, after;
  {
    ledger::Ledger ledger = ledger::Ledger::open(ledger_options(before.path())).value();
    ASSERT_TRUE(ledger.append(kTestTime, numbered_entries(0, 250)));
    ASSERT_TRUE(ledger.publish());
    ASSERT_TRUE(ledger.append(kTestTime, numbered_entries(250, 50)));
    ASSERT_TRUE(ledger.sync());
  }
  std::filesystem::copy(before.path(), after.path(), std::filesystem::copy_options::recursive);
  {
    ledger::Ledger ledger = ledger::Ledger::open(ledger_options(after.path())).value();
    ASSERT_TRUE(ledger.publish());
  }
  std::vector<std::string> written;
  for (const std::string& file : test::files_in(after.path()))
    if (file.starts_with("tile/") && !std::filesystem::exists(before.path() / file)) written.push_back(file);
  ASSERT_EQ(written.size(), 5U);  // two tiles, two bundles, one parent
  for (std::size_t count = 0; count <= written.size() + 1; ++count) {
    const test::TemporaryFolder crashed;
    std::filesystem::copy(before.path(), crashed.path(), std::filesystem::copy_options::recursive);
    for (std::size_t i = 0; i < std::min(count, written.size()); ++i) {
      std::filesystem::create_directories((crashed.path() / written[i]).parent_path());
      std::filesystem::copy(after.path() / written[i], crashed.path() / written[i]);
    }
    // The last case: the checkpoint is in place as well, the journal is not yet empty.
    if (count > written.size())
      std::filesystem::copy(after.path() / "checkpoint", crashed.path() / "checkpoint",
                            std::filesystem::copy_options::overwrite_existing);
    ledger::Ledger ledger = ledger::Ledger::open(ledger_options(crashed.path())).value();
    EXPECT_EQ(ledger.size(), 300U) << count;
    ASSERT_TRUE(ledger.append(kTestTime, numbered_entries(300, 1)));
    ASSERT_TRUE(ledger.publish());
    EXPECT_TRUE(problems_of(crashed.path()).empty()) << count;
  }
}

// Until the checkpoint is there, the journal is all that holds the entries.
TEST(LedgerCrash, ADiskThatFillsUpBeforeTheCheckpointLosesNoDurableEntry) {
  const test::TemporaryFolder folder;
  {
    ledger::Ledger ledger = ledger::Ledger::open(ledger_options(folder.path())).value();
    ASSERT_TRUE(ledger.append(kTestTime, numbered_entries(0, 1)));
    ASSERT_TRUE(ledger.sync());
    const test::FullDisk full(test::slurp(folder.path() / "checkpoint").size() - 1);
    EXPECT_EQ(ledger.publish().error().code, ErrorCode::unavailable);
  }
  ASSERT_TRUE(std::filesystem::exists(folder.path() / ledger::bundle_path(0, 1))) << "it failed before the checkpoint";
  EXPECT_EQ(ledger::Ledger::open(ledger_options(folder.path())).value().size(), 1U);
}

TEST(LedgerCrash, AFullDiskStopsTheLedgerAndLosesNoDurableEntry) {
  const test::TemporaryFolder folder;
  {
    ledger::Ledger ledger = ledger::Ledger::open(ledger_options(folder.path())).value();
    ASSERT_TRUE(ledger.append(kTestTime, numbered_entries(0, 3)));
    ASSERT_TRUE(ledger.sync());
    {
      const test::FullDisk full(test::slurp(folder.path() / "journal").size() + 40);
      EXPECT_EQ(ledger.append(kTestTime, numbered_entries(3, 1)).error().code, ErrorCode::unavailable);
    }
    // There is room again, but what the failed write left on disk is not known: nothing goes on without a new start.
    EXPECT_EQ(ledger.append(kTestTime, numbered_entries(3, 1)).error().code, ErrorCode::failed_precondition);
    EXPECT_EQ(ledger.sync().error().code, ErrorCode::failed_precondition);
    EXPECT_EQ(ledger.publish().error().code, ErrorCode::failed_precondition);
  }
  ledger::Ledger ledger = ledger::Ledger::open(ledger_options(folder.path())).value();
  EXPECT_EQ(ledger.size(), 3U);
  EXPECT_EQ(ledger.recovery().torn_bytes, 40U);
  {
    const test::FullDisk full(100);  // less than a checkpoint
    EXPECT_EQ(ledger.publish().error().code, ErrorCode::unavailable);
  }
  EXPECT_EQ(ledger.publish().error().code, ErrorCode::failed_precondition);
  { const ledger::Ledger closed = std::move(ledger); }
  ledger::Ledger again = ledger::Ledger::open(ledger_options(folder.path())).value();
  EXPECT_EQ(again.size(), 3U);
  ASSERT_TRUE(again.publish());
  EXPECT_TRUE(problems_of(folder.path()).empty());
}

TEST(LedgerCrash, AMissingPieceOfTheJournalIsDamage) {
  const test::TemporaryFolder folder;
  {
    ledger::Ledger ledger = ledger::Ledger::open(ledger_options(folder.path())).value();
    ASSERT_TRUE(ledger.append(kTestTime, numbered_entries(0, 2)));
    ASSERT_TRUE(ledger.sync());
  }
  const std::string journal = test::slurp(folder.path() / "journal");
  test::spill(folder.path() / "journal", journal.substr(journal.size() / 2));
  EXPECT_EQ(ledger::Ledger::open(ledger_options(folder.path())).error().code, ErrorCode::corruption);
  test::spill(folder.path() / "journal", journal + journal);
  EXPECT_EQ(ledger::Ledger::open(ledger_options(folder.path())).error().code, ErrorCode::corruption);
}

TEST(Ledger, AppendsNothingOfABatchWithAnEntryThatCannotBeWritten) {
  const test::TemporaryFolder folder;
  ledger::Ledger ledger = ledger::Ledger::open(ledger_options(folder.path())).value();
  std::vector<ledger::LedgerEntry> batch = numbered_entries(0, 2);
  batch.push_back(ledger::Incident{"", ""});
  EXPECT_FALSE(ledger.append(kTestTime, batch));
  EXPECT_EQ(ledger.size(), 0U);
  EXPECT_TRUE(ledger.append(kTestTime, numbered_entries(0, 2)));
}

}  // namespace
}  // namespace fovea::federation

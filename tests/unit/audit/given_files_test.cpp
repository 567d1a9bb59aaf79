// Failure class: what an auditor is given is not as it should be, a copy that was made while the program wrote, entries
// of a newer program, a list of names in another encoding, and the answer is a wrong accusation or a false PASS.
#include <gtest/gtest.h>

#include <filesystem>

#include "audit/canaries.h"
#include "audit/ledger_audit.h"
#include "audit/ledger_copies.h"
#include "audit/reconciliation.h"
#include "audit/views.h"
#include "crypto/merkle_log.h"
#include "federation/ledger/journal.h"
#include "federation/ledger/tile.h"
#include "tests/support/audited_run.h"
#include "tests/support/temporary_folder.h"

namespace fovea::audit {
namespace {

using federation::ledger::LedgerEntry;
using Entries = std::vector<LedgerEntry>;
namespace fs = std::filesystem;

constexpr const char* kOrigin = "test/st-anna";
constexpr std::uint64_t kLogKey = 1;

// ---- a copy that was made while the program ran

class LiveCopy : public testing::Test {
 protected:
  LiveCopy() { EXPECT_TRUE(ring.add_key(test::note_key_text(kOrigin, kLogKey))); }

  void grow_to(std::uint64_t size) {
    if (size > grown)
      test::write_ledger_of(path("live"), kOrigin, kLogKey, test::numbered_entries(grown, size - grown));
    grown = size;
  }
  fs::path path(const std::string& name) const { return folder.path() / name; }
  void copy(const std::string& from, const std::string& to) {
    fs::copy(path(from), path(to), fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  }
  AuditedLedger audit(const std::string& name, const std::vector<std::string>& canaries = {}) {
    return audit_ledger(path(name), ring, canaries).value();
  }
  static bool says(const AuditedLedger& ledger, const std::string& text) {
    return std::any_of(ledger.notices.begin(), ledger.notices.end(),
                       [&](const std::string& notice) { return notice.find(text) != std::string::npos; });
  }
  void expect_sound(const std::string& name, std::uint64_t size, const std::string& notice) {
    const AuditedLedger ledger = audit(name);
    ASSERT_TRUE(ledger.sound()) << size << ": " << to_text(ledger);
    EXPECT_TRUE(ledger.whole);
    EXPECT_EQ(ledger.facts.entries, size);
    EXPECT_TRUE(says(ledger, notice)) << size << ": " << to_text(ledger);
  }

  test::TemporaryFolder folder;
  KeyRing ring;
  std::uint64_t grown = 0;
};

TEST_F(LiveCopy, TilesOfAnotherPublishAreToldAndAccuseNobody) {
  std::string before;
  for (const std::uint64_t size : {1U, 5U, 255U, 256U, 257U, 300U, 600U, 601U, 1024U}) {
    const std::uint64_t last = grown;
    grow_to(size);
    if (!before.empty()) {
      const std::string name = "from" + std::to_string(last) + "to" + std::to_string(size);
      // The checkpoint was copied before a publish, and the tiles after it; old ones may be there still.
      copy("live", name);
      fs::copy_file(path(before) / "checkpoint", path(name) / "checkpoint", fs::copy_options::overwrite_existing);
      expect_sound(name, last, "the copy was made while the program ran");
      copy(before, name + "-both");
      copy("live", name + "-both");
      if (last % 256 != 0) expect_sound(name + "-both", size, "is of another publish than the checkpoint");
      fs::copy_file(path(before) / "checkpoint", path(name + "-both") / "checkpoint",
                    fs::copy_options::overwrite_existing);
      expect_sound(name + "-both", last, "is of another publish than the checkpoint");
      // It is an older copy of what was published then.
      std::vector<AuditedLedger> both;
      for (const std::string& given : {std::string("live"), name}) both.push_back(audit(given));
      compare_copies(both);
      EXPECT_EQ(both.size(), 1U) << name;
      // Its owner would not go on with it.
      const bool replaced = says(audit(name), "was read instead");
      const auto opened = federation::ledger::Ledger::open(test::ledger_options(path(name), kOrigin, kLogKey));
      EXPECT_NE(opened.has_value(), replaced) << name;
    }
    before = "before" + std::to_string(size);
    copy("live", before);
  }
}

TEST_F(LiveCopy, AJournalThatBeginsLaterAccusesNobody) {
  grow_to(10);
  copy("live", "copy");
  grow_to(20);
  {
    auto ledger = federation::ledger::Ledger::open(test::ledger_options(path("live"), kOrigin, kLogKey)).value();
    ASSERT_TRUE(ledger.append(test::kTestTime, Entries{federation::ledger::Incident{"test", "PAT-000123"}}));
    ASSERT_TRUE(ledger.sync());
  }
  fs::copy_file(path("live") / "journal", path("copy") / "journal", fs::copy_options::overwrite_existing);
  expect_sound("copy", 10, "the journal begins with entry 20, after a checkpoint of 10");
  EXPECT_EQ(audit("copy", {"PAT-000123"}).canary_hits, 1U);  // it must hold no name all the same
}

TEST_F(LiveCopy, WhatIsNoWholeTileOfAPublishIsAFinding) {
  grow_to(300);
  for (const char* stranger : {"tile/0/001.p/99", "tile/entries/002", "tile/names.txt", "tile/entries/001.p/45.tmp"}) {
    copy("live", "copy");
    test::spill(path("copy") / stranger, "Anna Example");
    const AuditedLedger ledger = audit("copy");
    ASSERT_EQ(ledger.finding_count, 1U) << stranger;
    EXPECT_EQ(ledger.findings[0].where, stranger);
    fs::remove_all(path("copy"));
  }
  // A wider tile of other entries replaces nothing.
  copy("live", "copy");
  test::write_ledger_of(path("other"), kOrigin, kLogKey, test::numbered_entries(7000, 400));
  for (const char* level : {"0", "entries"}) {
    fs::remove(path("copy") / "tile" / level / "001.p" / "44");
    fs::copy_file(path("other") / "tile" / level / "001.p" / "144", path("copy") / "tile" / level / "001.p" / "144");
  }
  EXPECT_EQ(audit("copy").verdict(), Verdict::fail);
}

TEST_F(LiveCopy, NamesAreSearchedForInTilesThatNoCheckpointNames) {
  grow_to(10);
  copy("live", "copy");
  grow_to(300);
  fs::copy(path("live") / "tile", path("copy") / "tile",
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  const AuditedLedger ledger = audit("copy", {"entry number 299"});
  ASSERT_EQ(ledger.canary_hits, 1U);
  EXPECT_EQ(ledger.findings.back().where.rfind("tile/entries/", 0), 0U);
  EXPECT_NE(ledger.findings.back().what.find("accuses nobody"), std::string::npos);
}

// ---- entries of a newer program

class NewerVersion : public testing::Test {
 protected:
  NewerVersion() {
    receipts = test::write_site_ledger(site, 3);
    for (const LedgerEntry& entry : test::read_ledger_entries(folder.path() / "honest", kOrigin, kLogKey))
      texts.push_back(federation::ledger::encode_entry({test::kTestTime, entry}).value());
    const Digest roster = test::write_roster_file(folder.path() / "roster.json", 1, {test::roster_entry_of(site)});
    receipts.insert(receipts.begin(), federation::ledger::RosterEpoch{1, roster, 1});
    EXPECT_TRUE(ring.add_roster(folder.path() / "roster.json", {}, 0));
  }
  // As its owner signs them, whatever they say.
  AuditedLedger ledger_of(const std::vector<std::string>& entries) {
    const fs::path path = folder.path() / ("ledger" + std::to_string(++ledgers));
    federation::ledger::TileBuilder tiles;
    crypto::MerkleFrontier tree;
    for (const std::string& entry : entries) {
      tree.append(crypto::merkle_leaf(as_bytes(entry)));
      tiles.append(entry, crypto::merkle_leaf(as_bytes(entry)));
    }
    for (const federation::ledger::TileFile& file : tiles.changed_files()) {
      fs::create_directories((path / file.path).parent_path());
      test::spill(path / file.path, as_text(file.bytes));
    }
    const crypto::Checkpoint checkpoint{kOrigin, tree.size(), tree.root()};
    test::spill(path / "checkpoint",
                crypto::sign_note(checkpoint.text(), kOrigin, test::signing_key(kLogKey)).value().serialize());
    return audit_ledger(path, ring).value();
  }
  std::size_t find(const std::string& word) const {
    for (std::size_t i = 0; i < texts.size(); ++i)
      if (texts[i].find(word) != std::string::npos) return i;
    ADD_FAILURE() << word;
    return 0;
  }
  static std::string with_version(std::string text, const std::string& version) {
    const std::size_t at = text.rfind("\"v\":") + 4;
    return text.replace(at, text.find_first_of(",}", at) - at, version);
  }
  void expect_not_verified(const std::vector<std::string>& entries, std::size_t at) {
    const AuditedLedger ledger = ledger_of(entries);
    EXPECT_EQ(ledger.verdict(), Verdict::unverified) << to_text(ledger);
    EXPECT_EQ(ledger.of_newer_version, 1U);
    EXPECT_FALSE(ledger.whole);
    for (const std::string& part : {"entry " + std::to_string(at), std::string("newer version"), std::string("update")})
      EXPECT_NE(ledger.unverified.find(part), std::string::npos) << ledger.unverified;
    EXPECT_EQ(verdict_sentence({ledger}, nullptr).rfind("NOT VERIFIED", 0), 0U);
    // What stands in it, nobody knows here: it convicts nobody, and does not pass.
    test::write_ledger_of(folder.path() / ("received" + std::to_string(ledgers)), "test/coordinator",
                          test::kAuditCoordinator, receipts);
    const AuditedLedger received = audit_ledger(folder.path() / ("received" + std::to_string(ledgers)), ring).value();
    const Reconciliation result = reconcile({&ledger}, received);
    EXPECT_FALSE(result.convicts());
    EXPECT_EQ(verdict_of({ledger, received}, &result), Verdict::unverified);
  }

  test::TemporaryFolder folder;
  test::EgressSite site{folder.path() / "honest"};
  KeyRing ring;
  std::vector<std::string> texts;
  Entries receipts;
  int ledgers = 0;
};

TEST_F(NewerVersion, IsNotVerifiedAndAccusesNobody) {
  ASSERT_TRUE(ledger_of(texts).sound());
  for (const char* word :
       {"\"plan.approved\"", "\"roster.epoch\"", "\"round.open\"", "\"masked-chunk\"", "\"egress.sent\""}) {
    const std::size_t at = find(word);
    std::vector<std::string> entries = texts;
    entries[at] = with_version(texts[at], "9");
    expect_not_verified(entries, at);
    entries[at] = with_version(texts[at], texts[at].find("\"v\":2") != std::string::npos ? "3" : "2");
    expect_not_verified(entries, at);
    entries[at] = R"({"at_ms":1700000000000,"count":3,"type":"egress.noted","v":1})";
    expect_not_verified(entries, at);
  }
}

// Its owner can write such an entry at any time, and it stays: what left before it, by what is known, must be known.
TEST_F(NewerVersion, ExcusesNothingOfARoundThatWasOverBeforeIt) {
  const auto convicted = [&](const std::vector<std::string>& entries, RoundNumber round) {
    const AuditedLedger ledger = ledger_of(entries);
    const auto kind = federation::messages::MessageKind::keys;
    const federation::messages::KeysMessage message{.ref = {.round = round, .attempt = 9}, .keys = {}};
    Entries more = receipts;
    more.emplace_back(test::receipt_of(site, kind, site.wire(kind, message.encode()), round));
    const std::string name = "more" + std::to_string(ledgers);
    test::write_ledger_of(folder.path() / name, "test/coordinator", test::kAuditCoordinator, more);
    const AuditedLedger received = audit_ledger(folder.path() / name, ring).value();
    const Reconciliation result = reconcile({&ledger}, received);
    const std::string sentence = verdict_sentence({ledger, received}, &result);
    const bool counted = sentence.find("(1 entry is of a type or version that only a newer") != std::string::npos;
    EXPECT_NE(counted, result.convicts()) << sentence;
    return result.convicts();
  };
  const std::string noted = R"({"at_ms":1700000000000,"type":"egress.noted","v":1})";
  std::vector<std::string> last = texts;
  last.push_back(noted);
  EXPECT_TRUE(convicted(last, 1));
  EXPECT_TRUE(convicted(last, 2));
  EXPECT_FALSE(convicted(last, 3));  // which may have gone on with it
  std::vector<std::string> first = texts;
  first[0] = with_version(texts[0], "9");
  for (const RoundNumber round : {1U, 2U, 3U}) EXPECT_FALSE(convicted(first, round));
}

TEST_F(NewerVersion, ThatNoCheckpointCoversExcusesNothing) {
  const AuditedLedger signed_one = ledger_of(texts);
  const fs::path path = signed_one.folder;
  auto journal = federation::ledger::LedgerJournal::open(
                     path / "journal", {}, federation::ledger::ledger_journal_key(test::signing_key(99), kOrigin))
                     .value();
  const std::string noted = R"({"at_ms":1700000000000,"type":"egress.noted","v":1})";
  const federation::ledger::LedgerJournalAddition addition{.index = texts.size(), .entry = noted};
  ASSERT_TRUE(journal.append(std::span(&addition, 1)));
  const AuditedLedger ledger = audit_ledger(path, ring).value();
  EXPECT_EQ(ledger.of_newer_version, 1U);
  EXPECT_EQ(ledger.verdict(), Verdict::unverified);
  EXPECT_TRUE(ledger.whole);
}

TEST_F(NewerVersion, AJournalOfAnotherFormatIsNotVerifiedAndExcusesNothing) {
  const fs::path path = ledger_of(texts).folder;
  for (const char* format : {"FVJ1", "FVJ3"}) {
    test::spill(path / "journal", std::string(format) + std::string(40, 'x'));
    const AuditedLedger ledger = audit_ledger(path, ring).value();
    EXPECT_EQ(ledger.verdict(), Verdict::unverified) << to_text(ledger);
    EXPECT_NE(to_text(ledger).find("journal is of another version's format"), std::string::npos) << to_text(ledger);
    EXPECT_TRUE(ledger.whole);
  }
}

TEST_F(NewerVersion, IsNoExcuseForWhatThisVersionReads) {
  const std::size_t at = find("\"round.open\"");
  for (const std::string& broken :
       {with_version(texts[at], "0"), with_version(texts[at], "\"9\""), texts[at] + " ", std::string("{}"),
        with_version(texts[at], "9.5"), std::string(R"({"type":"egress.noted","v":1})")}) {
    std::vector<std::string> entries = texts;
    entries[at] = broken;
    const AuditedLedger ledger = ledger_of(entries);
    EXPECT_EQ(ledger.verdict(), Verdict::fail) << broken;
    EXPECT_EQ(ledger.findings.at(0).rule, "form") << broken;
  }
  // Nor for another fault.
  std::vector<std::string> entries = texts;
  entries[find("\"egress.sent\"")] = R"({"at_ms":1700000000000,"type":"egress.noted","v":1})";
  const std::size_t keys = find("\"kind\":\"keys\"");
  entries[keys].replace(entries[keys].find("\"kind\":\"keys\""), 13, "\"kind\":\"kept\"");
  EXPECT_EQ(ledger_of(entries).verdict(), Verdict::fail);
}

// ---- names that must not be in a ledger

TEST(Canaries, AListInWhichNothingCouldBeFoundIsRefused) {
  const test::TemporaryFolder folder;
  const fs::path file = folder.path() / "names.txt";
  const auto read = [&](const std::string& bytes) {
    test::spill(file, bytes);
    return read_canary_file(file);
  };
  using namespace std::string_literals;
  const std::pair<std::string, std::string> refused[] = {
      {""s, "holds no text"},
      {"\n \r\n\t\n"s, "holds no text"},
      {"\xef\xbb\xbf\n"s, "holds no text"},
      {"\xff\xfeM\0e\0i\0e\0r\0\n\0"s, "save the file as UTF-8"},
      {"\xfe\xff\0M\0e\0i\0e\0r\0\n"s, "save the file as UTF-8"},
      {"M\0e\0i\0e\0r\0\n\0"s, "save the file as UTF-8"},
      {"Meier\nM\xfcller\n"s, "line 2: is not UTF-8"},
      {"Meier\r\n\r\nab\r\n"s, "line 3: a text of fewer than 3 bytes"}};
  for (const auto& [bytes, why] : refused) {
    const auto names = read(bytes);
    ASSERT_FALSE(names) << why;
    EXPECT_EQ(names.error().message.rfind(file.string(), 0), 0U) << names.error().message;
    EXPECT_NE(names.error().message.find(why), std::string::npos) << names.error().message;
    EXPECT_EQ(names.error().message.find("Meier"), std::string::npos);
  }
  const std::vector<std::string> both{"Meier", "PAT 17"};
  for (const char* accepted :
       {"Meier\nPAT 17\n", "\xef\xbb\xbfMeier\r\nPAT 17\r\n", "Meier\rPAT 17", " Meier \n\n\tPAT 17\t\n"})
    EXPECT_EQ(read(accepted).value(), both) << accepted;
  EXPECT_EQ(read("M\xc3\xbcller\n").value(), std::vector<std::string>{"M\xc3\xbcller"});
  EXPECT_FALSE(checked_canary("  ", "--canary"));
}

TEST(Canaries, AreFoundAsTheyAreWrittenWithOtherCapitalsAndAsJsonEscapesThem) {
  const CanarySearch search({"Meier", "C:\\scans\\a.nii", "a \"b\" c", "M\xc3\xbcller", "kind", "4711"});
  const auto found = [&](const std::string& text) { return search.found_in(text); };
  using Found = std::vector<std::size_t>;
  EXPECT_EQ(found(R"({"detail":"MEIER, Anna"})"), Found{0});
  EXPECT_EQ(found(R"({"detail":"could not read c:\\SCANS\\a.nii"})"), Found{1});
  EXPECT_EQ(found(R"({"detail":"a \"b\" c"})"), Found{2});
  EXPECT_EQ(found("{\"detail\":\"M\xc3\xbcLLER\"}"), Found{3});
  // A field's name is no patient's; a value is, at its beginning, in its middle and as a whole.
  EXPECT_EQ(found(R"({"kind":"keys","length":4711})"), Found{});
  for (const char* value : {R"({"detail":"Kind"})", R"({"detail":"Kind, Anna"})", R"({"detail":"of Kind: \"kind\":"})"})
    EXPECT_EQ(found(value), Found{4}) << value;
  EXPECT_EQ(found(R"({"detail":"Meiers Kind 4711"})"), (Found{4, 5}));
}

TEST_F(LiveCopy, SaysForHowManyNamesItLooked) {
  grow_to(3);
  EXPECT_NE(
      to_text(audit("live", {"Meier", "PAT-17"})).find("none of 2 given names and identifiers occurs in any entry"),
      std::string::npos);
  const AuditedLedger hit = audit("live", {"Meier", "entry number 2"});
  EXPECT_NE(to_text(hit).find("searched for 2 given names and identifiers"), std::string::npos);
  EXPECT_EQ(to_text(hit).find("none of"), std::string::npos);
  KeyRing none;
  ASSERT_TRUE(none.add_key(test::note_key_text(kOrigin, 9)));
  const AuditedLedger unread = audit_ledger(path("live"), none, {"Meier"}).value();
  EXPECT_EQ(unread.canaries_searched, 0U);
  EXPECT_EQ(to_text(unread).find("given name"), std::string::npos);
}

}  // namespace
}  // namespace fovea::audit

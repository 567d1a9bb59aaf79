// Failure class: whoever hands the auditor more than one ledger of a hospital, or one that only claims to be its, gets
// what none of them alone would get: a receipt explained, a conviction silenced, a ledger counted twice.
#include "audit/ledger_copies.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "audit/reconciliation.h"
#include "audit/views.h"
#include "tests/support/audited_run.h"
#include "tests/support/temporary_folder.h"

namespace fovea::audit {
namespace {

using federation::ledger::LedgerEntry;
using Entries = std::vector<LedgerEntry>;

constexpr const char* kOrigin = "test/st-anna";
constexpr std::uint64_t kLogKey = 1;

class LedgerCopies : public testing::Test {
 protected:
  LedgerCopies() {
    receipts = test::write_site_ledger(site, 3);
    honest = test::read_ledger_entries(folder.path() / "honest", kOrigin, kLogKey);
    const Digest roster = test::write_roster_file(folder.path() / "roster.json", 1, {test::roster_entry_of(site)});
    receipts.insert(receipts.begin(), federation::ledger::RosterEpoch{1, roster, 1});
    EXPECT_TRUE(ring.add_roster(folder.path() / "roster.json", {}, 0));
    EXPECT_TRUE(ring.add_key(test::note_key_text("other/st-anna", 2)));
  }

  void write(const std::string& name, const Entries& entries, const std::string& origin = kOrigin,
             std::uint64_t key = kLogKey) {
    test::write_ledger_of(folder.path() / name, origin, key, entries);
  }
  // Without a checkpoint over them.
  void append_unsigned(const std::string& name, const Entries& entries) {
    auto ledger =
        federation::ledger::Ledger::open(test::ledger_options(folder.path() / name, kOrigin, kLogKey)).value();
    ASSERT_TRUE(ledger.append(test::kTestTime, entries));
    ASSERT_TRUE(ledger.sync());
  }
  static Entries first(const Entries& entries, std::size_t count) {
    return {entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(count)};
  }
  static Entries joined(Entries one, const Entries& other) {
    one.insert(one.end(), other.begin(), other.end());
    return one;
  }

  std::vector<AuditedLedger> given(const std::vector<std::string>& names) {
    std::vector<AuditedLedger> out;
    for (const std::string& name : names) out.push_back(audit_ledger(folder.path() / name, ring).value());
    compare_copies(out);
    return out;
  }
  AuditedLedger coordinator() {
    const std::string name = "coordinator" + std::to_string(++coordinators);
    write(name, receipts, "test/coordinator", test::kAuditCoordinator);
    return audit_ledger(folder.path() / name, ring).value();
  }
  Reconciliation compared(const std::vector<AuditedLedger>& sites) {
    std::vector<const AuditedLedger*> pointers;
    for (const AuditedLedger& ledger : sites) pointers.push_back(&ledger);
    return reconcile(pointers, coordinator());
  }
  static bool has_fork(const AuditedLedger& ledger) {
    return std::any_of(ledger.findings.begin(), ledger.findings.end(), [](const auto& f) { return f.rule == "fork"; });
  }
  void expect_fork(const std::vector<AuditedLedger>& both, bool convicts) {
    ASSERT_EQ(both.size(), 2U);
    for (const AuditedLedger& ledger : both) {
      EXPECT_TRUE(has_fork(ledger));
      EXPECT_EQ(ledger.forked, convicts);
      EXPECT_EQ(ledger.verdict(), Verdict::fail);
    }
    const Reconciliation result = compared(both);
    EXPECT_EQ(result.sites.at(0).forked, convicts);
    EXPECT_EQ(verdict_of(both, &result), Verdict::fail);
    EXPECT_FALSE(convicts && result.clean());
    EXPECT_EQ(verdict_sentence(both, &result).find("st-anna signed two ledgers") != std::string::npos, convicts);
  }
  // A message that the site sent past its gate, as the coordinator received it.
  federation::ledger::IngressReceipt past_the_gate() const {
    const auto kind = federation::messages::MessageKind::training_ready;
    return test::receipt_of(
        site, kind, site.wire(kind, federation::messages::TrainingReady{.round = 77, .model_hash = {}}.encode()), 77);
  }

  test::TemporaryFolder folder;
  test::EgressSite site{folder.path() / "honest"};
  KeyRing ring;
  Entries honest, receipts;
  int coordinators = 0;
};

TEST_F(LedgerCopies, TheBeginningOfALedgerAndTheSameOneAreCountedOnce) {
  const Entries more = joined(honest, test::numbered_entries(0, 700));  // three levels of tiles
  write("longest", more);
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, honest.size(), std::size_t{256}, std::size_t{512},
                                  std::size_t{600}, more.size()}) {
    const std::string name = "older" + std::to_string(count);
    write(name, first(more, count));
    for (const auto& names : {std::vector<std::string>{"longest", name}, std::vector<std::string>{name, "longest"}}) {
      const auto ledgers = given(names);
      ASSERT_EQ(ledgers.size(), 1U) << count;
      EXPECT_EQ(ledgers[0].checkpoint.size, more.size());
      EXPECT_TRUE(ledgers[0].sound());
      ASSERT_EQ(ledgers[0].notices.size(), 1U);
      EXPECT_NE(ledgers[0].notices[0].find("counted once"), std::string::npos);
      EXPECT_TRUE(compared(ledgers).clean());
    }
  }
  EXPECT_EQ(given({"longest", "longest"}).size(), 1U);
}

TEST_F(LedgerCopies, TwoSignedLedgersThatPartConvictTheirOwner) {
  const Entries more = joined(honest, test::numbered_entries(0, 600));
  write("one", more);
  for (const std::size_t common : {std::size_t{0}, std::size_t{5}, std::size_t{256}, std::size_t{300}, more.size() - 1})
    for (const std::size_t length : {common + 1, std::size_t{512}, more.size(), more.size() + 1}) {
      if (length <= common) continue;
      const std::string name = "from" + std::to_string(common) + "to" + std::to_string(length);
      write(name, joined(first(more, common), test::numbered_entries(9000, length - common)));
      expect_fork(given({"one", name}), true);
      expect_fork(given({name, "one"}), true);
    }
}

TEST_F(LedgerCopies, WhatOnlyTheOtherLedgerHoldsExplainsNoReceipt) {
  const std::size_t half = honest.size() / 2;
  write("one", first(honest, half));
  write("two", joined(first(honest, 2), Entries(honest.begin() + static_cast<std::ptrdiff_t>(half), honest.end())));
  const Reconciliation result = compared(given({"one", "two"}));
  EXPECT_GT(result.sites.at(0).against_site.messages, 0U);
  EXPECT_TRUE(result.sites.at(0).forked);
}

TEST_F(LedgerCopies, WhatNoSignatureCoversConvictsNobody) {
  for (const char* name : {"one", "two"}) write(name, first(honest, 5));
  append_unsigned("one", test::numbered_entries(0, 3));
  append_unsigned("two", test::numbered_entries(7, 3));
  expect_fork(given({"one", "two"}), false);
  // Against what was signed meanwhile, too; but the same entries are an older copy.
  write("signed", joined(first(honest, 5), test::numbered_entries(0, 20)));
  EXPECT_EQ(given({"signed", "one"}).size(), 1U);
  expect_fork(given({"signed", "two"}), false);
  // Nor does a site's older ledger, made the longest by such entries, lack what the site sent since.
  append_unsigned("two", test::numbered_entries(10, honest.size()));
  write("honest-so-far", honest);
  EXPECT_EQ(compared(given({"honest-so-far", "two"})).sites.at(0).against_site.messages, 0U);
}

TEST_F(LedgerCopies, ADamagedCopyIsFoundAndSilencesNothing) {
  const Entries more = joined(honest, test::numbered_entries(0, 300));
  for (const char* name : {"whole", "damaged"}) write(name, more);
  test::flip_byte(folder.path() / "damaged" / "tile/entries/000", 40);
  const auto both = given({"damaged", "whole"});
  ASSERT_EQ(both.size(), 2U);
  for (const AuditedLedger& ledger : both) EXPECT_FALSE(has_fork(ledger));
  receipts.emplace_back(past_the_gate());
  EXPECT_EQ(compared(both).sites.at(0).unlogged_receipts.at(0).culprit, Culprit::site);
  // A longer one that lacks tiles cannot be compared: it fails by itself, and nobody is said to have signed a fork.
  write("shorter", first(more, 290));
  test::flip_byte(folder.path() / "damaged" / "tile/1/000.p/1", 3);
  const auto unknown = given({"damaged", "shorter"});
  ASSERT_EQ(unknown.size(), 2U);
  EXPECT_EQ(unknown[0].verdict(), Verdict::fail);
  EXPECT_FALSE(has_fork(unknown[0]) || has_fork(unknown[1]));
}

TEST_F(LedgerCopies, ALedgerThatNobodyCanReadIsNoExcuse) {
  write("strangers", honest, kOrigin, 9);  // in the hospital's name, under no key of it
  write("elsewhere", honest, "other/st-anna", 2);
  receipts.emplace_back(past_the_gate());
  for (const auto& names : {std::vector<std::string>{"honest", "strangers"}, {"strangers", "honest"}}) {
    const Reconciliation result = compared(given(names));
    ASSERT_EQ(result.sites.at(0).unlogged_receipts.size(), 1U);
    EXPECT_EQ(result.sites[0].unlogged_receipts[0].culprit, Culprit::site);
  }
  // Nor does one of another federation say what left for this one.
  const Reconciliation alone = compared(given({"elsewhere"}));
  EXPECT_EQ(alone.sites.at(0).matched.messages, 0U);
  EXPECT_TRUE(alone.sites[0].unlogged_receipts.empty());  // that of this one was not given
  EXPECT_EQ(alone.sites[0].not_looked_at.messages, alone.sites[0].unlogged.messages + receipts.size() - 1);
}

// A hospital that got new keys began a new ledger.
TEST_F(LedgerCopies, LedgersUnderTwoKeysOfOneHospitalCountTogether) {
  const std::size_t half = honest.size() / 2;
  write("before", first(honest, half));
  write("after", Entries(honest.begin() + static_cast<std::ptrdiff_t>(half), honest.end()), kOrigin, 9);
  ASSERT_TRUE(ring.add_key(test::note_key_text(kOrigin, 9)));
  const auto both = given({"before", "after"});
  ASSERT_EQ(both.size(), 2U);
  EXPECT_FALSE(has_fork(both[0]) || has_fork(both[1]));
  EXPECT_TRUE(compared(both).clean());
}

TEST_F(LedgerCopies, AReceiptThatNoCheckpointCoversConvictsNoCoordinator) {
  auto forged = past_the_gate();
  forged.proof->signature[5] ^= 1U;
  const std::string name = "handed-over";
  write(name, receipts, "test/coordinator", test::kAuditCoordinator);
  {
    auto ledger = federation::ledger::Ledger::open(
                      test::ledger_options(folder.path() / name, "test/coordinator", test::kAuditCoordinator))
                      .value();
    ASSERT_TRUE(ledger.append(test::kTestTime, Entries{forged}));
    ASSERT_TRUE(ledger.sync());
  }
  const AuditedLedger received = audit_ledger(folder.path() / name, ring).value();
  EXPECT_EQ(received.verdict(), Verdict::fail);
  ASSERT_FALSE(received.findings.empty());
  EXPECT_NE(received.findings[0].what.find("accuses nobody"), std::string::npos) << received.findings[0].what;
  const auto sent = given({"honest"});
  EXPECT_EQ(reconcile({&sent[0]}, received).sites.at(0).unlogged_receipts.at(0).culprit, Culprit::nobody);
}

// A journal of the copy that cannot be read may hold what the coordinator received last.
TEST_F(LedgerCopies, ADamagedJournalConvictsNoSite) {
  write("running", first(honest, honest.size() - 6));
  append_unsigned("running", {honest[honest.size() - 6]});
  append_unsigned("running", Entries(honest.end() - 5, honest.end()));
  test::flip_byte(folder.path() / "running" / "journal", 30);
  const auto ledgers = given({"running"});
  EXPECT_EQ(ledgers[0].verdict(), Verdict::fail);
  const Reconciliation result = compared(ledgers);
  EXPECT_FALSE(result.clean());
  EXPECT_EQ(result.sites.at(0).against_site.messages, 0U);
}

TEST_F(LedgerCopies, OneFederationIsAuditedAtATime) {
  test::write_roster_file(folder.path() / "elsewhere.json", 1, {test::roster_entry_of(site)}, "other");
  EXPECT_EQ(ring.add_roster(folder.path() / "elsewhere.json", {}, 0).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace fovea::audit

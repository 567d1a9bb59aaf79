// Failure class: whoever is handed a copy of a ledger changes an entry and the tiles above it, which needs no key, puts
// another's checkpoint into it or writes to its journal, and the auditor convicts a hospital or the coordinator, or
// takes the copy for the ledger. One question decides: does the entry lead to the root that its owner signed?
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "audit/ledger_audit.h"
#include "audit/ledger_copies.h"
#include "audit/reconciliation.h"
#include "audit/views.h"
#include "tests/support/audited_run.h"
#include "tests/support/ledger_edits.h"
#include "tests/support/temporary_folder.h"

namespace fovea::audit {
namespace {

using federation::ledger::IngressReceipt;
using federation::ledger::LedgerEntry;
using Entries = std::vector<LedgerEntry>;
namespace fs = std::filesystem;

constexpr const char* kOrigin = "test/st-anna";
constexpr const char* kCoordinator = "test/coordinator";

class Covered : public testing::Test {
 protected:
  Covered() {
    receipts = test::write_site_ledger(site, 3);
    const Digest roster = test::write_roster_file(folder.path() / "roster.json", 1, {test::roster_entry_of(site)});
    receipts.insert(receipts.begin(), federation::ledger::RosterEpoch{1, roster, 1});
    EXPECT_TRUE(ring.add_roster(folder.path() / "roster.json", {}, 0));
    // So that there are two levels of tiles.
    append("honest", kOrigin, site.log_key, test::numbered_entries(0, 700));
    append("coordinator", kCoordinator, test::kAuditCoordinator, receipts);
    append("coordinator", kCoordinator, test::kAuditCoordinator, test::numbered_entries(0, 700));
  }

  void append(const std::string& name, const std::string& origin, std::uint64_t key, const Entries& entries,
              bool publish = true) {
    auto ledger = federation::ledger::Ledger::open(test::ledger_options(path(name), origin, key)).value();
    ASSERT_TRUE(ledger.append(test::kTestTime, entries));
    ASSERT_TRUE(publish ? ledger.publish() : ledger.sync());
  }
  fs::path path(const std::string& name) const { return folder.path() / name; }
  std::string copy_of(const std::string& name) {
    const std::string copy = name + std::to_string(++copies);
    fs::copy(path(name), path(copy), fs::copy_options::recursive);
    return copy;
  }
  // Of the honest ledger's first message of this kind, so that it names another message.
  std::string edited_site(unsigned levels = 8) {
    const std::string copy = copy_of("honest");
    test::edit_field(path(copy), intent_in(copy), "payload", levels);
    return copy;
  }
  std::uint64_t intent_in(const std::string& name) const {
    return test::find_entry(path(name), {"\"egress.intent\"", "training-ready"});
  }
  std::uint64_t receipt_in(const std::string& name) const {
    return test::find_entry(path(name), {"\"ingress.receipt\"", "training-ready"});
  }

  AuditedLedger audit(const std::string& name, const std::vector<std::string>& canaries = {}) {
    return audit_ledger(path(name), ring, canaries).value();
  }
  Reconciliation compared(const std::vector<std::string>& sites, const std::string& coordinator = "coordinator") {
    given.clear();
    for (const std::string& name : sites) given.push_back(audit(name));
    compare_copies(given);
    std::vector<const AuditedLedger*> pointers;
    for (const AuditedLedger& ledger : given) pointers.push_back(&ledger);
    return reconcile(pointers, audit(coordinator));
  }
  static bool has_rule(const AuditedLedger& ledger, const std::string& rule) {
    return std::any_of(ledger.findings.begin(), ledger.findings.end(),
                       [&](const Finding& finding) { return finding.rule == rule; });
  }
  // It is not what was signed, and nothing that it says is believed.
  void expect_nothing_believed(const std::string& name) {
    const AuditedLedger ledger = audit(name);
    EXPECT_EQ(ledger.verdict(), Verdict::fail);
    EXPECT_FALSE(ledger.whole);
    EXPECT_FALSE(ledger.ends.has_value());
    EXPECT_TRUE(ledger.facts.transfers.empty());
    for (std::uint64_t i = 0; i < ledger.checkpoint.size; ++i) ASSERT_FALSE(ledger.covers(i)) << i;
    for (const Finding& finding : ledger.findings) EXPECT_EQ(finding.rule, "integrity") << finding.what;
    const auto notes = std::count_if(ledger.notices.begin(), ledger.notices.end(), [](const std::string& notice) {
      return notice.find("leads to the root") != std::string::npos &&
             notice.find("accuses nobody") != std::string::npos;
    });
    EXPECT_EQ(notes, 1) << to_text(ledger);
  }
  // A message that the site sent past its gate, as the coordinator received it.
  IngressReceipt past_the_gate(RoundNumber round = 1) const {
    const auto kind = federation::messages::MessageKind::training_ready;
    const federation::messages::TrainingReady message{.round = round, .model_hash = test::filled(0x99)};
    return test::receipt_of(site, kind, site.wire(kind, message.encode()), round);
  }

  test::TemporaryFolder folder;
  test::EgressSite site{folder.path() / "honest"};
  KeyRing ring;
  Entries receipts;
  std::vector<AuditedLedger> given;
  int copies = 0;
};

TEST_F(Covered, TheHonestLedgersAgree) {
  EXPECT_TRUE(audit("honest").sound()) << to_text(audit("honest"));
  EXPECT_TRUE(compared({"honest"}).complete());
}

TEST_F(Covered, AnEntryOfASiteThatWasChangedWithItsTilesConvictsNobody) {
  const std::string edited = edited_site();
  expect_nothing_believed(edited);
  const Reconciliation result = compared({edited});
  EXPECT_FALSE(result.clean());
  EXPECT_FALSE(result.convicts());
}

// The tile above is as it was: it says which part is not the ledger's, and the rest still is.
TEST_F(Covered, WhereATileAboveIsWholeOnlyWhatIsBelowTheChangedOneIsUnknown) {
  const std::string edited = edited_site(1);
  const AuditedLedger ledger = audit(edited);
  EXPECT_TRUE(ledger.is_damaged());
  EXPECT_FALSE(ledger.covers(0));
  EXPECT_FALSE(ledger.covers(255));
  EXPECT_TRUE(ledger.covers(256));
  EXPECT_FALSE(ledger.covers(ledger.checkpoint.size));
  EXPECT_FALSE(compared({edited}).convicts());
  // Of a changed bundle under its own tile, only the entry.
  const std::string one = edited_site(0);
  EXPECT_TRUE(audit(one).covers(intent_in("honest") - 1));
  EXPECT_FALSE(audit(one).covers(intent_in("honest")));
  EXPECT_FALSE(compared({one}).convicts());
}

TEST_F(Covered, AnEditedCopyStandsForNoOtherWhateverTheOrder) {
  append("coordinator", kCoordinator, test::kAuditCoordinator, {past_the_gate()});
  for (const unsigned levels : {0U, 1U, 8U}) {
    const std::string edited = edited_site(levels);
    for (const auto& names : {std::vector<std::string>{edited, "honest"}, {"honest", edited}}) {
      const Reconciliation result = compared(names);
      ASSERT_EQ(given.size(), 2U) << "a changed one was counted with the other";
      for (const AuditedLedger& ledger : given) {
        EXPECT_EQ(ledger.sound(), ledger.folder == path("honest"));
        EXPECT_EQ(ledger.copy, ledger.folder != path("honest"));
        EXPECT_FALSE(has_rule(ledger, "fork"));
        for (const std::string& notice : ledger.notices) EXPECT_EQ(notice.find("counted once"), std::string::npos);
      }
      // What the honest one shows is still shown, and no more.
      EXPECT_EQ(result.sites.at(0).unlogged.messages, 1U);
      EXPECT_EQ(result.sites[0].against_site.messages, 1U);
    }
  }
}

TEST_F(Covered, ALongerDamagedCopyStandsForNoOlderOne) {
  const std::string older = copy_of("honest");
  append("honest", kOrigin, site.log_key, test::numbered_entries(700, 5));
  for (const unsigned levels : {1U, 8U}) {
    const std::string edited = edited_site(levels);
    for (const auto& names : {std::vector<std::string>{edited, older}, {older, edited}}) {
      EXPECT_EQ(compared(names).sites.at(0).unlogged.messages, 0U);
      ASSERT_EQ(given.size(), 2U);
      for (const AuditedLedger& ledger : given) EXPECT_FALSE(ledger.forked || has_rule(ledger, "fork"));
    }
  }
}

// The journal of an honest copy is held against the newer one's signed entries, which the file no longer has.
TEST_F(Covered, AChangedTileContradictsNoJournal) {
  const std::string running = copy_of("honest");
  append(running, kOrigin, site.log_key, test::numbered_entries(700, 3), false);
  append("honest", kOrigin, site.log_key, test::numbered_entries(700, 5));
  const std::string newer = copy_of("honest");
  const std::uint64_t changed = audit(running).checkpoint.size + 1;
  test::edit_entry(path(newer), changed, [](std::string text) {
    text[text.find("number ") + 7] = '9';
    return text;
  });
  for (const auto& names : {std::vector<std::string>{newer, running}, {running, newer}}) {
    EXPECT_TRUE(compared(names).clean());
    for (const AuditedLedger& ledger : given) EXPECT_FALSE(has_rule(ledger, "fork")) << to_text(ledger);
  }
}

TEST_F(Covered, ACheckpointOfAnotherLedgerConvictsNobody) {
  test::EgressSite bern(folder.path() / "st-bern");
  bern.site = SiteId::create("st-bern").value();
  bern.log_key = 5;
  bern.approver = test::signing_key(6);
  bern.identity = test::signing_key(7);
  test::write_site_ledger(bern, 3);
  append("st-bern", "test/st-bern", bern.log_key, test::numbered_entries(0, 700));
  test::write_roster_file(folder.path() / "both.json", 2, {test::roster_entry_of(site), test::roster_entry_of(bern)});
  ASSERT_TRUE(ring.add_roster(folder.path() / "both.json", {}, 0));
  EXPECT_TRUE(audit("st-bern").sound()) << to_text(audit("st-bern"));
  const std::string mixed = copy_of("honest");
  fs::copy_file(path("st-bern") / "checkpoint", path(mixed) / "checkpoint", fs::copy_options::overwrite_existing);
  expect_nothing_believed(mixed);
  for (const auto& names : {std::vector<std::string>{mixed, "honest"}, {"honest", mixed}}) {
    EXPECT_FALSE(compared(names).convicts());
    EXPECT_EQ(compared(names).unlogged_bytes(), 0U);
  }
  // Nor does an older one of the same ledger.
  const std::string older = copy_of("honest");
  append("honest", kOrigin, site.log_key, test::numbered_entries(700, 5));
  fs::copy_file(path("honest") / "checkpoint", path(older) / "checkpoint", fs::copy_options::overwrite_existing);
  EXPECT_FALSE(compared({older}).convicts());
}

TEST_F(Covered, AChangedReceiptConvictsNoCoordinator) {
  for (const bool lacks_a_tile : {false, true})
    for (const char* field : {"body", "payload"}) {
      const std::string edited = copy_of("coordinator");
      test::edit_field(path(edited), receipt_in(edited), field);
      if (lacks_a_tile)  // then no root can be computed from the files
        for (const char* file : {"tile/0/001", "tile/entries/001"}) fs::remove(path(edited) / file);
      expect_nothing_believed(edited);
      EXPECT_FALSE(has_rule(audit(edited), "receipt"));
      const Reconciliation result = compared({"honest"}, edited);
      EXPECT_FALSE(result.convicts());
      EXPECT_EQ(result.compared, Compared::nothing);
      EXPECT_FALSE(result.complete());
      EXPECT_EQ(to_text(result).find("Unlogged bytes"), std::string::npos) << to_text(result);
      EXPECT_NE(to_text(result).find("no byte was counted"), std::string::npos);
      EXPECT_TRUE(to_json(result)["unlogged_bytes"].is_null());
    }
  // The part that is known convicts, as before.
  append("coordinator", kCoordinator, test::kAuditCoordinator, {past_the_gate()});
  const std::string edited = copy_of("coordinator");
  test::edit_field(path(edited), receipt_in(edited), "body", 1);
  const Reconciliation result = compared({"honest"}, edited);
  EXPECT_EQ(result.sites.at(0).against_site.messages, 1U);
  EXPECT_EQ(result.sites[0].against_coordinator.messages, 0U);
  EXPECT_EQ(result.compared, Compared::a_part);
  EXPECT_NE(to_text(result).find("the rest was not counted"), std::string::npos) << to_text(result);
}

// Every rule, by entries that would break it: an approval, the chain, the budget, a receipt, a roster.
TEST_F(Covered, NoRuleIsBrokenByWhatDoesNotLeadToTheRoot) {
  const std::vector<std::pair<std::string, std::string>> fields{{"\"plan.approved\"", "plan"},
                                                                {"\"roster.epoch\"", "roster"},
                                                                {"\"round.open\"", "model"},
                                                                {"\"roster.accepted\"", "identity_key"}};
  for (const auto& [type, field] : fields) {
    const std::string edited = copy_of("honest");
    test::edit_field(path(edited), test::find_entry(path(edited), {type}), field);
    expect_nothing_believed(edited);
  }
}

TEST_F(Covered, ANameInWhatLeadsToNoRootIsFoundAndAccusesNobody) {
  const std::string edited = copy_of("honest");
  test::edit_entry(path(edited), test::find_entry(path(edited), {"entry number 3\""}),
                   [](std::string text) { return text.replace(text.find("entry number 3"), 14, "JOHNSON-SMYTHE"); });
  const AuditedLedger ledger = audit(edited, {"Johnson-Smythe"});
  EXPECT_EQ(ledger.canary_hits, 1U);
  ASSERT_TRUE(has_rule(ledger, "canary"));
  for (const Finding& finding : ledger.findings)
    EXPECT_TRUE(finding.rule == "integrity" || finding.what.find("accuses nobody") != std::string::npos);
}

// A journal is anybody's. What it says of a receipt's round and time convicts no site, and what it says of a site's
// forms no coordinator.
TEST_F(Covered, AJournalConvictsNeitherASiteNorTheCoordinator) {
  append("coordinator", kCoordinator, test::kAuditCoordinator, {past_the_gate(1)}, false);
  const Reconciliation result = compared({"honest"});
  EXPECT_FALSE(result.convicts());
  ASSERT_EQ(result.sites.at(0).unlogged.messages, 1U);
  EXPECT_EQ(result.sites[0].undecided.messages, 1U);

  Entries old = receipts;
  for (LedgerEntry& entry : old)
    if (auto* receipt = std::get_if<IngressReceipt>(&entry)) receipt->proof.reset();
  append("old", kCoordinator, test::kAuditCoordinator, old);
  const auto intents = test::read_ledger_entries(path("honest"), kOrigin, site.log_key);
  const auto intent = std::find_if(intents.begin(), intents.end(), [](const LedgerEntry& entry) {
    return std::holds_alternative<federation::ledger::EgressIntent>(entry);
  });
  ASSERT_NE(intent, intents.end());
  append("empty", kOrigin, site.log_key, test::numbered_entries(0, 3));
  auto of_another = std::get<federation::ledger::EgressIntent>(*intent);
  of_another.payload = test::filled(0x42);
  append("empty", kOrigin, site.log_key, {of_another}, false);
  EXPECT_FALSE(compared({"empty"}, "old").convicts());
  EXPECT_TRUE(compared({"honest"}, "old").clean());  // the forms do not matter where the messages are recorded
}

TEST_F(Covered, AMissingCheckpointAccusesNobodyAndSaysWhatToCopy) {
  const std::string without = copy_of("honest");
  fs::remove(path(without) / "checkpoint");
  const AuditedLedger ledger = audit(without);
  EXPECT_EQ(ledger.verdict(), Verdict::unverified);
  EXPECT_NE(ledger.unverified.find("copy the file checkpoint too"), std::string::npos);
  const Reconciliation of_site = compared({without});
  EXPECT_FALSE(of_site.convicts());
  EXPECT_TRUE(of_site.undecided());
  EXPECT_NE(of_site.sites.at(0).lacking.at(0).find("unless it is " + path(without).string()), std::string::npos);

  const std::string coordinator = copy_of("coordinator");
  fs::remove(path(coordinator) / "checkpoint");
  const Reconciliation result = compared({"honest"}, coordinator);
  EXPECT_EQ(result.compared, Compared::nothing);
  EXPECT_EQ(to_text(result).find("Unlogged bytes"), std::string::npos);
}

}  // namespace
}  // namespace fovea::audit

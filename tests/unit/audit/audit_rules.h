// The ledger of an honest run at a site, and what the auditor says when one thing in it is changed.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "audit/ledger_audit.h"
#include "audit/reconciliation.h"
#include "tests/support/audited_run.h"
#include "tests/support/ledger_folder.h"
#include "tests/support/temporary_folder.h"

namespace fovea::audit {

using federation::ledger::EgressIntent;
using federation::ledger::LedgerEntry;
using test::EgressSite;
using Entries = std::vector<LedgerEntry>;

inline constexpr const char* kOrigin = "test/st-anna";

class AuditRules : public testing::Test {
 protected:
  AuditRules() {
    receipts = test::write_site_ledger(site, 3);
    write_roster();
    honest = test::read_ledger_entries(folder.path() / "honest", kOrigin, 1);
    EXPECT_TRUE(ring.add_key(test::note_key_text(kOrigin, 1)));
    EXPECT_TRUE(ring.add_key(test::note_key_text("test/coordinator", 4)));
  }

  // Of the site with this approver; returns its hash.
  Digest write_roster(const std::string& file, const federation::membership::PublicKeyBytes& approver) {
    federation::membership::RosterSite member = test::roster_entry_of(site);
    member.approver_key = approver;
    return test::write_roster_file(folder.path() / file, 1, {member});
  }
  // The roster in force at the coordinator, as its ledger names it before the first receipt.
  void write_roster() {
    const Digest hash = write_roster("roster.json", site.approver.verify_key());
    receipts.insert(receipts.begin(), federation::ledger::RosterEpoch{1, hash, 1});
    ASSERT_TRUE(with_roster.add_key(test::note_key_text(kOrigin, 1)));
    ASSERT_TRUE(with_roster.add_roster(folder.path() / "roster.json", {}, 0));
  }

  AuditedLedger audit_of(const Entries& entries, const std::string& origin = kOrigin, std::uint64_t key = 1) {
    const std::filesystem::path path = folder.path() / ("ledger" + std::to_string(++ledgers));
    test::write_ledger_of(path, origin, key, entries);
    return audit_ledger(path, ring).value();
  }
  AuditedLedger at_coordinator(const Entries& entries) {
    const std::filesystem::path path = folder.path() / ("ledger" + std::to_string(++ledgers));
    test::write_ledger_of(path, "test/coordinator", 4, entries);
    return audit_ledger(path, with_roster).value();
  }
  // What the auditor says of one more receipt.
  UnloggedReceipt verdict_on(const federation::ledger::IngressReceipt& extra) {
    Entries entries = receipts;
    entries.emplace_back(extra);
    const AuditedLedger sent = audit_ledger(folder.path() / "honest", with_roster).value();
    const Reconciliation result = reconcile({&sent}, at_coordinator(entries));
    EXPECT_FALSE(result.clean());
    EXPECT_EQ(result.unlogged_bytes(), extra.length);
    EXPECT_EQ(result.sites.at(0).unlogged_receipts.size(), 1U);
    return result.sites.at(0).unlogged_receipts.at(0);
  }
  // A message that the site sent past its gate.
  federation::ledger::IngressReceipt receipt_past_the_gate() const {
    return test::receipt_of(site, federation::messages::MessageKind::training_ready,
                            site.wire(federation::messages::MessageKind::training_ready,
                                      federation::messages::TrainingReady{.round = 77, .model_hash = {}}.encode()),
                            77);
  }

  // The first entry of this type that satisfies `wanted`.
  template <class Entry>
  static std::size_t find(
      const Entries& entries, const std::function<bool(const Entry&)>& wanted = [](const Entry&) { return true; }) {
    for (std::size_t i = 0; i < entries.size(); ++i)
      if (const auto* entry = std::get_if<Entry>(&entries[i]); entry != nullptr && wanted(*entry)) return i;
    ADD_FAILURE() << "no such entry";
    return 0;
  }
  static std::size_t find_kind(const Entries& entries, const std::string& kind) {
    return find<EgressIntent>(entries, [&](const EgressIntent& intent) { return intent.kind == kind; });
  }

  // Changes one entry and expects this rule to be reported for it (or for a given later one).
  template <class Entry>
  void expect(const std::string& rule, std::size_t at, const std::function<void(Entry&)>& change,
              std::optional<std::size_t> where = {}) {
    Entries entries = honest;
    change(std::get<Entry>(entries[at]));
    expect_finding(audit_of(entries), rule, where.value_or(at));
  }
  static void expect_finding(const AuditedLedger& ledger, const std::string& rule, std::size_t where) {
    ASSERT_FALSE(ledger.sound()) << rule;
    const std::string name = "entry " + std::to_string(where);
    const bool found = std::any_of(ledger.findings.begin(), ledger.findings.end(),
                                   [&](const Finding& f) { return f.rule == rule && f.where == name; });
    EXPECT_TRUE(found) << rule << " at " << name << "; first was " << ledger.findings[0].where << " ["
                       << ledger.findings[0].rule << "] " << ledger.findings[0].what;
  }

  test::TemporaryFolder folder;
  EgressSite site{folder.path() / "honest"};
  KeyRing ring;         // log keys alone
  KeyRing with_roster;  // and the site's identity key
  Entries honest, receipts;
  int ledgers = 0;
};

}  // namespace fovea::audit

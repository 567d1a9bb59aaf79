// Failure class: what the coordinator received and a site's ledger do not agree, and the auditor does not see it or
// convicts the wrong one of the two.
#include "tests/unit/audit/audit_rules.h"

namespace fovea::audit {
namespace {

TEST_F(AuditRules, ReconciliationMatchesMessageByMessage) {
  const AuditedLedger sent = audit_ledger(folder.path() / "honest", ring).value();
  const AuditedLedger received = audit_of(receipts, "test/coordinator", 4);
  ASSERT_TRUE(received.sound()) << received.findings[0].what;
  const Reconciliation good = reconcile({&sent}, received);
  ASSERT_EQ(good.sites.size(), 1U);
  EXPECT_EQ(good.sites[0].matched.messages, receipts.size() - 1);  // the first entry is the roster
  EXPECT_EQ(good.sites[0].unconfirmed.messages, 0U);
  EXPECT_TRUE(good.clean());

  Entries lost(receipts.begin() + 2, receipts.end());
  const AuditedLedger short_of_one = audit_of(lost, "test/coordinator", 4);
  const Reconciliation unconfirmed = reconcile({&sent}, short_of_one);
  EXPECT_EQ(unconfirmed.sites[0].unconfirmed.messages, 1U);
  EXPECT_TRUE(unconfirmed.clean());
}

TEST_F(AuditRules, ReconciliationFindsWhatASiteDidNotRecord) {
  const AuditedLedger sent = audit_ledger(folder.path() / "honest", ring).value();
  for (int variant = 0; variant < 4; ++variant) {
    Entries entries = receipts;
    federation::ledger::IngressReceipt extra = std::get<federation::ledger::IngressReceipt>(receipts.back());
    if (variant == 0) extra.payload[0] ^= 1U;
    if (variant == 1) extra.length += 1;
    if (variant == 2) extra.site = SiteId::create("unheard-of").value();
    // variant 3: the same message once more than it was announced
    entries.emplace_back(extra);
    const AuditedLedger received = audit_of(entries, "test/coordinator", 4);
    const Reconciliation result = reconcile({&sent}, received);
    EXPECT_FALSE(result.clean()) << variant;
    EXPECT_EQ(result.unlogged_bytes(), extra.length);
    const auto& site_result = result.sites[variant == 2 ? 1 : 0];
    ASSERT_EQ(site_result.unlogged_receipts.size(), 1U);
  }
}

// ---- who is convicted by a receipt that the site's ledger does not know of

TEST_F(AuditRules, AReceiptThatTheCoordinatorInventedConvictsTheCoordinator) {
  federation::ledger::IngressReceipt invented = receipt_past_the_gate();
  EgressSite nobody{folder.path() / "nobody"};  // the coordinator has no key of the site
  nobody.identity = test::signing_key(77);
  invented.proof = test::receipt_of(nobody, federation::messages::MessageKind::training_ready,
                                    nobody.wire(federation::messages::MessageKind::training_ready,
                                                federation::messages::TrainingReady{.round = 77}.encode()),
                                    77)
                       .proof;
  EXPECT_EQ(verdict_on(invented).culprit, Culprit::coordinator);
  Entries entries = receipts;
  entries.emplace_back(invented);
  expect_finding(at_coordinator(entries), "receipt", receipts.size());
  // Nor does a signature serve that the site made under another header, or over other contents.
  using Receipt = federation::ledger::IngressReceipt;
  const std::vector<std::function<void(Receipt&)>> changes = {
      [](Receipt& r) { r.proof->body[0] ^= 1U; },      [](Receipt& r) { r.proof->epoch += 1; },
      [](Receipt& r) { r.proof->signature[5] ^= 1U; }, [](Receipt& r) { r.proof->envelope = 1; },
      [](Receipt& r) { r.key.run.bytes[0] ^= 1U; },    [](Receipt& r) { r.kind = "unmask-shares"; }};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    federation::ledger::IngressReceipt forged = receipt_past_the_gate();
    changes[i](forged);
    EXPECT_EQ(verdict_on(forged).culprit, Culprit::coordinator) << i;
  }
}

TEST_F(AuditRules, AReceiptThatTheSiteSignedAndDidNotRecordConvictsTheSite) {
  const UnloggedReceipt verdict = verdict_on(receipt_past_the_gate());
  EXPECT_EQ(verdict.culprit, Culprit::site);
  EXPECT_EQ(verdict.index, receipts.size());
}

// The coordinator holds a true signature, and writes other bytes, another length or one copy more beside it. Whether
// the site sent the message twice cannot be told from its signature either.
TEST_F(AuditRules, ASiteIsNotFramedWithTheSignatureOfAMessageThatItRecorded) {
  const auto genuine = std::get<federation::ledger::IngressReceipt>(receipts.back());
  auto other_bytes = genuine, longer = genuine;
  other_bytes.payload[0] ^= 1U;
  longer.length += 1;
  for (const auto& extra : {other_bytes, longer, genuine}) EXPECT_EQ(verdict_on(extra).culprit, Culprit::nobody);
}

TEST_F(AuditRules, AReceiptIsNotJudgedWithoutTheKeyOfTheRosterInForce) {
  Entries entries = receipts;
  auto forged = receipt_past_the_gate();
  forged.proof->signature[5] ^= 1U;
  entries.emplace_back(forged);
  std::get<federation::ledger::RosterEpoch>(entries.front()).roster[0] ^= 1U;  // one that the auditor was not given
  const AuditedLedger ledger = at_coordinator(entries);
  EXPECT_EQ(ledger.verdict(), Verdict::unverified);
  EXPECT_EQ(ledger.finding_count, 0U);
  EXPECT_EQ(ledger.facts.receipts_unjudged.at("st-anna"), 1U);
  EXPECT_NE(ledger.unverified.find("--roster"), std::string::npos);
  const AuditedLedger sent = audit_ledger(folder.path() / "honest", with_roster).value();
  EXPECT_EQ(reconcile({&sent}, ledger).sites.at(0).unlogged_receipts.at(0).culprit, Culprit::nobody);
}

TEST_F(AuditRules, AReceiptOfTheFirstVersionProvesNothingAboutASite) {
  Entries old = receipts;
  for (LedgerEntry& entry : old)
    if (auto* receipt = std::get_if<federation::ledger::IngressReceipt>(&entry)) receipt->proof.reset();
  auto extra = receipt_past_the_gate();
  extra.proof.reset();
  old.emplace_back(extra);
  const AuditedLedger ledger = at_coordinator(old);
  EXPECT_TRUE(ledger.sound());  // it can still be read
  const AuditedLedger sent = audit_ledger(folder.path() / "honest", with_roster).value();
  // Nor can a coordinator that has the site's signatures leave them out: by the site's ledger each message has one.
  EXPECT_EQ(reconcile({&sent}, ledger).sites.at(0).unlogged_receipts.at(0).culprit, Culprit::coordinator);
  Entries before = honest;
  for (LedgerEntry& entry : before)
    if (auto* intent = std::get_if<EgressIntent>(&entry)) intent->body.reset();
  const AuditedLedger sent_before = audit_of(before);
  EXPECT_EQ(reconcile({&sent_before}, ledger).sites.at(0).unlogged_receipts.at(0).culprit, Culprit::nobody);
  // A coordinator that signs its receipts cannot go back to those that bind nobody.
  Entries mixed = receipts;
  mixed.emplace_back(extra);
  expect_finding(at_coordinator(mixed), "form", receipts.size());
}

// Only programs whose entries name contents send messages under such a signature: a site's operator who leaves the
// contents out of every entry is not excused by that.
TEST_F(AuditRules, ALedgerOfTheFirstVersionIsNoExcuseForASignedMessage) {
  Entries old = honest;
  for (LedgerEntry& entry : old)
    if (auto* intent = std::get_if<EgressIntent>(&entry)) intent->body.reset();
  const auto convicted = [&](const Entries& sent) {
    Entries entries = receipts;
    entries.emplace_back(receipt_past_the_gate());
    const AuditedLedger ledger = audit_of(sent);
    EXPECT_TRUE(ledger.sound());
    const Reconciliation result = reconcile({&ledger}, at_coordinator(entries));
    EXPECT_EQ(result.sites.at(0).unlogged_receipts.size(), 1U);
    return result.sites.at(0).unlogged_receipts.at(0).culprit;
  };
  EXPECT_EQ(convicted(old), Culprit::site);
  EXPECT_EQ(convicted(honest), Culprit::site);
  Entries renewed = old;
  const std::size_t last = find_kind(honest, "unmask-shares");
  for (std::size_t i = last; i < renewed.size(); ++i) renewed[i] = honest[i];
  EXPECT_EQ(convicted(renewed), Culprit::site);
}

TEST_F(AuditRules, AReceiptForASiteOnNoRosterIsJudgedByTheRosterOfThatTime) {
  Entries entries = receipts;
  auto& receipt = std::get<federation::ledger::IngressReceipt>(entries.back());
  receipt.site = SiteId::create("revoked").value();
  expect_finding(at_coordinator(entries), "owner", entries.size() - 1);
  std::get<federation::ledger::RosterEpoch>(entries.front()).roster[0] ^= 1U;  // one that the auditor was not given
  const AuditedLedger ledger = at_coordinator(entries);
  EXPECT_EQ(ledger.verdict(), Verdict::unverified);
  EXPECT_EQ(ledger.finding_count, 0U);
  EXPECT_EQ(ledger.facts.receipts_unjudged.at("revoked"), 1U);
}

}  // namespace
}  // namespace fovea::audit

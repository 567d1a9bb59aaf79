// Failure class: a site (or coordinator) that holds its own log key writes a well-formed ledger that breaks a rule, and
// the auditor does not see it. Each test takes the ledger of an honest run, changes one thing, and signs it anew.
#include "tests/unit/audit/audit_rules.h"

namespace fovea::audit {
namespace {

// Failure class: one damaged entry makes the auditor say that a hospital sent what was never approved.
TEST_F(AuditRules, ADamagedEntryIsTheOneFindingAndAccusesNobodyOfWhatItMayHaveHeld) {
  const auto damaged = [this](const Entries& entries, const std::string& text) {
    const std::filesystem::path path = folder.path() / ("ledger" + std::to_string(++ledgers));
    test::write_ledger_of(path, kOrigin, 1, entries);
    for (const std::string& name : test::files_in(path))
      if (name.starts_with("tile/entries/")) test::flip_byte(path / name, test::slurp(path / name).find(text));
    return audit_ledger(path, ring).value();
  };
  const std::string approved = "entry " + std::to_string(find<federation::ledger::PlanApproved>(honest));
  const AuditedLedger ledger = damaged(honest, "plan.approved");
  EXPECT_FALSE(ledger.sound());
  ASSERT_EQ(ledger.finding_count, 1U) << ledger.findings[1].where << " " << ledger.findings[1].what;
  EXPECT_EQ(ledger.findings[0].where, approved);
  EXPECT_GT(ledger.undecided, 3U);
  ASSERT_EQ(ledger.notices.size(), 1U);
  EXPECT_NE(ledger.notices[0].find(approved + " was changed"), std::string::npos) << ledger.notices[0];
  // The first of each type in its turn: a pinned roster, an attempt, an egress, a confirmation.
  for (const char* type : {"roster.epoch", "round.open", "input.sealed", "egress.intent", "egress.sent"}) {
    const AuditedLedger other = damaged(honest, "\"" + std::string(type) + "\"");
    EXPECT_EQ(other.finding_count, 1U) << type << ": " << other.findings.back().what;
  }
  // Nor does a comparison say that the site did not record what the damaged entry may have been.
  const AuditedLedger lost = damaged(honest, "masked-chunk");
  const Reconciliation compared = reconcile({&lost}, at_coordinator(receipts));
  EXPECT_FALSE(compared.clean());
  ASSERT_EQ(compared.sites.at(0).unlogged_receipts.size(), 1U);
  EXPECT_EQ(compared.sites.at(0).unlogged_receipts[0].culprit, Culprit::nobody);
  // What readable entries show stays a finding: nobody hides it by damaging another entry.
  Entries entries = honest;
  const std::size_t ready = find_kind(entries, "training-ready");
  std::get<EgressIntent>(entries[ready]).checks.pop_back();
  const AuditedLedger both = damaged(entries, "plan.approved");
  EXPECT_EQ(both.finding_count, 2U);
  expect_finding(both, "checks", ready);
}

TEST_F(AuditRules, AnHonestLedgerPassesAndIsSummarised) {
  const AuditedLedger ledger = audit_ledger(folder.path() / "honest", ring).value();
  EXPECT_TRUE(ledger.sound()) << ledger.findings[0].where << " " << ledger.findings[0].what;
  EXPECT_TRUE(ledger.notices.empty());
  EXPECT_EQ(ledger.owner, "st-anna");
  EXPECT_FALSE(ledger.coordinator);
  EXPECT_EQ(ledger.facts.rounds_applied, 3U);
  EXPECT_EQ(ledger.facts.by_kind.at("masked-chunk").messages, 3U);
  EXPECT_EQ(ledger.facts.by_kind.at("masked-chunk").bytes, 3 * site.chunk(site.masked_words(2000)).size());
  EXPECT_EQ(ledger.facts.by_kind.at("masked-chunk").unconfirmed, 0U);
  ASSERT_EQ(ledger.facts.decisions.size(), 1U);
  EXPECT_EQ(ledger.facts.decisions[0].person, "Dr. Test");
  EXPECT_TRUE(audit_of(honest).sound());
}

TEST_F(AuditRules, ALedgerHoldsOnlyItsOwnersEntries) {
  expect<EgressIntent>("owner", find_kind(honest, "keys"),
                       [](EgressIntent& e) { e.site = SiteId::create("other").value(); });
  Entries entries = honest;
  entries.push_back(receipts.at(1));
  expect_finding(audit_of(entries), "owner", honest.size());
  expect_finding(audit_of(honest, "test/coordinator", 4), "owner", find<EgressIntent>(honest));
}

TEST_F(AuditRules, AnApprovalIsTheApproversAndAboutThisPlan) {
  const std::size_t at = find<federation::ledger::PlanApproved>(honest);
  expect<federation::ledger::PlanApproved>("approval", at, [](auto& e) { e.approval = {1, 2, 3}; });
  expect<federation::ledger::PlanApproved>("approval", at, [](auto& e) { e.approver[0] ^= 1U; });
  expect<federation::ledger::PlanApproved>("approval", at, [](auto& e) { e.plan[0] ^= 1U; });
  EgressSite other{folder.path() / "other"};
  other.site = SiteId::create("other").value();
  expect<federation::ledger::PlanApproved>("approval", at, [&](auto& e) { e.approval = other.approval().serialize(); });
  expect<federation::ledger::PlanApproved>("approval", at, [&](auto& e) {
    e.approval = site.approval(federation::membership::ApprovalDecision::rejected).serialize();
  });
  // A forged approval permits nothing.
  expect<federation::ledger::PlanApproved>(
      "plan", at,
      [](auto& e) {
        e.approval = {1, 2, 3};
      },
      find_kind(honest, "keys"));
}

// A site's file editor put back the approval from before a rejection: nothing that left under it was permitted.
TEST_F(AuditRules, AnOldApprovalUndoesNoRejection) {
  using federation::ledger::PlanApproved;
  using federation::ledger::PlanWithdrawn;
  using federation::membership::ApprovalDecision;
  const std::size_t at = find<PlanApproved>(honest);
  const auto& first = std::get<PlanApproved>(honest[at]);
  const auto ledger_with = [&](std::int64_t rejected_ms, std::int64_t approved_ms) {
    const auto signed_at = [&](ApprovalDecision decision, std::int64_t ms) {
      return site.approval(decision, UnixMs{test::kTestTime.value + ms}).serialize();
    };
    Entries entries = honest;
    const PlanWithdrawn rejection{first.plan, first.approver, signed_at(ApprovalDecision::rejected, rejected_ms)};
    const PlanApproved again{first.plan, first.approver, signed_at(ApprovalDecision::approved, approved_ms)};
    entries[at] = again;
    entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(at), {first, rejection});
    for (LedgerEntry& entry : entries) {  // what names other entries by number
      if (auto* intent = std::get_if<EgressIntent>(&entry); intent != nullptr && intent->previous)
        *intent->previous += 2;
      if (auto* sent = std::get_if<federation::ledger::EgressSent>(&entry)) sent->first += 2;
    }
    return audit_of(entries);
  };
  EXPECT_TRUE(ledger_with(10, 11).sound());
  for (const std::int64_t approved_ms : {0, 9, 10}) {
    const AuditedLedger put_back = ledger_with(10, approved_ms);
    expect_finding(put_back, "approval", at + 2);
    expect_finding(put_back, "plan", find_kind(honest, "keys") + 2);
  }
  // A rejection holds whenever it was signed, and what was approved before is signed again.
  expect_finding(ledger_with(-5, 0), "approval", at + 2);
  EXPECT_TRUE(ledger_with(-5, 1).sound());
}

TEST_F(AuditRules, AnAcceptanceIsTheApproversAndAboutTheseKeys) {
  using federation::ledger::RosterAccepted;
  const AuditedLedger ledger = audit_of(honest);
  ASSERT_EQ(ledger.facts.acquaintances.size(), 1U);
  EXPECT_EQ(ledger.facts.acquaintances[0].site, "lakeview");
  EXPECT_EQ(ledger.facts.acquaintances[0].person, "Dr. Test");
  EXPECT_EQ(ledger.facts.acquaintances[0].fingerprint,
            federation::membership::site_fingerprint(site.other_site("lakeview", 0x61)));
  const std::size_t at = find<RosterAccepted>(honest);
  expect<RosterAccepted>("approval", at, [](auto& e) { e.acceptance = {1, 2, 3}; });
  expect<RosterAccepted>("approval", at, [](auto& e) { e.approver[0] ^= 1U; });
  expect<RosterAccepted>("approval", at, [](auto& e) { e.site = SiteId::create("other").value(); });
  expect<RosterAccepted>("approval", at, [](auto& e) { e.identity_key[0] ^= 1U; });
  expect<RosterAccepted>("approval", at, [](auto& e) { e.transport_key[0] ^= 1U; });
  expect<RosterAccepted>("approval", at, [](auto& e) { e.log_key[0] ^= 1U; });
  expect<RosterAccepted>("approval", at, [](auto& e) { e.approver_key[0] ^= 1U; });
  EgressSite other{folder.path() / "other"};
  other.site = SiteId::create("other").value();
  expect<RosterAccepted>(
      "approval", at, [&](auto& e) { e.acceptance = other.acceptance(site.other_site("lakeview", 0x61)).serialize(); });
}

// Taken back: by the approver, about these keys, and before anything else leaves in the attempt that was open.
TEST_F(AuditRules, AnAcceptanceThatIsTakenBackHoldsNoMore) {
  using federation::ledger::RosterAccepted;
  using federation::ledger::RosterWithdrawn;
  const auto other = site.other_site("lakeview", 0x61);
  const auto& first = std::get<RosterAccepted>(honest[find<RosterAccepted>(honest)]);
  const auto end_at = [&](std::int64_t ms) {
    return RosterWithdrawn{first.site,
                           first.identity_key,
                           first.transport_key,
                           first.log_key,
                           first.approver_key,
                           first.approver,
                           site.acceptance(other, ms, true).serialize()};
  };
  const auto again_at = [&](std::int64_t ms) {
    RosterAccepted again = first;
    again.acceptance = site.acceptance(other, ms).serialize();
    return again;
  };
  const auto with = [&](const Entries& more) {
    Entries entries = honest;
    entries.insert(entries.end(), more.begin(), more.end());
    return audit_of(entries);
  };
  const std::size_t end = honest.size();
  const AuditedLedger sound = with({end_at(10), again_at(11)});
  EXPECT_TRUE(sound.sound());
  ASSERT_EQ(sound.facts.acquaintances.size(), 3U);
  EXPECT_FALSE(sound.facts.acquaintances[1].accepted);
  EXPECT_EQ(sound.facts.acquaintances[1].person, "Dr. Test");
  for (const std::int64_t ms : {0, 9, 10}) expect_finding(with({end_at(10), again_at(ms)}), "approval", end + 1);
  RosterWithdrawn forged = end_at(10);
  forged.withdrawal = first.acceptance;  // an acceptance is not the end of one
  expect_finding(with({forged}), "approval", end);
  RosterWithdrawn elsewhere = end_at(10);
  elsewhere.log_key[0] ^= 1U;
  expect_finding(with({elsewhere}), "approval", end);
  Entries late = honest;
  const std::size_t chunk = find_kind(honest, "masked-chunk");
  late.insert(late.begin() + static_cast<std::ptrdiff_t>(chunk), end_at(10));
  expect_finding(audit_of(late), "round", chunk + 1);
}

TEST_F(AuditRules, NothingLeavesUnderAPlanThatIsNotApproved) {
  Entries entries = honest;
  std::rotate(entries.begin(), entries.begin() + 1, entries.end());  // the approval after everything that needed it
  const AuditedLedger late = audit_of(entries);
  expect_finding(late, "plan", find_kind(entries, "keys"));
  const std::size_t keys = find_kind(honest, "keys");
  expect<EgressIntent>("plan", keys, [](auto& e) { e.binding->plan[0] ^= 1U; });
  expect<EgressIntent>("plan", keys, [](auto& e) { e.binding->approver[0] ^= 1U; });
  expect<EgressIntent>("plan", keys, [](auto& e) { e.binding.reset(); });
  expect<EgressIntent>("plan", find_kind(honest, "hello"),
                       [&](auto& e) { e.binding = std::get<EgressIntent>(honest[keys]).binding; });
  entries = honest;
  const federation::ledger::PlanWithdrawn withdrawn{
      site.plan.hash, site.approver.verify_key(),
      site.approval(federation::membership::ApprovalDecision::rejected).serialize()};
  const std::size_t chunk = find_kind(honest, "masked-chunk");
  entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(chunk), withdrawn);
  expect_finding(audit_of(entries), "plan", chunk + 1);
}

TEST_F(AuditRules, WhatLeavesInARoundBelongsToTheOpenAttempt) {
  const std::size_t keys = find_kind(honest, "keys");
  expect<EgressIntent>("round", keys, [](auto& e) { e.key.attempt = 2; });
  expect<EgressIntent>("round", keys, [](auto& e) { e.binding->model[0] ^= 1U; });
  expect<EgressIntent>("round", keys, [](auto& e) { e.binding->roster[0] ^= 1U; });
  expect<federation::ledger::RoundOpen>("round", find<federation::ledger::RoundOpen>(honest),
                                        [](auto& e) { e.roster[0] ^= 1U; });
  expect<federation::ledger::RosterEpoch>(
      "round", find<federation::ledger::RosterEpoch>(honest), [](auto& e) { e.roster[0] ^= 1U; }, keys);
  expect<federation::ledger::InputSealed>("round", find<federation::ledger::InputSealed>(honest),
                                          [](auto& e) { e.key.round = 9; });
  Entries entries = honest;
  const std::size_t unmask = find_kind(honest, "unmask-shares");
  std::swap(entries[unmask], entries[unmask + 2]);  // after the round's close
  expect_finding(audit_of(entries), "round", unmask + 2);
}

TEST_F(AuditRules, AttemptsOnlyGoForward) {
  const std::size_t second =
      find<federation::ledger::RoundOpen>(honest, [](const auto& e) { return e.key.round == 2; });
  expect<federation::ledger::RoundOpen>("order", second, [](auto& e) { e.key.round = 1; });
  expect<federation::ledger::RoundOpen>("order", second, [](auto& e) { e.threshold = 1; });
  expect<federation::ledger::RoundOpen>("order", second, [](auto& e) { e.cohort = 2; });
  const std::size_t close = find<federation::ledger::RoundClose>(honest);
  expect<federation::ledger::RoundClose>("order", close, [](auto& e) { e.cohort = 2; });
  expect<federation::ledger::RoundClose>("order", close, [](auto& e) { e.cohort = 5; });
}

TEST_F(AuditRules, EveryMessagePassedTheChecksOfItsKind) {
  const std::size_t chunk = find_kind(honest, "masked-chunk");
  expect<EgressIntent>("checks", chunk, [](auto& e) { e.kind = "embedding"; });
  expect<EgressIntent>("checks", chunk, [](auto& e) { std::erase(e.checks, "uniform"); });
  expect<EgressIntent>("checks", chunk, [](auto& e) { std::swap(e.checks[0], e.checks[1]); });
  expect<EgressIntent>("checks", find_kind(honest, "hello"), [](auto& e) { e.checks.clear(); });
}

TEST_F(AuditRules, EachEgressNamesTheOneBeforeIt) {
  const std::size_t keys = find_kind(honest, "keys");
  expect<EgressIntent>("chain", keys, [](auto& e) { e.previous.reset(); });
  expect<EgressIntent>("chain", keys, [](auto& e) { *e.previous += 1; });
  Entries entries = honest;  // an egress taken out: the next one tells
  const std::size_t ready = find_kind(honest, "training-ready");
  entries[ready] = federation::ledger::Incident{"gone", ""};
  expect_finding(audit_of(entries), "chain", keys);
}

TEST_F(AuditRules, BytesAddUpFromEgressToEgress) {
  const std::size_t keys = find_kind(honest, "keys");
  expect<EgressIntent>("budget", keys, [](auto& e) { e.bytes_spent -= 1; });
  expect<EgressIntent>("budget", keys, [](auto& e) { e.length -= 1; });
  expect<EgressIntent>("budget", find_kind(honest, "hello"), [](auto& e) { e.bytes_spent += 1; });
}

TEST_F(AuditRules, OneVectorPerAttemptAndOneReleasePerRound) {
  const std::size_t unmask = find_kind(honest, "unmask-shares");
  Entries entries = honest;
  EgressIntent again = std::get<EgressIntent>(honest[unmask]);
  again.payload[0] ^= 1U;
  again.previous = unmask;
  entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(unmask) + 1, again);
  expect_finding(audit_of(entries), "once", unmask + 1);
  const std::size_t chunk = find_kind(honest, "masked-chunk");
  entries = honest;
  again = std::get<EgressIntent>(honest[chunk]);
  again.payload[0] ^= 1U;
  again.previous = chunk;
  entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(chunk) + 1, again);
  expect_finding(audit_of(entries), "once", chunk + 1);
  std::get<EgressIntent>(entries[chunk + 1]).length = 1;  // however small: the vector has one chunk
  expect_finding(audit_of(entries), "once", chunk + 1);
}

TEST_F(AuditRules, NoMessageIsLongerThanMessagesAre) {
  expect<EgressIntent>("checks", find_kind(honest, "keys"), [](auto& e) { e.length = (1U << 20U) + 1; });
  Entries entries = receipts;
  std::get<federation::ledger::IngressReceipt>(entries.back()).length = std::uint64_t{1} << 40U;
  expect_finding(at_coordinator(entries), "checks", entries.size() - 1);
}

TEST_F(AuditRules, OnlyOpenIntentsAreConfirmed) {
  const std::size_t sent = find<federation::ledger::EgressSent>(honest);
  expect<federation::ledger::EgressSent>("sent", sent, [](auto& e) { e.count = 2; });
  expect<federation::ledger::EgressSent>("sent", sent, [](auto& e) { e.first = 9'999; });
  Entries entries = honest;
  entries.push_back(honest[sent]);  // twice
  expect_finding(audit_of(entries), "sent", honest.size());
  entries = honest;
  entries[sent] = federation::ledger::Incident{"crash", ""};
  EXPECT_EQ(audit_of(entries).facts.by_kind.at("hello").unconfirmed, 1U);
  EXPECT_TRUE(audit_of(entries).sound());
}

TEST_F(AuditRules, CanariesAreFoundInEntriesAndInsideApprovalsAndNeverPrinted) {
  Entries entries = honest;
  entries.push_back(federation::ledger::Incident{"test", "could not read PAT-000123.nii.gz"});
  const std::filesystem::path path = folder.path() / "canary";
  test::write_ledger_of(path, kOrigin, 1, entries);
  const AuditedLedger found = audit_ledger(path, ring, {"harmless", "PAT-000123", "Dr. Test"}).value();
  expect_finding(found, "canary", entries.size() - 1);
  expect_finding(found, "canary", find<federation::ledger::PlanApproved>(entries));
  for (const Finding& finding : found.findings) EXPECT_EQ(finding.what.find("PAT-000123"), std::string::npos);
  EXPECT_TRUE(audit_ledger(path, ring, {"harmless"}).value().sound());
  // Short words: "0a0b" stands in the run's hex digits, "2000" is a number of the format; neither is a name.
  EXPECT_TRUE(audit_ledger(path, ring, {"0a0b", "2000", "PAT-00012"}).value().finding_count == 1);
  expect_finding(audit_ledger(path, ring, {"000123"}).value(), "canary", entries.size() - 1);
}

TEST_F(AuditRules, UnknownSignersAreNotBelieved) {
  KeyRing stranger;
  ASSERT_TRUE(stranger.add_key(test::note_key_text(kOrigin, 9)));
  EXPECT_EQ(audit_ledger(folder.path() / "honest", stranger).value().verdict(), Verdict::unverified);
  KeyRing other_name;
  ASSERT_TRUE(other_name.add_key(test::note_key_text("test/other", 1)));
  EXPECT_EQ(audit_ledger(folder.path() / "honest", other_name).value().verdict(), Verdict::unverified);
  // One of the keys has signed it, but not this.
  ASSERT_TRUE(stranger.add_key(test::note_key_text(kOrigin, 1)));
  const std::string text = test::slurp(folder.path() / "honest" / "checkpoint");
  test::flip_byte(folder.path() / "honest" / "checkpoint", text.find('\n') + 1);
  EXPECT_EQ(audit_ledger(folder.path() / "honest", stranger).value().verdict(), Verdict::fail);
  EXPECT_EQ(audit_ledger(folder.path() / "nothing", ring).error().code, ErrorCode::not_found);
}

// The newest roster alone does not name the approver of before: nobody is accused on it.
TEST_F(AuditRules, AnApproverThatTheRosterOfThatTimeMayHaveNamedIsNotJudged) {
  KeyRing newest;
  ASSERT_TRUE(newest.add_key(test::note_key_text(kOrigin, 1)));
  const Digest hash = write_roster("newest.json", test::signing_key(40).verify_key());
  ASSERT_TRUE(newest.add_roster(folder.path() / "newest.json", {}, 0));
  Entries entries = honest;
  std::swap(entries[0], entries[1]);
  ASSERT_TRUE(std::holds_alternative<federation::ledger::RosterEpoch>(entries[0]));
  test::write_ledger_of(folder.path() / "then", kOrigin, 1, entries);
  const AuditedLedger then = audit_ledger(folder.path() / "then", newest).value();
  EXPECT_EQ(then.verdict(), Verdict::unverified);
  EXPECT_EQ(then.finding_count, 0U);
  EXPECT_NE(then.unverified.find("--roster FILE may be repeated"), std::string::npos) << then.unverified;
  for (const PlanRecord& record : then.facts.decisions) EXPECT_FALSE(record.pinned);
  // Under the roster that was given, it is the site's fault.
  std::get<federation::ledger::RosterEpoch>(entries[0]).roster = hash;
  test::write_ledger_of(folder.path() / "now", kOrigin, 1, entries);
  const AuditedLedger now = audit_ledger(folder.path() / "now", newest).value();
  EXPECT_EQ(now.verdict(), Verdict::fail);
  expect_finding(now, "approval", 1);
}

TEST_F(AuditRules, EntriesAfterTheCheckpointAreReadAndReportedAsUnsigned) {
  const std::filesystem::path path = folder.path() / "live";
  {
    federation::ledger::Ledger ledger =
        federation::ledger::Ledger::open(test::ledger_options(path, kOrigin, 1)).value();
    ASSERT_TRUE(ledger.append(test::kTestTime, honest));
    ASSERT_TRUE(ledger.sync());
  }
  const AuditedLedger ledger = audit_ledger(path, ring).value();
  EXPECT_TRUE(ledger.sound());
  EXPECT_EQ(ledger.unpublished, honest.size());
  EXPECT_EQ(ledger.notices.size(), 1U);
  EXPECT_EQ(ledger.facts.by_kind.at("masked-chunk").messages, 3U);
}

TEST_F(AuditRules, BlameAndPardonAreTheCoordinatorsAndListed) {
  const federation::ledger::SiteBlamed blame{site.site, site.identity.verify_key(), site.run, 3, "bad-signature", {}};
  const federation::ledger::SitePardoned pardon{site.site, site.run, {}, {}};
  Entries entries = receipts;
  entries.emplace_back(blame);
  entries.emplace_back(pardon);
  const AuditedLedger ledger = at_coordinator(entries);
  EXPECT_TRUE(ledger.sound());
  ASSERT_EQ(ledger.facts.blames.size(), 1U);
  EXPECT_TRUE(ledger.facts.blames[0].pardoned);
  std::swap(entries[receipts.size()], entries[receipts.size() + 1]);
  expect_finding(at_coordinator(entries), "order", receipts.size());
  entries = honest;
  entries.emplace_back(blame);
  expect_finding(audit_of(entries), "owner", honest.size());
}

}  // namespace
}  // namespace fovea::audit

// Failure class: an auditor who was handed a copy of a hospital's ledger that ends early, or the ledger of only some of
// its keys, says that the hospital did not record what it sent. And the other way: a hospital's operator hands in such
// a copy, or writes what times he likes, and passes.
#include <gtest/gtest.h>

#include "audit/ledger_audit.h"
#include "audit/reconciliation.h"
#include "audit/views.h"
#include "tests/support/audited_run.h"
#include "tests/support/temporary_folder.h"

namespace fovea::audit {
namespace {

using federation::ledger::IngressReceipt;
using federation::ledger::LedgerEntry;
using Entries = std::vector<LedgerEntry>;

constexpr const char* kOrigin = "test/st-anna";
constexpr const char* kCoordinator = "test/coordinator";
constexpr std::int64_t kStepMs = 1000;  // from entry to entry of the site's ledger
constexpr std::int64_t kHourMs = 3'600'000;

struct Stamped {
  std::int64_t at_ms = 0;  // after kTestTime
  LedgerEntry entry;
};

class LedgerTimes : public testing::Test {
 protected:
  LedgerTimes() {
    received = test::write_site_ledger(site, 3);
    honest = test::read_ledger_entries(folder.path() / "written", kOrigin, site.log_key);
    roster = test::write_roster_file(folder.path() / "1.json", 1, {test::roster_entry_of(site)});
    EXPECT_TRUE(ring.add_roster(folder.path() / "1.json", {}, 0));
  }

  void append(const std::string& name, const std::string& origin, std::uint64_t key,
              const std::vector<Stamped>& entries, bool publish = true) {
    auto ledger = federation::ledger::Ledger::open(test::ledger_options(folder.path() / name, origin, key)).value();
    for (const Stamped& one : entries)
      ASSERT_TRUE(ledger.append(UnixMs{test::kTestTime.value + one.at_ms}, {&one.entry, 1}));
    ASSERT_TRUE(publish ? ledger.publish() : ledger.sync());
  }
  // The first entries of the honest ledger, each a step after the other, by a clock that is ahead.
  static std::vector<Stamped> stamped(const Entries& entries, std::size_t count, std::int64_t ahead_ms = 0) {
    std::vector<Stamped> out;
    for (std::size_t i = 0; i < count; ++i)
      out.push_back({static_cast<std::int64_t>(i) * kStepMs + ahead_ms, entries[i]});
    return out;
  }
  AuditedLedger copy_of_the_first(std::size_t count, std::int64_t ahead_ms = 0) {
    const std::string name = "copy" + std::to_string(++ledgers);
    append(name, kOrigin, site.log_key, stamped(honest, count, ahead_ms));
    return read(name);
  }
  AuditedLedger read(const std::string& name) { return audit_ledger(folder.path() / name, ring).value(); }

  // What was received of an entry, half a step after it was written.
  static std::vector<Stamped> received_of(const Entries& entries, const Entries& receipts) {
    std::vector<Stamped> out;
    for (const LedgerEntry& one : receipts)
      for (std::size_t i = 0; i < entries.size(); ++i)
        if (const auto* intent = std::get_if<federation::ledger::EgressIntent>(&entries[i]);
            intent != nullptr && intent->payload == std::get<IngressReceipt>(one).payload)
          out.push_back({static_cast<std::int64_t>(i) * kStepMs + kStepMs / 2, one});
    return out;
  }
  std::vector<Stamped> with_roster(std::vector<Stamped> receipts) const {
    receipts.insert(receipts.begin(), {0, federation::ledger::RosterEpoch{1, roster, 1}});
    return receipts;
  }
  AuditedLedger coordinator(const std::vector<Stamped>& entries, const std::vector<Stamped>& uncovered = {}) {
    const std::string name = "coordinator" + std::to_string(++ledgers);
    append(name, kCoordinator, test::kAuditCoordinator, entries);
    if (!uncovered.empty()) append(name, kCoordinator, test::kAuditCoordinator, uncovered, false);
    return read(name);
  }
  AuditedLedger honest_coordinator() { return coordinator(with_roster(received_of(honest, received))); }
  // With a message that the site sent past its gate.
  AuditedLedger coordinator_with_one_more(std::int64_t at_ms, RoundNumber round) {
    auto entries = with_roster(received_of(honest, received));
    const auto place = std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.at_ms > at_ms; });
    entries.insert(place, {at_ms, past_the_gate(site, round)});
    return coordinator(entries);
  }
  static IngressReceipt past_the_gate(const test::EgressSite& from, RoundNumber round) {
    const auto kind = federation::messages::MessageKind::keys;
    const federation::messages::KeysMessage message{.ref = {.round = round, .attempt = 9}, .keys = {}};
    return test::receipt_of(from, kind, from.wire(kind, message.encode()), round);
  }
  std::int64_t end_ms() const { return static_cast<std::int64_t>(honest.size() - 1) * kStepMs; }

  static void expect_undecided(const std::vector<const AuditedLedger*>& sites, const AuditedLedger& coordinator,
                               const std::string& lacking) {
    const Reconciliation result = reconcile(sites, coordinator);
    ASSERT_EQ(result.sites.size(), 1U);
    const SiteReconciliation& anna = result.sites[0];
    EXPECT_FALSE(result.clean());
    EXPECT_FALSE(result.convicts());
    EXPECT_TRUE(result.undecided());
    EXPECT_GT(anna.unlogged.messages, 0U);
    EXPECT_EQ(anna.undecided.messages, anna.unlogged.messages);
    ASSERT_EQ(anna.lacking.size(), 1U);
    EXPECT_NE(anna.lacking[0].find(lacking), std::string::npos) << anna.lacking[0];
    const std::vector<AuditedLedger> ledgers{*sites[0], coordinator};
    EXPECT_EQ(verdict_of(ledgers, &result), Verdict::unverified);
    const std::string sentence = verdict_sentence(ledgers, &result);
    EXPECT_EQ(sentence.rfind("NOT VERIFIED", 0), 0U) << sentence;
    EXPECT_NE(sentence.find(lacking), std::string::npos) << sentence;
  }
  // Of the one receipt that no ledger given explains.
  static Culprit culprit(const std::vector<const AuditedLedger*>& sites, const AuditedLedger& coordinator) {
    const Reconciliation result = reconcile(sites, coordinator);
    EXPECT_EQ(result.sites.at(0).unlogged_receipts.size(), 1U);
    const std::vector<AuditedLedger> ledgers{*sites[0], coordinator};
    EXPECT_NE(verdict_of(ledgers, &result), Verdict::pass);
    return result.sites[0].unlogged_receipts.at(0).culprit;
  }

  test::TemporaryFolder folder;
  test::EgressSite site{folder.path() / "written"};
  KeyRing ring;
  Entries honest, received;
  Digest roster{};
  int ledgers = 0;
};

TEST_F(LedgerTimes, AReceiptAfterTheEndOfACopyConvictsNobodyAndDoesNotPass) {
  const AuditedLedger received_all = honest_coordinator();
  const AuditedLedger whole = copy_of_the_first(honest.size());
  EXPECT_TRUE(reconcile({&whole}, received_all).clean());
  for (const std::size_t count : {honest.size() / 3, honest.size() / 2, honest.size() - 6}) {
    const AuditedLedger early = copy_of_the_first(count);
    expect_undecided({&early}, received_all, "the copy of st-anna's ledger ends at 20");
    expect_undecided({&early}, received_all, "copy the sites' ledgers after the coordinator's");
  }
  const AuditedLedger empty = copy_of_the_first(0);
  expect_undecided({&empty}, received_all, "the copy of st-anna's ledger is empty");
  // Nor does a last message that the site denies pass; entries that are newer decide.
  const AuditedLedger denied = coordinator_with_one_more(end_ms() + kHourMs, 3);
  expect_undecided({&whole}, denied, "ends at");
  std::vector<Stamped> gone_on = stamped(honest, honest.size());
  gone_on.push_back({end_ms() + kHourMs + 1, federation::ledger::Incident{"load", "later"}});
  append("gone-on", kOrigin, site.log_key, gone_on);
  const AuditedLedger later = read("gone-on");
  EXPECT_EQ(culprit({&later}, denied), Culprit::site);
}

TEST_F(LedgerTimes, ClocksThatDifferNeitherConvictNorExcuse) {
  const AuditedLedger received_all = honest_coordinator();
  const AuditedLedger denied = coordinator_with_one_more(end_ms() - 5 * kStepMs, 3);
  for (const std::int64_t ahead_ms : {-kHourMs, kHourMs}) {
    const AuditedLedger early = copy_of_the_first(honest.size() / 2, ahead_ms);
    expect_undecided({&early}, received_all, "ends at");
    const AuditedLedger whole = copy_of_the_first(honest.size(), ahead_ms);
    EXPECT_EQ(culprit({&whole}, denied), Culprit::site) << ahead_ms;
  }
}

TEST_F(LedgerTimes, TimesOfLongAgoExcuseNothingOfAnEarlierRound) {
  std::vector<Stamped> old = stamped(honest, honest.size());
  for (Stamped& one : old) one.at_ms = -kHourMs;
  append("old", kOrigin, site.log_key, old);
  const AuditedLedger ledger = read("old");
  EXPECT_EQ(culprit({&ledger}, coordinator_with_one_more(end_ms() / 2, 1)), Culprit::site);
  expect_undecided({&ledger}, coordinator_with_one_more(end_ms() / 2, 3), "ends at");  // and does not pass
}

// A refusal, or a training, names whatever round the coordinator asks for: of a run that goes to round 3 it asks for
// the round four thousand millions, or, when the site has joined round 3, once more for round 1.
TEST_F(LedgerTimes, ARoundThatOnlyTheCoordinatorNamedDoesNotShowWhenACopyEnds) {
  using federation::messages::MessageKind;
  constexpr RoundNumber kFar = 4'000'000'000;
  const Bytes failure = site.wire(
      MessageKind::attempt_failure,
      federation::messages::AttemptFailure{
          .round = kFar, .attempt = 0, .reason = federation::messages::RefusalReason::wrong_epoch, .accused = {}}
          .encode());
  const Bytes ready = site.wire(MessageKind::training_ready,
                                federation::messages::TrainingReady{.round = kFar, .model_hash = site.model}.encode());
  for (const auto& [kind, wire] :
       {std::pair{MessageKind::attempt_failure, failure}, {MessageKind::training_ready, ready}}) {
    test::EgressSite early{folder.path() / ("asked" + std::to_string(++ledgers))};
    {
      node::egress::EgressGate gate = early.open().value();
      ASSERT_TRUE(early.prepare(gate));
      const ByteView views[] = {wire};
      ASSERT_TRUE(gate.sent(gate.intend(views).value()));
      ASSERT_TRUE(gate.publish());
    }
    const AuditedLedger copy = read("asked" + std::to_string(ledgers));
    EXPECT_TRUE(copy.sound());
    std::vector<Stamped> all = received_of(honest, received);
    for (Stamped& one : all) one.at_ms += kHourMs;
    all.insert(all.begin(), {kStepMs, test::receipt_of(early, kind, wire, kFar)});
    expect_undecided({&copy}, coordinator(with_roster(all)), "the copy of st-anna's ledger ends at 20");
  }
  const AuditedLedger whole = copy_of_the_first(honest.size());
  std::vector<Stamped> late = received_of(honest, received);
  const Bytes again =
      site.wire(MessageKind::attempt_failure,
                federation::messages::AttemptFailure{
                    .round = 1, .attempt = 0, .reason = federation::messages::RefusalReason::stale_round, .accused = {}}
                    .encode());
  late.push_back({end_ms() + kHourMs, test::receipt_of(site, MessageKind::attempt_failure, again, 1)});
  expect_undecided({&whole}, coordinator(with_roster(late)), "the copy of st-anna's ledger ends at 20");
}

// Whoever hands a folder over can write to its journal.
TEST_F(LedgerTimes, WhatNoCheckpointCoversShowsNotWhenACopyEnds) {
  const std::vector<Stamped> early = stamped(honest, honest.size() / 2);
  append("early", kOrigin, site.log_key, early);
  append("early", kOrigin, site.log_key, {{kHourMs, federation::ledger::Incident{"load", "much later"}}}, false);
  const AuditedLedger ledger = read("early");
  EXPECT_EQ(ledger.unpublished, 1U);
  expect_undecided({&ledger}, honest_coordinator(), "ends at");
  // Nor does a receipt there have the time that it says.
  std::vector<Stamped> covered = received_of(honest, received);
  std::erase_if(covered, [&](const Stamped& one) { return one.at_ms > early.back().at_ms; });
  covered.push_back({early.back().at_ms + kStepMs, federation::ledger::Incident{"load", "the newest"}});
  expect_undecided({&ledger}, coordinator(with_roster(covered), {{kStepMs, past_the_gate(site, 3)}}), "ends at");
}

// ---- a hospital that has new keys, and with them a new ledger

class RenewedKeys : public LedgerTimes {
 protected:
  RenewedKeys() {
    renewed.log_key = 9;
    renewed.identity = test::signing_key(31);
    renewed.approver = test::signing_key(32);
    received_since = test::write_site_ledger(renewed, 2);
    since = test::read_ledger_entries(folder.path() / "since", kOrigin, renewed.log_key);
    test::write_roster_file(folder.path() / "2.json", 2, {test::roster_entry_of(site)});
    second = test::write_roster_file(folder.path() / "3.json", 3, {test::roster_entry_of(renewed)});
    for (const char* file : {"2.json", "3.json"}) EXPECT_TRUE(ring.add_roster(folder.path() / file, {}, 0));
  }
  std::vector<Stamped> before() const { return with_roster(received_of(honest, received)); }
  // Everything that was received, with more at the end.
  AuditedLedger all(std::vector<Stamped> first, const std::vector<Stamped>& more = {}) {
    const std::int64_t start_ms = end_ms() + kHourMs;
    first.push_back({start_ms, federation::ledger::RosterEpoch{3, second, 1}});
    for (Stamped one : received_of(since, received_since)) {
      one.at_ms += start_ms;
      first.push_back(one);
    }
    first.insert(first.end(), more.begin(), more.end());
    return coordinator(first);
  }
  AuditedLedger new_ledger() {
    const std::string name = "new" + std::to_string(++ledgers);
    append(name, kOrigin, renewed.log_key, stamped(since, since.size(), end_ms() + kHourMs));
    return read(name);
  }

  test::EgressSite renewed{folder.path() / "since"};
  Entries since, received_since;
  Digest second{};
};

// Before, this convicted the hospital of every message of its first year.
TEST_F(RenewedKeys, WhatWasSentUnderOtherKeysConvictsNobodyWithoutTheirLedger) {
  const AuditedLedger received_all = all(before());
  const AuditedLedger now = new_ledger(), then = copy_of_the_first(honest.size());
  EXPECT_TRUE(now.sound() && then.sound());
  expect_undecided({&now}, received_all, "the ledger of st-anna's keys of epochs 1 to 2 was not given");
  expect_undecided({&then}, received_all, "the ledger of st-anna's keys of epoch 3 was not given");
  EXPECT_TRUE(reconcile({&now, &then}, received_all).clean());
}

TEST_F(RenewedKeys, EachLedgerConvictsOfWhatWasSentUnderItsKeys) {
  const AuditedLedger now = new_ledger(), then = copy_of_the_first(honest.size());
  auto first = before();
  first.insert(first.begin() + 8, {first[8].at_ms, past_the_gate(site, 1)});
  EXPECT_EQ(culprit({&now, &then}, all(first)), Culprit::site);
  // In whatever order the coordinator writes it down.
  const std::int64_t late_ms = end_ms() + kHourMs + 5 * kStepMs;
  EXPECT_EQ(culprit({&now, &then}, all(before(), {{late_ms, past_the_gate(renewed, 1)}})), Culprit::site);
  EXPECT_EQ(culprit({&now, &then}, all(before(), {{late_ms, past_the_gate(site, 1)}})), Culprit::site);
}

// A ledger of the new keys does not say in which form the old ones' messages were.
TEST_F(RenewedKeys, AReceiptWithoutASignatureConvictsNobodyWithoutTheLedgerOfThatTime) {
  std::vector<Stamped> old = before();
  for (Stamped& one : old)
    if (auto* receipt = std::get_if<IngressReceipt>(&one.entry)) receipt->proof.reset();
  const AuditedLedger now = new_ledger();
  expect_undecided({&now}, all(old), "keys of epochs 1 to 2");
}

TEST_F(LedgerTimes, ALedgerThatSaysNotWhoseItIsIsNoSite) {
  AuditedLedger nobodys;  // without a checkpoint
  AuditedLedger unread = honest_coordinator();
  unread.origin = "";
  EXPECT_TRUE(reconcile({&nobodys}, AuditedLedger()).sites.empty());
  for (const SiteReconciliation& row : reconcile({&nobodys}, unread).sites) EXPECT_EQ(row.site, "st-anna");
}

}  // namespace
}  // namespace fovea::audit

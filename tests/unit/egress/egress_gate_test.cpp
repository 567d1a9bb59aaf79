// Failure class: a byte leaves a site that a rule forbids, or that the ledger does not know of.
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "node/egress/egress_gate.h"

#include <gtest/gtest.h>

#include "federation/ledger/journal.h"
#include "federation/messages/beacon_messages.h"
#include "tests/support/egress_site.h"
#include "tests/support/full_disk.h"
#include "tests/support/temporary_folder.h"

namespace fovea::node {
namespace {

using federation::messages::MessageKind;
using test::EgressSite;

std::vector<federation::ledger::StampedEntry> entries_of(const EgressSite& site) {
  std::vector<federation::ledger::StampedEntry> out;
  const auto ledger =
      federation::ledger::Ledger::open(test::ledger_options(site.folder, "test/" + site.site.text(), site.log_key),
                                       [&out](std::uint64_t, const federation::ledger::StampedEntry& entry) {
                                         out.push_back(entry);
                                         return Result<void>();
                                       });
  EXPECT_TRUE(ledger) << ledger.error().message;
  return out;
}

template <class Entry>
std::vector<Entry> only(const std::vector<federation::ledger::StampedEntry>& entries) {
  std::vector<Entry> out;
  for (const auto& entry : entries)
    if (const auto* body = std::get_if<Entry>(&entry.body)) out.push_back(*body);
  return out;
}

Result<std::vector<egress::EgressTicket>> intend(egress::EgressGate& gate, std::initializer_list<Bytes> wires) {
  std::vector<ByteView> views;
  for (const Bytes& wire : wires) views.emplace_back(wire);
  return gate.intend(views);
}

class Gate : public testing::Test {
 protected:
  // That this batch is refused by this rule, durably recorded, and leaves nothing behind.
  void expect_refused(egress::EgressGate& gate, std::initializer_list<Bytes> wires, const std::string& rule) {
    const std::uint64_t before = gate.ledger().size();
    const std::uint64_t spent = gate.run_bytes_spent(site.run);
    site.clock.now.value += 60'000;  // of refusals by one rule, one a minute is recorded
    const auto refused = intend(gate, wires);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
    EXPECT_EQ(refused.error().message.rfind("egress refused by rule " + rule + ":", 0), 0U) << refused.error().message;
    EXPECT_EQ(gate.ledger().size(), before + 1);  // the incident
    EXPECT_EQ(gate.run_bytes_spent(site.run), spent);
    EXPECT_TRUE(gate.unconfirmed().empty());
  }

  std::vector<federation::ledger::StampedEntry> entries_after_close(egress::EgressGate gate) {
    { const egress::EgressGate closed = std::move(gate); }
    return entries_of(site);
  }

  federation::membership::SignedDocument approved_at(std::int64_t later_ms) const {
    return site.approval(federation::membership::ApprovalDecision::approved, UnixMs{test::kTestTime.value + later_ms});
  }

  test::TemporaryFolder folder;
  EgressSite site{folder.path()};
};

TEST_F(Gate, TheMessagesOfARoundLeaveAndAreRecorded) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
    const Bytes hello = site.hello(), ready = site.ready(), keys = site.keys(),
                chunk = site.chunk(site.masked_words(2000));
    const auto tickets = intend(gate, {hello, ready, keys, chunk}).value();
    ASSERT_EQ(tickets.size(), 4U);
    EXPECT_EQ(gate.unconfirmed().size(), 4U);
    EXPECT_EQ(gate.run_bytes_spent(site.run), ready.size() + keys.size() + chunk.size());
    ASSERT_TRUE(gate.sent(tickets));
    EXPECT_TRUE(gate.unconfirmed().empty());
    ASSERT_TRUE(
        gate.close_round({.key = {site.run, 1, 1}, .outcome = "applied", .model = test::filled(0x56), .cohort = 4}));
    ASSERT_TRUE(gate.publish());
  }
  const auto entries = entries_of(site);
  const auto intents = only<federation::ledger::EgressIntent>(entries);
  ASSERT_EQ(intents.size(), 4U);
  EXPECT_EQ(intents[0].kind, "hello");
  EXPECT_FALSE(intents[0].binding);
  EXPECT_FALSE(intents[0].previous);
  EXPECT_EQ(intents[3].kind, "masked-chunk");
  EXPECT_EQ(intents[3].payload, crypto::sha256(site.chunk(site.masked_words(2000))));
  EXPECT_EQ(intents[3].body, federation::messages::hash_payload(federation::messages::encode_chunk(
                                 site.parameters.ref(), 0, site.masked_words(2000))));
  EXPECT_EQ(intents[3].checks,
            (std::vector<std::string>{"kind", "length", "plan", "model", "uniform", "cohort", "budget"}));
  EXPECT_EQ(intents[3].binding->clip, "0.05");
  EXPECT_EQ(intents[3].binding->weights, "equal");
  EXPECT_EQ(intents[3].binding->noise, "none");
  EXPECT_EQ(intents[3].previous, 5U);
  EXPECT_EQ(intents[3].bytes_spent + intents[3].bytes_left, site.run_bytes_max);
  const auto sent = only<federation::ledger::EgressSent>(entries);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].first, 3U);
  EXPECT_EQ(sent[0].count, 4U);
  EXPECT_EQ(only<federation::ledger::RoundClose>(entries).size(), 1U);
}

TEST_F(Gate, AcceptancesAreDurableOnceAndOnlyByTheApprover) {
  const auto berta = site.other_site("berta", 0x10), clara = site.other_site("clara", 0x20);
  const Digest entry = federation::membership::entry_digest(berta);
  {
    egress::EgressGate gate = site.open().value();
    EgressSite elsewhere = EgressSite(folder.path() / "elsewhere");
    elsewhere.site = SiteId::create("elsewhere").value();
    EgressSite stranger = EgressSite(folder.path() / "stranger");
    stranger.approver = test::signing_key(77);
    for (const EgressSite* forger : {&elsewhere, &stranger}) {
      // None of a batch with a bad one is taken.
      const federation::membership::SignedDocument batch[] = {site.acceptance(clara), forger->acceptance(berta)};
      EXPECT_EQ(gate.accept_sites(batch).error().code, ErrorCode::permission_denied);
    }
    EXPECT_TRUE(gate.acquainted().empty());
    const federation::membership::SignedDocument batch[] = {site.acceptance(berta), site.acceptance(berta)};
    ASSERT_TRUE(gate.accept_sites(batch));
    ASSERT_TRUE(gate.accept_sites(batch));
    EXPECT_EQ(gate.acquainted(), std::set<Digest>{entry});
  }
  EXPECT_EQ(only<federation::ledger::RosterAccepted>(entries_of(site)).size(), 1U);
  EXPECT_EQ(site.open().value().acquainted(), std::set<Digest>{entry});
  site.approver = test::signing_key(78);  // a site with new keys: what the old approver accepted does not count
  EXPECT_TRUE(site.open().value().acquainted().empty());
}

// In the complete graph a release names every site of the sum.
TEST_F(Gate, SharesForASumBelowThePolicysLeastCohortDoNotLeave) {
  site.cohort_min = 4;
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  expect_refused(gate, {site.unmask_shares(3, 1)}, "cohort");
  expect_refused(gate, {site.unmask_shares(3)}, "cohort");
  EXPECT_TRUE(intend(gate, {site.unmask_shares(4)}));
}

TEST_F(Gate, MakesTheIntentDurableBeforeItAnswers) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  ASSERT_TRUE(intend(gate, {site.keys()}));
  // What another process would find after a crash at this point.
  const auto journal = federation::ledger::read_ledger_journal(folder.path() / "journal").value();
  ASSERT_FALSE(journal.entries.empty());
  EXPECT_NE(journal.entries.back().entry.find("\"egress.intent\""), std::string::npos);
  EXPECT_EQ(journal.torn_bytes, 0U);
}

// A record says how much of the journal had been synced when it was written. The confirmation is written after the
// bytes went out: if the intent had not been synced before, a damaged intent would pass for a torn last write.
TEST_F(Gate, SyncsTheIntentBeforeItAnswers) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
    ASSERT_TRUE(gate.sent(intend(gate, {site.keys()}).value()));
  }
  test::flip_byte(folder.path() / "journal", test::slurp(folder.path() / "journal").find("egress.intent"));
  const auto opened = site.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corruption);
}

TEST_F(Gate, SyncsTheRecordOfARefusal) {
  {
    egress::EgressGate gate = site.open().value();
    expect_refused(gate, {Bytes{}}, "kind");
    ASSERT_TRUE(gate.record(federation::ledger::Incident{"later", ""}));
  }
  test::flip_byte(folder.path() / "journal", test::slurp(folder.path() / "journal").find("incident"));
  const auto opened = site.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corruption);
}

TEST_F(Gate, ACrashBetweenIntentAndSendIsRememberedAndCounted) {
  std::uint64_t spent = 0;
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
    ASSERT_TRUE(intend(gate, {site.keys(), site.chunk(site.masked_words(2000))}));
    spent = gate.run_bytes_spent(site.run);
  }
  egress::EgressGate gate = site.open().value();
  EXPECT_EQ(gate.unconfirmed().size(), 2U);
  EXPECT_EQ(gate.run_bytes_spent(site.run), spent);
  EXPECT_TRUE(gate.plan_approved(site.plan.hash));
  // Byte-identical data may go again, under a new intent; the run and the round must be opened anew first.
  EXPECT_EQ(intend(gate, {site.keys()}).error().code, ErrorCode::permission_denied);
  ASSERT_TRUE(gate.pin_roster(site.roster));
  ASSERT_TRUE(gate.open_run(site.run, site.plan, site.model));
  ASSERT_TRUE(gate.open_round(site.parameters, site.own()));
  EXPECT_TRUE(intend(gate, {site.keys()}));
  EXPECT_GT(gate.run_bytes_spent(site.run), spent);
}

TEST_F(Gate, GivesNoTicketWhenTheIntentCannotBeWritten) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
    ASSERT_TRUE(gate.sent(intend(gate, {site.keys()}).value()));
    {
      const test::FullDisk full(test::slurp(folder.path() / "journal").size() + 10);
      const auto refused = intend(gate, {site.keys()});
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
    }
    EXPECT_FALSE(intend(gate, {site.keys()}));  // not before a new start
    EXPECT_TRUE(gate.unconfirmed().empty());
  }
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  EXPECT_TRUE(intend(gate, {site.keys()}));
}

TEST_F(Gate, ATornTailIsRecordedAsAnIncident) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
    ASSERT_TRUE(intend(gate, {site.keys()}));
  }
  test::spill(folder.path() / "journal", test::slurp(folder.path() / "journal") + "FVJ1 torn");
  { EXPECT_TRUE(site.open()); }
  const auto incidents = only<federation::ledger::Incident>(entries_of(site));
  ASSERT_EQ(incidents.size(), 1U);
  EXPECT_EQ(incidents[0].rule, "torn-tail");
}

// --- rule: kind ---

TEST_F(Gate, RefusesWhatIsNotAMessageOfThisSite) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  expect_refused(gate, {Bytes{}}, "kind");
  expect_refused(gate, {Bytes(100, 0)}, "kind");
  expect_refused(gate, {site.wire(MessageKind::aggregate_chunk, {})}, "kind");
  expect_refused(
      gate,
      {site.wire_from(SiteId::create("other").value(), MessageKind::hello, federation::messages::Hello{}.encode())},
      "kind");
  Bytes unknown = site.hello();
  unknown[federation::messages::kPayloadOffset + federation::messages::read_envelope(unknown).value().payload.size()] =
      13;  // the kind
  expect_refused(gate, {unknown}, "kind");
  Bytes version = site.hello();
  version[0] = 1;
  expect_refused(gate, {version}, "kind");
  Bytes longer = site.hello();
  longer.push_back(0);
  expect_refused(gate, {longer}, "kind");
}

// --- rule: length ---

TEST_F(Gate, RefusesContentsThatAreNotExactlyOneMessage) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  Bytes ready = federation::messages::TrainingReady{.round = 1, .model_hash = site.model}.encode();
  ready.push_back('x');  // a byte that does not belong to the message
  expect_refused(gate, {site.wire(MessageKind::training_ready, ready)}, "length");
  expect_refused(gate, {site.wire(MessageKind::masked_chunk, Bytes(20))}, "length");
}

TEST_F(Gate, RefusesAChunkOfAnotherLengthThanTheVectors) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  expect_refused(gate, {site.chunk(site.masked_words(1999))}, "length");
  expect_refused(gate, {site.chunk(site.masked_words(2001))}, "length");
  expect_refused(gate, {site.chunk(site.masked_words(2000), 1)}, "length");
  EXPECT_TRUE(intend(gate, {site.chunk(site.masked_words(2000))}));
}

TEST_F(Gate, RefusesMoreSharesThanSites) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  federation::messages::SharesMessage shares{
      .ref = site.parameters.ref(), .key_list = {}, .self_seed_commitment = {}, .shares = {}};
  for (RosterIndex peer = 0; peer < 5; ++peer)
    shares.shares.push_back({.peer = peer, .mask_key_commitment = {}, .self_seed_commitment = {}, .sealed = {}});
  expect_refused(gate, {site.wire(MessageKind::shares, shares.encode())}, "length");
  shares.shares.resize(4);
  EXPECT_TRUE(intend(gate, {site.wire(MessageKind::shares, shares.encode())}));
}

// --- rule: plan ---

TEST_F(Gate, RefusesEverythingOfAPlanThatNobodyApproved) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(gate.pin_roster(site.roster));
  EXPECT_EQ(gate.open_run(site.run, site.plan, site.model).error().code, ErrorCode::permission_denied);
  EXPECT_FALSE(gate.open_round(site.parameters, site.own()));
  expect_refused(gate, {site.ready()}, "plan");
  expect_refused(gate, {site.wire(MessageKind::beacon_nonce, federation::messages::BeaconNonceMessage{}.encode())},
                 "plan");
  expect_refused(gate, {site.wire(MessageKind::beacon_commitment, Bytes(127))}, "length");
  expect_refused(gate, {site.chunk(site.masked_words(2000))}, "plan");
  EXPECT_TRUE(intend(gate, {site.hello()}));  // a greeting carries nothing of a plan
}

TEST_F(Gate, RefusesApprovalsByOthersForOthersOrChanged) {
  egress::EgressGate gate = site.open().value();
  federation::membership::SignedDocument stranger = site.approval();
  stranger.signatures.clear();
  ASSERT_TRUE(stranger.sign(test::signing_key(77)));
  EXPECT_EQ(gate.decide_plan(stranger).error().code, ErrorCode::permission_denied);
  federation::membership::SignedDocument changed = site.approval();
  changed.document.replace(changed.document.find("st-anna"), 7, "st-bern");
  EXPECT_EQ(gate.decide_plan(changed).error().code, ErrorCode::corruption);
  EgressSite other{folder.path()};
  other.site = SiteId::create("other").value();
  EXPECT_EQ(gate.decide_plan(other.approval()).error().code, ErrorCode::permission_denied);
  EXPECT_FALSE(gate.plan_approved(site.plan.hash));
}

TEST_F(Gate, AnApprovalOfAFormerApproverDoesNotOutliveThem) {
  { ASSERT_TRUE(site.open().value().decide_plan(site.approval())); }
  site.approver = test::signing_key(78);
  egress::EgressGate gate = site.open().value();
  EXPECT_FALSE(gate.plan_approved(site.plan.hash));
  ASSERT_TRUE(gate.decide_plan(site.approval()));
  EXPECT_TRUE(gate.plan_approved(site.plan.hash));
}

TEST_F(Gate, SyncsADecision) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(gate.decide_plan(site.approval()));
    ASSERT_TRUE(gate.record(federation::ledger::Incident{"later", ""}));
  }
  test::flip_byte(folder.path() / "journal", test::slurp(folder.path() / "journal").find("plan.approved"));
  const auto opened = site.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corruption);
}

TEST_F(Gate, AWithdrawnPlanStopsWhatLeavesAtOnceAndAfterARestart) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
    ASSERT_TRUE(gate.sent(intend(gate, {site.keys()}).value()));
    ASSERT_TRUE(gate.decide_plan(site.approval(federation::membership::ApprovalDecision::rejected)));
    expect_refused(gate, {site.chunk(site.masked_words(2000))}, "plan");
  }
  egress::EgressGate gate = site.open().value();
  EXPECT_FALSE(gate.plan_approved(site.plan.hash));
  EXPECT_FALSE(gate.open_run(site.run, site.plan, site.model));
}

TEST_F(Gate, SaysAfterARestartWhichModelsWereReleasedOnAndWhatWasJoinedLast) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
    EXPECT_EQ(gate.last_joined(site.run), (federation::ledger::RoundKey{site.run, 1, 1}));
    ASSERT_TRUE(intend(gate, {site.keys()}));
  }
  EXPECT_TRUE(site.open()->releases_at_open().empty());
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
    ASSERT_TRUE(intend(gate, {site.unmask_shares()}));  // not confirmed: it may have left
  }
  const egress::EgressGate gate = site.open().value();
  ASSERT_EQ(gate.releases_at_open().size(), 1U);
  EXPECT_EQ(gate.releases_at_open().at(site.model).run, site.run);
  EXPECT_EQ(gate.releases_at_open().at(site.model).ref, site.parameters.ref());
  EXPECT_EQ(gate.last_joined(site.run), (federation::ledger::RoundKey{site.run, 1, 1}));
  EXPECT_FALSE(gate.last_joined(RunId{}));
}

// Also when it is approved again: what was begun before is over, and an honest machine begins another attempt.
TEST_F(Gate, AWithdrawalClosesTheOpenAttemptForGood) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  ASSERT_TRUE(gate.decide_plan(site.approval(federation::membership::ApprovalDecision::rejected)));
  EXPECT_FALSE(gate.attempt_open());
  ASSERT_TRUE(gate.decide_plan(approved_at(1)));
  expect_refused(gate, {site.chunk(site.masked_words(2000))}, "model");
  EXPECT_FALSE(gate.open_round(site.parameters, site.own()));
  site.parameters.attempt = 2;
  ASSERT_TRUE(gate.open_round(site.parameters, site.own()));
  EXPECT_TRUE(intend(gate, {site.chunk(site.masked_words(2000))}));
  const auto entries = entries_after_close(std::move(gate));
  EXPECT_EQ(only<federation::ledger::RoundClose>(entries).at(0).outcome, "abandoned");
}

// The daemon was stopped when the person decided: no run is open when the gate reads it.
TEST_F(Gate, AWithdrawalWhileNoRunIsOpenClosesTheAttemptBeforeIt) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
  }
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(gate.decide_plan(site.approval(federation::membership::ApprovalDecision::rejected)));
  ASSERT_TRUE(gate.decide_plan(approved_at(1)));
  ASSERT_TRUE(gate.pin_roster(site.roster));
  ASSERT_TRUE(gate.open_run(site.run, site.plan, site.model));
  EXPECT_FALSE(gate.attempt_open());
  expect_refused(gate, {site.unmask_shares()}, "model");
}

// What was signed counts sites by their places on the attempt's roster.
TEST_F(Gate, NothingOfAnAttemptUnderAnotherRosterLeaves) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  federation::membership::Roster newer = site.roster;
  newer.hash[0] ^= 1U;
  newer.epoch += 1;
  ASSERT_TRUE(gate.pin_roster(newer));
  EXPECT_FALSE(gate.attempt_open());
  expect_refused(gate, {site.unmask_shares()}, "model");
}

TEST_F(Gate, ARestartUnderAnotherRosterBringsNoAttemptBack) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
  }
  egress::EgressGate gate = site.open().value();
  federation::membership::Roster newer = site.roster;
  newer.hash[0] ^= 1U;
  newer.epoch += 1;
  ASSERT_TRUE(gate.pin_roster(newer));
  ASSERT_TRUE(gate.open_run(site.run, site.plan, site.model));
  EXPECT_FALSE(gate.attempt_open());
}

TEST_F(Gate, SettingsThatForbidThePlanStopWhatLeavesAtOnce) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  ASSERT_TRUE(gate.change_policy(2, site.run_bytes_max, "cohort_min: the plan has 3, this site demands at least 5"));
  EXPECT_FALSE(gate.plan_approved(site.plan.hash));
  expect_refused(gate, {site.chunk(site.masked_words(2000))}, "plan");
  ASSERT_TRUE(gate.sent(intend(gate, {site.hello()}).value()));  // the reason can be told
  ASSERT_TRUE(gate.change_policy(2, site.run_bytes_max, std::nullopt));
  site.parameters.attempt = 2;
  ASSERT_TRUE(gate.open_round(site.parameters, site.own()));
  ASSERT_TRUE(gate.sent(intend(gate, {site.chunk(site.masked_words(2000))}).value()));
  ASSERT_TRUE(gate.change_policy(2, 1, std::nullopt));
  expect_refused(gate, {site.chunk(site.masked_words(2000))}, "budget");
  ASSERT_TRUE(gate.change_policy(5, site.run_bytes_max, std::nullopt));
  expect_refused(gate, {site.chunk(site.masked_words(2000))}, "cohort");
}

// --- rule: model ---

TEST_F(Gate, RefusesARoundOnAnotherModelPlanRosterOrLength) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(gate.decide_plan(site.approval()));
  ASSERT_TRUE(gate.pin_roster(site.roster));
  ASSERT_TRUE(gate.open_run(site.run, site.plan, site.model));
  const federation::secagg::RoundParameters good = site.parameters;
  for (Digest federation::secagg::RoundParameters::*field :
       {&federation::secagg::RoundParameters::plan_hash, &federation::secagg::RoundParameters::model_hash,
        &federation::secagg::RoundParameters::roster_hash}) {
    site.parameters = good;
    (site.parameters.*field)[0] ^= 1U;
    EXPECT_EQ(gate.open_round(site.parameters, site.own()).error().code, ErrorCode::permission_denied);
  }
  site.parameters = good;
  egress::OwnRound own = site.own();
  own.dimension += 1;
  EXPECT_FALSE(gate.open_round(site.parameters, own));
  own = site.own();
  own.model[0] ^= 1U;  // the caller's model is not the one the gate was told of
  EXPECT_FALSE(gate.open_round(site.parameters, own));
  site.parameters.model_hash = own.model;  // not even where the coordinator says the same
  EXPECT_FALSE(gate.open_round(site.parameters, own));
  EXPECT_TRUE(gate.open_round(good, site.own()));
}

TEST_F(Gate, RefusesMessagesOfAnotherAttempt) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  site.parameters.attempt = 2;
  expect_refused(gate, {site.keys()}, "model");
  site.parameters.attempt = 1;
  site.parameters.phase_ms = 1;  // the same numbers, other parameters
  expect_refused(gate, {site.keys()}, "model");
  EXPECT_FALSE(gate.open_round(site.parameters, site.own()));
  site.model = test::filled(0x99);
  expect_refused(gate, {site.ready()}, "model");
}

TEST_F(Gate, RefusesRoundsThatGoBack) {
  {
    egress::EgressGate gate = site.open().value();
    site.parameters.round = 5;
    ASSERT_TRUE(site.prepare(gate));
  }
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(gate.pin_roster(site.roster));
  ASSERT_TRUE(gate.open_run(site.run, site.plan, site.model));
  site.parameters.round = 4;
  EXPECT_FALSE(gate.open_round(site.parameters, site.own()));
  site.parameters.round = 5;
  site.parameters.attempt = 2;
  EXPECT_TRUE(gate.open_round(site.parameters, site.own()));
  site.parameters.attempt = 1;
  EXPECT_FALSE(gate.open_round(site.parameters, site.own()));
}

TEST_F(Gate, AnAttemptThatARestartInterruptedIsOpenAgain) {
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
  }
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(gate.pin_roster(site.roster));
    EXPECT_FALSE(gate.attempt_open());
    expect_refused(gate, {site.keys()}, "plan");  // no run is open yet
    RunId other = site.run;
    other.bytes[0] ^= 1;
    ASSERT_TRUE(gate.open_run(other, site.plan, site.model));
    EXPECT_FALSE(gate.attempt_open());
    // The model on disk may be older than the attempt's: the sums between follow.
    ASSERT_TRUE(gate.open_run(site.run, site.plan, test::filled(0x99)));
    ASSERT_TRUE(gate.attempt_open());
    EXPECT_EQ(*gate.attempt_open(), (federation::ledger::RoundKey{site.run, 1, 1}));
    EXPECT_TRUE(intend(gate, {site.keys()}));
  }
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(gate.pin_roster(site.roster));
    ASSERT_TRUE(gate.open_run(site.run, site.plan, site.model));
    site.parameters.attempt = 2;
    EXPECT_FALSE(intend(gate, {site.keys()}));  // that attempt and no other
    ASSERT_TRUE(gate.close_round({.key = {site.run, 1, 1}, .outcome = "abandoned", .model = site.model, .cohort = 0}));
  }
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(gate.pin_roster(site.roster));
  ASSERT_TRUE(gate.open_run(site.run, site.plan, site.model));
  EXPECT_FALSE(gate.attempt_open());
  site.parameters.attempt = 1;
  EXPECT_FALSE(intend(gate, {site.keys()}));
}

TEST_F(Gate, NothingOfAClosedRoundLeaves) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  ASSERT_TRUE(gate.close_round({.key = {site.run, 1, 1}, .outcome = "abandoned", .model = site.model, .cohort = 0}));
  expect_refused(gate, {site.keys()}, "model");
  EXPECT_FALSE(gate.open_round(site.parameters, site.own()));  // not even under the same parameters
  site.parameters.attempt = 2;
  EXPECT_TRUE(gate.open_round(site.parameters, site.own()));
}

// --- rule: uniform ---

TEST_F(Gate, RefusesAVectorInClear) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  expect_refused(gate, {site.chunk(std::vector<std::uint32_t>(2000, 1))}, "uniform");
  for (const std::ptrdiff_t masked : {976, 1024}) {  // the last block of 4 KiB, and no more than what one ends with
    std::vector<std::uint32_t> partly = site.masked_words(2000);
    std::fill(partly.begin() + masked, partly.end(), 3U);
    expect_refused(gate, {site.chunk(partly)}, "uniform");
  }
}

// --- rule: cohort ---

TEST_F(Gate, RefusesCohortsBelowThresholdOrPolicy) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(gate.decide_plan(site.approval()));
  ASSERT_TRUE(gate.pin_roster(site.roster));
  ASSERT_TRUE(gate.open_run(site.run, site.plan, site.model));
  site.parameters.candidates = {0, 1};
  const auto refused = gate.open_round(site.parameters, site.own());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("rule cohort"), std::string::npos);
  site.parameters.candidates = {0};
  site.parameters.thresholds.threshold = 1;
  EXPECT_FALSE(gate.open_round(site.parameters, site.own()));
}

// --- rule: identifiers ---

TEST_F(Gate, RefusesAnyMessageThatHoldsAnIdentifierOfTheSitesData) {
  site.identifiers = {"PAT-000123", "scan_17.nii.gz", "ab"};
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  federation::messages::Hello hello;
  hello.software = "fovea 0.1 on scan_17.nii.gz";
  expect_refused(gate, {site.wire(MessageKind::hello, hello.encode())}, "identifiers");
  hello.software = "fovea 0.1 ab";  // too short to look for
  EXPECT_TRUE(intend(gate, {site.wire(MessageKind::hello, hello.encode())}));
  std::vector<std::uint32_t> words = site.masked_words(2000);
  EXPECT_TRUE(intend(gate, {site.chunk(words)}));
  for (const auto& incident : only<federation::ledger::Incident>(entries_after_close(std::move(gate))))
    EXPECT_EQ(incident.detail.find("scan_17"), std::string::npos);
}

// --- rule: budget ---

TEST_F(Gate, RefusesWhatDoesNotFitTheByteBudgetEvenWithinABatchAndAfterARestart) {
  const std::size_t keys = site.keys().size();
  site.run_bytes_max = 3 * keys;
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
    ASSERT_TRUE(gate.sent(intend(gate, {site.keys(), site.keys()}).value()));
    expect_refused(gate, {site.keys(), site.keys()}, "budget");
  }
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  ASSERT_TRUE(gate.sent(intend(gate, {site.keys()}).value()));
  EXPECT_EQ(gate.run_bytes_spent(site.run), 3 * keys);
  expect_refused(gate, {site.keys()}, "budget");
}

TEST_F(Gate, RefusesSessionMessagesAboveTheirOwnBudget) {
  site.session_bytes_max = site.hello().size();
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(gate.sent(intend(gate, {site.hello()}).value()));
  expect_refused(gate, {site.hello()}, "budget");
}

// Every five seconds a hello, for weeks: what a node may say while it waits is bounded by the day, not by its start.
TEST_F(Gate, TheBudgetOfSessionMessagesBeginsAnewEachDay) {
  site.session_bytes_max = 2 * site.hello().size();
  egress::EgressGate gate = site.open().value();
  for (int day = 1; day <= 3; ++day) {
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(gate.sent(intend(gate, {site.hello()}).value())) << day;
    expect_refused(gate, {site.hello()}, "budget");
    site.clock.now.value = day * egress::kSessionMs - 60'001;  // a minute later is the day's last millisecond
    expect_refused(gate, {site.hello()}, "budget");
    site.clock.now.value += 1;
  }
}

TEST_F(Gate, RefusesAPrivacyMechanismItCannotAccountFor) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(gate.decide_plan(site.approval()));
  site.plan.privacy_mechanism = "gaussian";
  EXPECT_FALSE(gate.open_run(site.run, site.plan, site.model));
  site.plan.privacy_mechanism = "none";
  ASSERT_TRUE(gate.pin_roster(site.roster));
  ASSERT_TRUE(gate.open_run(site.run, site.plan, site.model));
  site.parameters.noise = 1;
  EXPECT_FALSE(gate.open_round(site.parameters, site.own()));
}

// --- batches and confirmations ---

TEST_F(Gate, OneBadMessageHoldsBackItsBatch) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  expect_refused(gate, {site.keys(), site.chunk(std::vector<std::uint32_t>(2000, 1))}, "uniform");
}

TEST_F(Gate, ConfirmsEachIntentOnce) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(site.prepare(gate));
  const auto tickets = intend(gate, {site.keys(), site.keys(), site.keys()}).value();
  const std::vector<egress::EgressTicket> apart{tickets[0], tickets[2]};
  ASSERT_TRUE(gate.sent(apart));
  EXPECT_FALSE(gate.sent(apart));
  const std::vector<egress::EgressTicket> twice{tickets[1], tickets[1]};
  EXPECT_FALSE(gate.sent(twice));
  const std::vector<egress::EgressTicket> unknown{{9'999}};
  EXPECT_FALSE(gate.sent(unknown));
  EXPECT_EQ(gate.unconfirmed().size(), 1U);
}

TEST_F(Gate, KeepsItsOwnEntryTypesToItself) {
  egress::EgressGate gate = site.open().value();
  EXPECT_TRUE(gate.record(federation::ledger::InputSealed{{site.run, 1, 1}, test::filled(1)}));
  EXPECT_TRUE(gate.record(federation::ledger::Incident{"disk", "nearly full"}));
  EXPECT_FALSE(gate.record(federation::ledger::PlanApproved{site.plan.hash, site.approver.verify_key(), {1}}));
  EXPECT_FALSE(gate.record(federation::ledger::EgressSent{0, 1}));
  EXPECT_FALSE(gate.record(federation::ledger::RoundOpen{}));
}

}  // namespace
}  // namespace fovea::node

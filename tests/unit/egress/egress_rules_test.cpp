// Failure class: a byte leaves a site that a rule forbids.
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "federation/ledger/journal.h"
#include "federation/messages/beacon_messages.h"
#include "tests/unit/egress/gate_fixture.h"

namespace fovea::node {
namespace {

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

// A journal that is put back alone must not take a person's word away.
TEST_F(Gate, APersonsWordIsUnderACheckpointAtOnce) {
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(gate.decide_plan(site.approval()));
  EXPECT_EQ(gate.ledger().published_size(), gate.ledger().size());
  const federation::membership::SignedDocument word = site.acceptance(site.other_site("berta", 0x10));
  ASSERT_TRUE(gate.decide_sites(std::span(&word, 1)));
  EXPECT_EQ(gate.ledger().published_size(), gate.ledger().size());
  ASSERT_TRUE(gate.decide_plan(site.approval(federation::membership::ApprovalDecision::rejected)));
  EXPECT_EQ(gate.ledger().published_size(), gate.ledger().size());
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

// Both are in the ledger, and the pinned one stays in force: the open attempt goes on.
TEST_F(Gate, ARosterOfAnEarlierEpochIsRecordedAndDoesNotComeIntoForce) {
  federation::membership::Roster past = site.roster;
  past.hash[0] ^= 1U;
  site.roster.epoch += 1;
  std::uint64_t size = 0;
  {
    egress::EgressGate gate = site.open().value();
    ASSERT_TRUE(site.prepare(gate));
    const std::uint64_t before = gate.ledger().size();
    ASSERT_TRUE(gate.record_past_roster(past, site.roster));
    size = gate.ledger().size();
    EXPECT_EQ(size, before + 2);
    EXPECT_TRUE(gate.attempt_open());
    EXPECT_TRUE(gate.pin_roster(site.roster));
    EXPECT_EQ(gate.ledger().size(), size);
  }
  egress::EgressGate gate = site.open().value();
  ASSERT_TRUE(gate.pin_roster(site.roster));
  EXPECT_EQ(gate.ledger().size(), size);
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

}  // namespace
}  // namespace fovea::node

// The site's machine, phase by phase: what each event does, and what it must not do in another phase.
#include <limits>
#include <set>

#include "federation/messages/vector_chunk.h"
#include "tests/unit/round/scene.h"

namespace fovea::test {
namespace {

class SiteMachineTest : public ::testing::Test {
 protected:
  TestFederation federation{4};
  node::round::SitePolicy policy{.colluders_max = 1,
                                 .honest_min = 2,
                                 .cohort_min = 3,
                                 .plans_approved = {federation.plan()},
                                 .acquainted = federation.everybody()};
  Digest model = federation.plan();

  node::round::SiteMachine machine(std::span<const Bytes> journal = {}) {
    auto out = node::round::SiteMachine::create(federation.site_config(1, policy), journal).value();
    out.step(node::round::ModelAdopted{.model_hash = model, .next = {.stage_round = 1, .seed = 3}});
    return out;
  }
  federation::messages::TrainTask task(RoundNumber round = 1) const {
    return {.round = round,
            .stage_index = 0,
            .stage_round = 1,
            .seed = 3,
            .plan_hash = federation.plan(),
            .model_hash = model};
  }
  node::round::SiteEffects tell(node::round::SiteMachine& site, MessageKind kind, const Bytes& payload) {
    return site.step(node::round::MessageReceived{federation.from_coordinator(kind, payload), std::nullopt});
  }
  static federation::model::LocalUpdate update() { return {.delta = {1, 2, 3}, .weight = 1, .metric_sums = {}}; }
};

TEST_F(SiteMachineTest, AConfigurationThatIsNotTheRostersIsRefused) {
  auto config = federation.site_config(1, policy);
  config.identity = federation.identity(2).copy();
  EXPECT_FALSE(node::round::SiteMachine::create(std::move(config), {}).has_value());
  auto weak = policy;
  weak.honest_min = 1;
  EXPECT_FALSE(node::round::SiteMachine::create(federation.site_config(1, weak), {}).has_value());
  EXPECT_TRUE(node::round::SiteMachine::create(federation.site_config(1, policy), {}).has_value());
  const std::vector<Bytes> damaged = {{1, 2, 3}};
  EXPECT_EQ(node::round::SiteMachine::create(federation.site_config(1, policy), damaged).error().code,
            ErrorCode::corruption);
}

TEST_F(SiteMachineTest, ConnectedSaysHelloWithWhereTheSiteStands) {
  auto site = machine();
  const auto effects = site.step(node::round::Connected{});
  expect_sends(effects, MessageKind::hello);
  const auto hello =
      federation::messages::Hello::decode(federation.open_at_coordinator(1, effects.outbound[0].wire)->payload())
          .value();
  EXPECT_EQ(hello.model_hash, model);
  EXPECT_EQ(hello.last_round, 0U);
}

TEST_F(SiteMachineTest, TheFirstLookAtAClockIsNoSilence) {
  auto site = machine();
  EXPECT_TRUE(site.step(node::round::Tick{MonotonicMs{1'000'000'000}}).outbound.empty());
  expect_sends(site.step(node::round::Tick{MonotonicMs{1'000'600'000}}), MessageKind::hello);
}

// Each greeting would be answered with a task that is refused, an entry in the ledgers of both for either.
TEST_F(SiteMachineTest, WithoutAPlanASiteGreetsSeldomAndAtOnceWhenItIsApprovedAgain) {
  auto site = machine();
  std::int64_t now = 1'000'000;
  const auto greets_after = [&](std::int64_t ms) {
    now += ms;
    return !site.step(node::round::Tick{MonotonicMs{now}}).outbound.empty();
  };
  EXPECT_FALSE(greets_after(0));
  EXPECT_TRUE(greets_after(5'000));
  auto rejected = policy;
  rejected.plans_approved.clear();
  site.step(node::round::PolicyChanged{rejected});
  EXPECT_FALSE(greets_after(5'000));
  EXPECT_FALSE(greets_after(594'999));
  EXPECT_TRUE(greets_after(1));
  EXPECT_FALSE(greets_after(599'999));
  expect_sends(site.step(node::round::PolicyChanged{policy}), MessageKind::hello);
  EXPECT_TRUE(greets_after(5'000));
}

TEST_F(SiteMachineTest, ATaskStartsTrainingOnceAndReadyFollows) {
  auto site = machine();
  const auto started = tell(site, MessageKind::train_task, task().encode());
  ASSERT_TRUE(started.start_training.has_value());
  EXPECT_EQ(*started.start_training, task());
  EXPECT_EQ(site.phase(), node::round::SitePhase::training);
  EXPECT_FALSE(tell(site, MessageKind::train_task, task().encode()).start_training.has_value());
  expect_sends(site.step(node::round::TrainingAdvanced{1, 500}), MessageKind::training_progress);
  expect_sends(site.step(node::round::TrainingFinished{1, update()}), MessageKind::training_ready);
  EXPECT_EQ(site.phase(), node::round::SitePhase::ready);
  expect_sends(tell(site, MessageKind::train_task, task().encode()), MessageKind::training_ready);
}

TEST_F(SiteMachineTest, ATaskOnAnotherModelPlanOrTranscriptIsRefusedAndReported) {
  const auto refused = [&](auto change, RefusalReason reason) {
    auto site = machine();
    auto wrong = task();
    change(wrong);
    const auto effects = tell(site, MessageKind::train_task, wrong.encode());
    expect_refused(effects, reason);
    EXPECT_FALSE(effects.start_training.has_value());
    ASSERT_FALSE(effects.outbound.empty());
    EXPECT_EQ(effects.outbound[0].kind, MessageKind::attempt_failure);
    const bool behind = reason != RefusalReason::plan_not_approved;  // then it also says where it stands
    EXPECT_EQ(effects.outbound.size(), behind ? 2U : 1U);
  };
  refused([](auto& t) { t.model_hash[0] ^= 1; }, RefusalReason::model_differs);
  refused([](auto& t) { t.plan_hash[0] ^= 1; }, RefusalReason::plan_not_approved);
  refused([](auto& t) { t.previous_transcript[0] ^= 1; }, RefusalReason::transcript_differs);
}

TEST_F(SiteMachineTest, AnApprovalMakesTheSiteSayHelloAgain) {
  policy.plans_approved.clear();
  auto site = machine();
  expect_refused(tell(site, MessageKind::train_task, task().encode()), RefusalReason::plan_not_approved);
  policy.plans_approved = {federation.plan()};
  expect_sends(site.step(node::round::PolicyChanged{policy}), MessageKind::hello);
  EXPECT_TRUE(tell(site, MessageKind::train_task, task().encode()).start_training.has_value());
  auto weak = policy;
  weak.honest_min = 0;
  expect_refused(site.step(node::round::PolicyChanged{weak}), RefusalReason::local_policy);
}

// ---- a person of the hospital rejects the plan while it runs

TEST_F(SiteMachineTest, AWithdrawalCancelsTheTrainingAndTellsTheCoordinatorWhy) {
  auto site = machine();
  tell(site, MessageKind::train_task, task().encode());
  auto withdrawn = policy;
  withdrawn.plans_approved.clear();
  const auto effects = site.step(node::round::PolicyChanged{withdrawn});
  EXPECT_TRUE(effects.cancel_training);
  EXPECT_EQ(site.phase(), node::round::SitePhase::idle);
  expect_sends(effects, MessageKind::attempt_failure);
  const auto failure = federation::messages::AttemptFailure::decode(
      federation.open_at_coordinator(1, effects.outbound[0].wire)->payload());
  EXPECT_EQ(failure->reason, RefusalReason::plan_not_approved);
  EXPECT_EQ(failure->round, 1U);
  // A result that comes all the same is nobody's, and the task is not taken up again.
  expect_refused(site.step(node::round::TrainingFinished{1, update()}), RefusalReason::unexpected_kind);
  expect_refused(tell(site, MessageKind::train_task, task().encode()), RefusalReason::plan_not_approved);
  // Until a person approves it once more.
  expect_sends(site.step(node::round::PolicyChanged{policy}), MessageKind::hello);
  EXPECT_TRUE(tell(site, MessageKind::train_task, task().encode()).start_training.has_value());
}

// What the coordinator and the log are told is what happened here: a rejection, or a rule of the policy, and not that
// nobody ever approved the plan.
TEST_F(SiteMachineTest, WhatIsRefusedWithoutAPlanIsRefusedForTheReasonOfTheWithdrawal) {
  for (const auto& why : {federation::messages::refused(RefusalReason::local_policy, "refused by cohort_min = 16"),
                          federation::messages::refused(RefusalReason::plan_rejected, "rejected at noon")}) {
    auto site = machine();
    auto withdrawn = policy;
    withdrawn.plans_approved.clear();
    const auto given_up = site.step(node::round::PolicyChanged{withdrawn, why});
    ASSERT_EQ(given_up.notices.size(), 1U);
    EXPECT_NE(given_up.notices[0].find(why.detail), std::string::npos) << given_up.notices[0];
    const auto task_refused = tell(site, MessageKind::train_task, task().encode());
    expect_refused(task_refused, why.reason);
    EXPECT_EQ(task_refused.refusal->detail, why.detail);
    ASSERT_EQ(task_refused.outbound.size(), 1U);
    const auto failure = federation::messages::AttemptFailure::decode(
        federation.open_at_coordinator(1, task_refused.outbound[0].wire)->payload());
    EXPECT_EQ(failure->reason, why.reason);
    const auto list_refused = tell(site, MessageKind::key_list, Bytes{});
    expect_refused(list_refused, why.reason);
    EXPECT_NE(list_refused.refusal->detail.find(why.detail), std::string::npos);
    // Another reason, though there was no plan before either: what is said from here on.
    site.step(node::round::PolicyChanged{withdrawn});
    expect_refused(tell(site, MessageKind::train_task, task().encode()), RefusalReason::plan_not_approved);
    // Another plan than the approved one has nothing to do with an earlier withdrawal.
    site.step(node::round::PolicyChanged{policy});
    auto other = task();
    other.plan_hash[0] ^= 1;
    expect_refused(tell(site, MessageKind::train_task, other.encode()), RefusalReason::plan_not_approved);
  }
}

// In every phase of an attempt: it is given up with its secrets, the gate closes it, and the request that was about to
// be answered is refused, now and after another approval.
TEST_F(SiteMachineTest, AWithdrawalEndsTheAttemptInEveryPhase) {
  for (const MessageKind next : {MessageKind::key_list, MessageKind::routed_shares, MessageKind::consistency_request,
                                 MessageKind::unmask_request}) {
    Scene scene;
    const auto request = scene.hold_to_site(1, next);
    auto& site = scene.world.site(1);
    auto withdrawn = scene.world.policy();
    const auto approved = withdrawn;
    withdrawn.plans_approved.clear();
    const auto effects = site.step(node::round::PolicyChanged{withdrawn});
    ASSERT_TRUE(effects.abandoned.has_value()) << static_cast<int>(next);
    expect_sends(effects, MessageKind::attempt_failure);
    const auto failure = federation::messages::AttemptFailure::decode(
        scene.world.federation().open_at_coordinator(1, effects.outbound[0].wire)->payload());
    EXPECT_EQ(failure->reason, RefusalReason::plan_not_approved);
    EXPECT_EQ(failure->attempt, effects.abandoned->attempt);
    EXPECT_EQ(site.phase(), node::round::SitePhase::idle);
    const auto refused = scene.tell(1, next, request.payload());
    expect_refused(refused, RefusalReason::plan_not_approved);
    for (const auto& message : refused.outbound) EXPECT_EQ(message.kind, MessageKind::attempt_failure);
    EXPECT_TRUE(refused.journal.empty());
    // A new connection says it again: the old one may have been cut with the reason in it.
    const auto again = site.step(node::round::Connected{});
    ASSERT_EQ(again.outbound.size(), 2U);
    EXPECT_EQ(again.outbound[1].kind, MessageKind::attempt_failure);
    site.step(node::round::PolicyChanged{approved});
    expect_refused(scene.tell(1, next, request.payload()), RefusalReason::forgotten_after_restart);
    EXPECT_EQ(site.step(node::round::Connected{}).outbound.size(), 1U);
  }
}

// Else a release that the gate does not let out would use the model up.
TEST_F(SiteMachineTest, ARestartDoesNotBringBackAnAttemptThatTheGateHasClosed) {
  for (const bool open : {true, false}) {
    Scene scene;
    const auto request = scene.hold_to_site(1, MessageKind::unmask_request);
    auto config = scene.world.federation().site_config(1, scene.world.policy());
    config.last_attempt_open = open;
    auto site =
        node::round::SiteMachine::create(std::move(config), scene.world.site_journal(1), scene.world.site_register(1))
            .value();
    site.step(scene.world.initial_model());
    const auto effects = site.step(node::round::MessageReceived{
        scene.world.federation().from_coordinator(MessageKind::unmask_request, request.payload()), std::nullopt});
    if (open) expect_sends(effects, MessageKind::unmask_shares);
    else expect_refused(effects, RefusalReason::forgotten_after_restart);
  }
}

TEST_F(SiteMachineTest, AStricterPolicyEndsWhatWasJoinedUnderAWeakerOne) {
  for (const MessageKind next : {MessageKind::key_list, MessageKind::unmask_request}) {
    Scene scene;
    const auto request = scene.hold_to_site(1, next);
    auto& site = scene.world.site(1);
    auto stricter = scene.world.policy();
    EXPECT_FALSE(site.step(node::round::PolicyChanged{stricter}).abandoned.has_value());  // the same one
    stricter.cohort_min += 1;
    const auto effects = site.step(node::round::PolicyChanged{stricter});
    EXPECT_TRUE(effects.abandoned.has_value());
    EXPECT_EQ(site.phase(), node::round::SitePhase::ready);  // the update is kept
    expect_refused(scene.tell(1, next, request.payload()), RefusalReason::forgotten_after_restart);
  }
}

TEST_F(SiteMachineTest, ARoundNumberWithoutBoundIsNotFollowed) {
  auto site = machine();
  expect_refused(tell(site, MessageKind::train_task, task(10'001).encode()), RefusalReason::round_too_far);
  EXPECT_TRUE(tell(site, MessageKind::train_task, task(10'000).encode()).start_training.has_value());
}

TEST_F(SiteMachineTest, ASiteThatWasBehindSaysHelloWhenItHasTheModel) {
  auto site = machine();
  auto next = task(2);
  next.model_hash[0] ^= 1;
  expect_refused(tell(site, MessageKind::train_task, next.encode()), RefusalReason::model_differs);
  const node::round::ModelAdopted adopted{
      .round = 1, .model_hash = next.model_hash, .next = {.stage_round = 1, .seed = 3}};
  expect_sends(site.step(node::round::ModelAdopted(adopted)), MessageKind::hello);
  EXPECT_TRUE(site.step(node::round::ModelAdopted(adopted)).outbound.empty());
  EXPECT_TRUE(tell(site, MessageKind::train_task, next.encode()).start_training.has_value());
}

TEST_F(SiteMachineTest, TrainingThatFailsOrDivergesIsReportedAndTheSiteIsIdle) {
  auto site = machine();
  tell(site, MessageKind::train_task, task().encode());
  expect_sends(site.step(node::round::TrainingFailed{1}), MessageKind::attempt_failure);
  EXPECT_EQ(site.phase(), node::round::SitePhase::idle);
  tell(site, MessageKind::train_task, task().encode());
  auto diverged = update();
  diverged.delta[1] = std::numeric_limits<float>::quiet_NaN();
  expect_refused(site.step(node::round::TrainingFinished{1, diverged}), RefusalReason::update_not_finite);
  EXPECT_EQ(site.phase(), node::round::SitePhase::idle);
}

TEST_F(SiteMachineTest, ResultsOfATrainingNobodyWaitsForAreRefused) {
  auto site = machine();
  expect_refused(site.step(node::round::TrainingFinished{1, update()}), RefusalReason::unexpected_kind);
  tell(site, MessageKind::train_task, task(2).encode());
  expect_refused(site.step(node::round::TrainingFinished{1, update()}), RefusalReason::unexpected_kind);
  EXPECT_TRUE(site.step(node::round::TrainingAdvanced{1, 10}).outbound.empty());
  EXPECT_TRUE(site.step(node::round::TrainingFailed{1}).outbound.empty());
  EXPECT_EQ(site.phase(), node::round::SitePhase::training);
}

TEST_F(SiteMachineTest, AnUpdateIsKeptWhenTheSameWorkComesUnderTheNextRoundNumber) {
  auto site = machine();
  tell(site, MessageKind::train_task, task(1).encode());
  site.step(node::round::TrainingFinished{1, update()});
  const auto effects = tell(site, MessageKind::train_task, task(2).encode());
  EXPECT_FALSE(effects.start_training.has_value());
  expect_sends(effects, MessageKind::training_ready);
  EXPECT_EQ(site.round(), 2U);
  EXPECT_EQ(site.phase(), node::round::SitePhase::ready);
  expect_refused(tell(site, MessageKind::train_task, task(1).encode()), RefusalReason::stale_round);
}

// A coordinator that chooses the seed can look for one whose batches show a patient, or train one stage for ever.
TEST_F(SiteMachineTest, AnotherStagePositionOrSeedThanThePlanGivesIsRefused) {
  auto site = machine();
  for (const auto change : {+[](federation::messages::TrainTask& t) { t.seed += 1; },
                            +[](federation::messages::TrainTask& t) { t.stage_index += 1; },
                            +[](federation::messages::TrainTask& t) { t.stage_round += 1; }}) {
    auto other = task(1);
    change(other);
    const auto effects = tell(site, MessageKind::train_task, other.encode());
    expect_refused(effects, RefusalReason::task_differs);
    EXPECT_FALSE(effects.start_training.has_value());
    ASSERT_EQ(effects.outbound.size(), 1U);  // the coordinator is told
    EXPECT_EQ(effects.outbound[0].kind, MessageKind::attempt_failure);
  }
  EXPECT_TRUE(tell(site, MessageKind::train_task, task(1).encode()).start_training.has_value());
}

TEST_F(SiteMachineTest, AnotherTaskLeavesTheRunningTrainingAlone) {
  auto site = machine();
  tell(site, MessageKind::train_task, task(1).encode());
  auto other = task(2);
  other.stage_round = 2;
  const auto effects = tell(site, MessageKind::train_task, other.encode());
  expect_refused(effects, RefusalReason::task_differs);
  EXPECT_FALSE(effects.cancel_training);
  EXPECT_EQ(site.phase(), node::round::SitePhase::training);
}

TEST_F(SiteMachineTest, ProtocolMessagesOutsideTheirPhaseAreRefused) {
  const federation::messages::AttemptRef ref{1, 1, Digest{5}};
  const std::vector<std::pair<MessageKind, Bytes>> messages = {
      {MessageKind::key_list, federation::messages::KeyList{ref, {}}.encode()},
      {MessageKind::routed_shares, federation::messages::RoutedShares{ref, {}, {}}.encode()},
      {MessageKind::chunk_request, federation::messages::ChunkRequest{.ref = ref, .chunks = {}}.encode()},
      {MessageKind::consistency_request,
       federation::messages::ConsistencyRequest{.ref = ref, .survivors = {}, .committed = {}}.encode()},
  };
  auto idle = machine();
  auto training = machine();
  tell(training, MessageKind::train_task, task().encode());
  auto ready = machine();
  tell(ready, MessageKind::train_task, task().encode());
  ready.step(node::round::TrainingFinished{1, update()});
  for (auto* site : {&idle, &training, &ready}) {
    const auto before = site->phase();
    for (const auto& [kind, payload] : messages)
      expect_refused(tell(*site, kind, payload), RefusalReason::unexpected_kind);
    expect_refused(tell(*site, MessageKind::unmask_request, federation::messages::UnmaskRequest{ref, {}}.encode()),
                   RefusalReason::unexpected_kind);
    EXPECT_EQ(site->phase(), before);
  }
}

TEST_F(SiteMachineTest, MalformedPayloadsAreRefusedInEveryKind) {
  auto site = machine();
  using namespace federation::messages;
  const std::set<MessageKind> of_the_driver{MessageKind::plan_offer, MessageKind::roster_offer,
                                            MessageKind::site_blame};
  for (const MessageKindInfo& info : kMessageKinds) {
    if (is_sent_by_site(info)) continue;
    SCOPED_TRACE(info.name);
    expect_refused(tell(site, info.kind, Bytes{1, 2, 3}),
                   of_the_driver.contains(info.kind) ? RefusalReason::unexpected_kind : RefusalReason::malformed);
  }
}

TEST_F(SiteMachineTest, ParametersBeforeTheUpdateIsThereAreRefused) {
  Scene scene;
  const auto held = scene.hold_to_site(1, MessageKind::parameters);
  auto site = node::round::SiteMachine::create(federation.site_config(1, policy), {}).value();
  site.step(node::round::ModelAdopted{0, model, {}});
  auto event = node::round::MessageReceived{federation.from_coordinator(MessageKind::parameters, held.payload()),
                                            seed_of("s", 1)};
  expect_refused(site.step(std::move(event)), RefusalReason::not_ready);
}

TEST_F(SiteMachineTest, AnAbandonedAttemptKeepsTheUpdateAndForgetsTheSecrets) {
  Scene scene;
  const auto list = scene.hold_to_site(1, MessageKind::key_list);
  const auto ref = federation::messages::KeyList::decode(list.payload())->ref;
  expect_refused(scene.tell(1, MessageKind::attempt_abandoned,
                            federation::messages::AttemptAbandoned{1, 9, RefusalReason::late_vector, false}.encode()),
                 RefusalReason::stale_attempt);
  const auto effects =
      scene.tell(1, MessageKind::attempt_abandoned,
                 federation::messages::AttemptAbandoned{1, ref.attempt, RefusalReason::late_vector, false}.encode());
  EXPECT_FALSE(effects.refusal.has_value());
  EXPECT_EQ(scene.world.site(1).phase(), node::round::SitePhase::ready);
  expect_refused(scene.tell(1, MessageKind::key_list, list.payload()), RefusalReason::forgotten_after_restart);
}

TEST_F(SiteMachineTest, SilenceWipesAnAttemptButNotASignedOne) {
  Scene early;
  early.hold_to_site(1, MessageKind::key_list);
  early.world.site(1).step(node::round::Tick{{early.world.now_ms() + 1'000'000}});
  EXPECT_EQ(early.world.site(1).phase(), node::round::SitePhase::ready);
  Scene late;
  late.hold_to_site(1, MessageKind::unmask_request);
  late.world.site(1).step(node::round::Tick{{late.world.now_ms() + 1'000'000}});
  EXPECT_EQ(late.world.site(1).phase(), node::round::SitePhase::consistency_signed);
}

TEST_F(SiteMachineTest, AnsweredRequestsAreAnsweredAgainWithTheSameBytes) {
  Scene scene;
  const auto list = scene.hold_to_site(1, MessageKind::key_list);
  const auto first = scene.tell(1, MessageKind::key_list, list.payload());
  const auto second = scene.tell(1, MessageKind::key_list, list.payload());
  expect_sends(second, MessageKind::shares);
  EXPECT_EQ(first.outbound[0].wire, second.outbound[0].wire);
}

TEST_F(SiteMachineTest, MissingChunksAreSentAgainByteForByte) {
  Scene scene;
  const auto routed = scene.hold_to_site(1, MessageKind::routed_shares);
  const auto first = scene.tell(1, MessageKind::routed_shares, routed.payload());
  ASSERT_EQ(first.outbound.size(), 2U);  // one chunk and the statement
  const auto ref = federation::messages::RoutedShares::decode(routed.payload())->ref;
  const auto again =
      scene.tell(1, MessageKind::chunk_request, federation::messages::ChunkRequest{ref, {0}, true}.encode());
  ASSERT_EQ(again.outbound.size(), 2U);
  EXPECT_EQ(again.outbound[0].wire, first.outbound[0].wire);
  EXPECT_EQ(again.outbound[1].wire, first.outbound[1].wire);
  expect_refused(
      scene.tell(1, MessageKind::chunk_request, federation::messages::ChunkRequest{ref, {1}, false}.encode()),
      RefusalReason::chunk_out_of_bounds);
}

TEST_F(SiteMachineTest, AVectorOfManyChunksGoesOutInBoundedBatches) {
  World world(
      {.sites = 3, .seed = 3, .rounds = 1, .extra_floats = 10 * federation::messages::kChunkWords, .faults = {}});
  std::size_t chunks = 0;
  world.intercept = [&](Delivery& delivery) {
    if (federation::messages::claimed_kind(delivery.wire).value() == MessageKind::masked_chunk) ++chunks;
    return true;
  };
  EXPECT_TRUE(world.run());
  EXPECT_TRUE(world.violations().empty());
  EXPECT_EQ(chunks, 33U);  // three sites, eleven chunks each
  const auto& sum = world.results().at(0).sum;
  for (std::size_t i = 3; i < sum.sums().size(); i += 1009) {
    const double one = std::clamp((static_cast<int>(i % 17) - 8) / 8.0, -1.0, 1.0);
    ASSERT_NEAR(sum.sums()[i], 3 * one * sum.scale, 3) << i;
  }
}

TEST_F(SiteMachineTest, ANewRosterEpochAbandonsTheAttempt) {
  Scene scene;
  const auto list = scene.hold_to_site(1, MessageKind::key_list);
  auto roster = federation.roster();
  expect_refused(scene.world.site(1).step(node::round::RosterAdopted{roster}), RefusalReason::wrong_epoch);
  roster.epoch = 2;
  roster.hash[0] ^= 1;
  expect_sends(scene.world.site(1).step(node::round::RosterAdopted{roster}), MessageKind::hello);
  EXPECT_EQ(scene.world.site(1).phase(), node::round::SitePhase::ready);
  expect_refused(scene.tell(1, MessageKind::key_list, list.payload()), RefusalReason::wrong_epoch);
}

}  // namespace
}  // namespace fovea::test

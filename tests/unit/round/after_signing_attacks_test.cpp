// A malicious coordinator against sites that restarted, or gave an attempt up.
#include <functional>

#include "tests/unit/round/coordinator_attack.h"

namespace fovea::test {
namespace {

// ---- restarts

class RestartAttack : public CoordinatorAttack {
 protected:
  std::vector<Bytes> completed_register;  // what the restarted site still had to write
  node::round::SiteMachine restarted(const std::vector<Bytes>& extra = {},
                                     const std::vector<Bytes>& site_register = {}) {
    std::vector<Bytes> journal = scene.world.site_journal(kSite);
    journal.insert(journal.end(), extra.begin(), extra.end());
    auto machine = node::round::SiteMachine::create(scene.world.federation().site_config(kSite, scene.world.policy()),
                                                    journal, site_register)
                       .value();
    const auto effects = machine.step(scene.world.initial_model());
    completed_register = effects.site_register;
    return machine;
  }
  node::round::MessageReceived message(MessageKind kind, ByteView payload) {
    return {scene.world.federation().from_coordinator(kind, payload), std::nullopt};
  }
};

TEST_F(RestartAttack, ARestartedSiteRepeatsOnlyTheStatementItSigned) {
  auto request = federation::messages::ConsistencyRequest::decode(
                     scene.hold_to_site(kSite, MessageKind::consistency_request).payload())
                     .value();
  const auto first = tell(request);
  auto site = restarted(first.journal);
  auto smaller = request;
  smaller.committed.pop_back();
  expect_refused(site.step(message(MessageKind::consistency_request, smaller.encode())),
                 RefusalReason::second_statement);
  const auto again = site.step(message(MessageKind::consistency_request, request.encode()));
  expect_sends(again, MessageKind::consistency_signature);
  EXPECT_EQ(again.outbound.back().wire, first.outbound.back().wire);
}

TEST_F(RestartAttack, ASiteRestartedBeforeR4HasForgottenTheAttempt) {
  const auto held = scene.hold_to_site(kSite, MessageKind::consistency_request);
  auto site = restarted();
  const auto effects = site.step(message(MessageKind::consistency_request, held.payload()));
  expect_refused(effects, RefusalReason::forgotten_after_restart);
  ASSERT_EQ(effects.outbound.size(), 1U);  // the coordinator is told, and does not wait for the deadline
  EXPECT_EQ(effects.outbound[0].kind, MessageKind::attempt_failure);
}

TEST_F(RestartAttack, ASiteRestartedBetweenR4AndR5ReleasesExactlyWhatItWouldHave) {
  const auto held = scene.hold_to_site(kSite, MessageKind::unmask_request);
  const auto honest = federation::messages::UnmaskRequest::decode(held.payload()).value();
  const auto unrestarted = [&] {
    Scene other;
    other.hold_to_site(kSite, MessageKind::unmask_request);
    return other.tell(kSite, MessageKind::unmask_request, held.payload()).outbound.back().wire;
  }();
  auto few = honest;
  few.signatures.resize(2);
  auto forged = honest;
  forged.signatures[0].signature[1] ^= 1;
  auto other_attempt = honest;
  other_attempt.ref.attempt += 1;
  auto site = restarted();
  expect_refused(site.step(message(MessageKind::unmask_request, few.encode())), RefusalReason::too_few_signatures);
  expect_refused(site.step(message(MessageKind::unmask_request, forged.encode())), RefusalReason::bad_signature);
  expect_refused(site.step(message(MessageKind::unmask_request, other_attempt.encode())),
                 RefusalReason::unexpected_kind);
  const auto effects = site.step(message(MessageKind::unmask_request, held.payload()));
  expect_sends(effects, MessageKind::unmask_shares);
  EXPECT_EQ(effects.journal.size(), 1U);
  EXPECT_EQ(effects.outbound.back().wire, unrestarted);
}

TEST_F(RestartAttack, AModelReleasedInAnotherRunIsNotReleasedAgain) {
  const auto held = scene.hold_to_site(kSite, MessageKind::unmask_request);
  const RunId other_run{.bytes = {9}};
  const node::round::ReleasedMark released{federation::messages::AttemptRef{1, 1, Digest{3}},
                                           scene.world.federation().plan()};
  auto site = restarted({}, {node::round::encode_mark(other_run, released)});
  expect_refused(site.step(message(MessageKind::unmask_request, held.payload())),
                 RefusalReason::model_already_released);
  const auto task = federation::messages::TrainTask{
      .round = 2, .plan_hash = scene.world.federation().plan(), .model_hash = scene.world.federation().plan()};
  expect_refused(site.step(message(MessageKind::train_task, task.encode())), RefusalReason::model_already_released);
}

// The site fell over after its journal said "unmasked" and before its register did, so nothing had left it.
TEST_F(RestartAttack, AReleaseThatTheRegisterLacksIsCompletedUnlessAnotherRunTookTheModel) {
  const auto held = scene.hold_to_site(kSite, MessageKind::unmask_request);
  const auto first = scene.tell(kSite, MessageKind::unmask_request, held.payload());
  ASSERT_EQ(first.journal.size(), 1U);
  EXPECT_EQ(first.site_register.size(), 1U);
  auto site = restarted(first.journal);
  EXPECT_EQ(completed_register, first.site_register);  // before anything is sent again
  const auto again = site.step(message(MessageKind::unmask_request, held.payload()));
  expect_sends(again, MessageKind::unmask_shares);
  auto other = restarted(first.journal, first.site_register);
  EXPECT_TRUE(completed_register.empty());
  EXPECT_TRUE(other.step(node::round::Tick{{1}}).site_register.empty());

  const node::round::ReleasedMark elsewhere{federation::messages::AttemptRef{1, 1, Digest{3}},
                                            scene.world.federation().plan()};
  auto too_late = restarted(first.journal, {node::round::encode_mark(RunId{.bytes = {9}}, elsewhere)});
  expect_refused(too_late.step(message(MessageKind::unmask_request, held.payload())),
                 RefusalReason::model_already_released);
}

TEST_F(RestartAttack, AStatementIsDeadOnceALaterAttemptWasJoined) {
  const auto held = scene.hold_to_site(kSite, MessageKind::unmask_request);
  const auto ref = federation::messages::UnmaskRequest::decode(held.payload())->ref;
  federation::messages::AttemptRef later = ref;
  later.attempt += 1;
  auto site =
      restarted({node::round::encode_mark(scene.world.federation().run(), node::round::JoinedMark{later, Digest{7}})});
  expect_refused(site.step(message(MessageKind::unmask_request, held.payload())), RefusalReason::unexpected_kind);
}

TEST_F(RestartAttack, ARoundBeforeTheOneJoinedIsRefusedAfterARestart) {
  auto p = parameters();
  const auto joined = [&](RoundNumber round) {
    return restarted({node::round::encode_mark(
        scene.world.federation().run(),
        node::round::JoinedMark{federation::messages::AttemptRef{round, 1, Digest{3}}, Digest{7}})});
  };
  const auto task = [&](RoundNumber round) {
    return federation::messages::TrainTask{
        .round = round, .stage_round = 1, .seed = 7, .plan_hash = p.plan_hash, .model_hash = p.model_hash}
        .encode();
  };
  const auto announce = [&](node::round::SiteMachine& site, RoundNumber round) {
    p.round = round;
    auto event = message(MessageKind::parameters, p.encode());
    event.seed = seed_of("back", round);
    return site.step(std::move(event));
  };
  auto site = joined(6);
  const auto refused = site.step(message(MessageKind::train_task, task(5)));
  expect_refused(refused, RefusalReason::stale_round);
  EXPECT_FALSE(refused.start_training.has_value());
  ASSERT_EQ(refused.outbound.size(), 1U);  // a coordinator that lost its state is told why nobody trains
  EXPECT_EQ(refused.outbound[0].kind, MessageKind::attempt_failure);
  expect_refused(announce(site, 5), RefusalReason::stale_round);
  // The same round, in a later attempt, and later rounds go on.
  EXPECT_TRUE(site.step(message(MessageKind::train_task, task(6))).start_training.has_value());
  site.step(node::round::TrainingFinished{6, scene.world.update(kSite)});
  p.attempt = 2;
  expect_sends(announce(site, 6), MessageKind::keys);
  EXPECT_TRUE(joined(6).step(message(MessageKind::train_task, task(7))).start_training.has_value());
}

// ---- attempts given up

TEST_F(RestartAttack, OnlyTheAttemptThatWasJoinedIsClosedAndOnlyOnce) {
  scene.hold_to_site(kSite, MessageKind::unmask_request);
  const auto& journal = scene.world.site_journal(kSite);
  const auto ref = node::round::SiteMemory::restore(scene.world.federation().run(), journal)->joined->ref;
  const auto abandon = [&](node::round::SiteMachine& site, RoundNumber round, AttemptNumber attempt, bool round_over) {
    return site.step(message(
        MessageKind::attempt_abandoned,
        federation::messages::AttemptAbandoned{round, attempt, RefusalReason::deadline_passed, round_over}.encode()));
  };
  auto& signed_site = scene.world.site(kSite);
  auto site = restarted();
  for (node::round::SiteMachine* machine : {&signed_site, &site}) {
    EXPECT_FALSE(abandon(*machine, ref.round, ref.attempt + 1, false).abandoned.has_value());
    EXPECT_FALSE(abandon(*machine, ref.round + 1, ref.attempt, true).abandoned.has_value());
    EXPECT_EQ(abandon(*machine, ref.round, ref.attempt, false).abandoned, ref);
    EXPECT_FALSE(abandon(*machine, ref.round, ref.attempt, false).abandoned.has_value());
  }
  auto over = restarted();
  EXPECT_EQ(abandon(over, ref.round, ref.attempt + 3, true).abandoned, ref);  // the round, with every attempt of it
}

// The gate is closed: what cannot leave must not be marked as released.
TEST_F(RestartAttack, AnAbandonedStatementIsNeitherRepeatedNorReleased) {
  const auto request = scene.hold_to_site(kSite, MessageKind::consistency_request);
  expect_sends(scene.tell(kSite, MessageKind::consistency_request, request.payload()),
               MessageKind::consistency_signature);
  const auto ref = federation::messages::ConsistencyRequest::decode(request.payload())->ref;
  expect_sends(scene.tell(kSite, MessageKind::consistency_request, request.payload()),
               MessageKind::consistency_signature);
  scene.tell(
      kSite, MessageKind::attempt_abandoned,
      federation::messages::AttemptAbandoned{ref.round, ref.attempt, RefusalReason::deadline_passed, false}.encode());
  expect_refused(scene.tell(kSite, MessageKind::consistency_request, request.payload()),
                 RefusalReason::forgotten_after_restart);

  Scene other;
  const auto unmask = other.hold_to_site(kSite, MessageKind::unmask_request);
  const auto signed_ref = federation::messages::UnmaskRequest::decode(unmask.payload())->ref;
  const federation::messages::AttemptAbandoned abandoned{signed_ref.round, signed_ref.attempt,
                                                         RefusalReason::deadline_passed, false};
  other.tell(kSite, MessageKind::attempt_abandoned, abandoned.encode());
  const auto refused = other.tell(kSite, MessageKind::unmask_request, unmask.payload());
  expect_refused(refused, RefusalReason::forgotten_after_restart);
  EXPECT_TRUE(refused.site_register.empty());

  Scene released;  // nor said a second time, when it was released before
  const auto held = released.hold_to_site(kSite, MessageKind::unmask_request);
  expect_sends(released.tell(kSite, MessageKind::unmask_request, held.payload()), MessageKind::unmask_shares);
  expect_sends(released.tell(kSite, MessageKind::unmask_request, held.payload()), MessageKind::unmask_shares);
  released.tell(kSite, MessageKind::attempt_abandoned, abandoned.encode());
  expect_refused(released.tell(kSite, MessageKind::unmask_request, held.payload()),
                 RefusalReason::forgotten_after_restart);
}

TEST_F(RestartAttack, ARestartedSiteRepeatsItsReleaseByteForByteAndNoOther) {
  const auto held = scene.hold_to_site(kSite, MessageKind::unmask_request);
  const auto first = scene.tell(kSite, MessageKind::unmask_request, held.payload());
  auto site = restarted(first.journal);
  const auto again = site.step(message(MessageKind::unmask_request, held.payload()));
  expect_sends(again, MessageKind::unmask_shares);
  EXPECT_EQ(again.outbound.back().wire, first.outbound.back().wire);
  auto other = federation::messages::UnmaskRequest::decode(held.payload()).value();
  other.ref.attempt += 1;
  expect_refused(site.step(message(MessageKind::unmask_request, other.encode())),
                 RefusalReason::round_already_unmasked);
}

TEST_F(RestartAttack, ARestartedSiteDoesNotJoinTheSameAttemptAgain) {
  scene.hold_to_site(kSite, MessageKind::key_list);
  Bytes p;
  for (const Delivery& delivery : scene.world.trace()) {
    const auto opened = scene.world.federation().open_at_site(delivery.wire);
    if (opened && opened->kind() == MessageKind::parameters)
      p.assign(opened->payload().begin(), opened->payload().end());
  }
  auto site = restarted();
  auto event = message(MessageKind::parameters, p);
  event.seed = seed_of("restart", 1);
  expect_refused(site.step(std::move(event)), RefusalReason::forgotten_after_restart);
}

}  // namespace
}  // namespace fovea::test

// A malicious coordinator against sites that restarted, and with a published sum of its own making.
#include "tests/unit/round/coordinator_attack.h"

namespace fovea::test {
namespace {

// ---- restarts

class RestartAttack : public CoordinatorAttack {
 protected:
  std::vector<Bytes> completed_register;  // what the restarted site still had to write
  node::SiteMachine restarted(const std::vector<Bytes>& extra = {}, const std::vector<Bytes>& site_register = {}) {
    std::vector<Bytes> journal = scene.world.site_journal(kSite);
    journal.insert(journal.end(), extra.begin(), extra.end());
    auto machine = node::SiteMachine::create(scene.world.federation().site_config(kSite, scene.world.policy()), journal, site_register).value();
    const auto effects = machine.step(node::ModelAdopted{0, scene.world.federation().plan(), {}});
    completed_register = effects.site_register;
    return machine;
  }
  node::MessageReceived message(MessageKind kind, ByteView payload) {
    return {scene.world.federation().from_coordinator(kind, payload), std::nullopt};
  }
};

TEST_F(RestartAttack, ARestartedSiteRepeatsOnlyTheStatementItSigned) {
  auto request = federation::ConsistencyRequest::decode(scene.hold_to_site(kSite, MessageKind::consistency_request).payload()).value();
  const auto first = tell(request);
  auto site = restarted(first.journal);
  auto smaller = request;
  smaller.committed.pop_back();
  expect_refused(site.step(message(MessageKind::consistency_request, smaller.encode())), RefusalReason::second_statement);
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
  const auto honest = federation::UnmaskRequest::decode(held.payload()).value();
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
  expect_refused(site.step(message(MessageKind::unmask_request, other_attempt.encode())), RefusalReason::unexpected_kind);
  const auto effects = site.step(message(MessageKind::unmask_request, held.payload()));
  expect_sends(effects, MessageKind::unmask_shares);
  EXPECT_EQ(effects.journal.size(), 1U);
  EXPECT_EQ(effects.outbound.back().wire, unrestarted);
}

TEST_F(RestartAttack, AModelReleasedInAnotherRunIsNotReleasedAgain) {
  const auto held = scene.hold_to_site(kSite, MessageKind::unmask_request);
  const RunId other_run{.bytes = {9}};
  const node::ReleasedMark released{federation::AttemptRef{1, 1, Digest{3}}, scene.world.federation().plan()};
  auto site = restarted({}, {node::encode_mark(other_run, released)});
  expect_refused(site.step(message(MessageKind::unmask_request, held.payload())), RefusalReason::model_already_released);
  const auto task = federation::TrainTask{.round = 2, .plan_hash = scene.world.federation().plan(), .model_hash = scene.world.federation().plan()};
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
  EXPECT_TRUE(other.step(node::Tick{{1}}).site_register.empty());

  const node::ReleasedMark elsewhere{federation::AttemptRef{1, 1, Digest{3}}, scene.world.federation().plan()};
  auto too_late = restarted(first.journal, {node::encode_mark(RunId{.bytes = {9}}, elsewhere)});
  expect_refused(too_late.step(message(MessageKind::unmask_request, held.payload())), RefusalReason::model_already_released);
}

TEST_F(RestartAttack, AStatementIsDeadOnceALaterAttemptWasJoined) {
  const auto held = scene.hold_to_site(kSite, MessageKind::unmask_request);
  const auto ref = federation::UnmaskRequest::decode(held.payload())->ref;
  federation::AttemptRef later = ref;
  later.attempt += 1;
  auto site = restarted({node::encode_mark(scene.world.federation().run(), node::JoinedMark{later, Digest{7}})});
  expect_refused(site.step(message(MessageKind::unmask_request, held.payload())), RefusalReason::unexpected_kind);
}

TEST_F(RestartAttack, ARestartedSiteRepeatsItsReleaseByteForByteAndNoOther) {
  const auto held = scene.hold_to_site(kSite, MessageKind::unmask_request);
  const auto first = scene.tell(kSite, MessageKind::unmask_request, held.payload());
  auto site = restarted(first.journal);
  const auto again = site.step(message(MessageKind::unmask_request, held.payload()));
  expect_sends(again, MessageKind::unmask_shares);
  EXPECT_EQ(again.outbound.back().wire, first.outbound.back().wire);
  auto other = federation::UnmaskRequest::decode(held.payload()).value();
  other.ref.attempt += 1;
  expect_refused(site.step(message(MessageKind::unmask_request, other.encode())), RefusalReason::round_already_unmasked);
}

TEST_F(RestartAttack, ARestartedSiteDoesNotJoinTheSameAttemptAgain) {
  scene.hold_to_site(kSite, MessageKind::key_list);
  Bytes p;
  for (const Delivery& delivery : scene.world.trace()) {
    const auto opened = scene.world.federation().open_at_site(delivery.wire);
    if (opened && opened->kind() == MessageKind::parameters) p.assign(opened->payload().begin(), opened->payload().end());
  }
  auto site = restarted();
  auto event = message(MessageKind::parameters, p);
  event.seed = seed_of("restart", 1);
  expect_refused(site.step(std::move(event)), RefusalReason::forgotten_after_restart);
}

// ---- the published sum

class PublishedSum : public CoordinatorAttack {
 protected:
  federation::RoundEvidence evidence() {
    return federation::RoundEvidence::decode(scene.hold_to_site(kSite, MessageKind::round_evidence).payload()).value();
  }
  // A sum of the coordinator's own making, with evidence that names it.
  node::SiteEffects publish(federation::RoundEvidence e, const std::vector<std::uint32_t>& words, bool honest_hash = true) {
    const auto ref = e.parameters.ref();
    const Bytes chunk = federation::encode_chunk(ref, 0, words);
    federation::VectorHash hash(ref.parameters, words.size());
    hash.add_chunk(federation::hash_payload(MessageKind::aggregate_chunk, chunk));
    if (honest_hash) e.sum_hash = hash.finish();
    auto first = tell(MessageKind::round_evidence, e.encode());
    if (first.refusal) return first;
    return tell(MessageKind::aggregate_chunk, chunk);
  }
};

TEST_F(PublishedSum, AWrongCanaryIsRefused) {
  const auto e = evidence();
  std::vector<std::uint32_t> words(e.parameters.dimension);
  words[4] = 4;
  words.back() = 3;
  expect_refused(publish(e, words), RefusalReason::canary_differs);
}

TEST_F(PublishedSum, AWordOutOfRangeIsRefused) {
  auto e = evidence();
  std::vector<std::uint32_t> words(e.parameters.dimension);
  words[4] = 4;
  words[0] = 0x80000000U;  // what a wrapped sum could look like
  words.back() = 4;
  expect_refused(publish(e, words), RefusalReason::sum_out_of_range);
}

TEST_F(PublishedSum, ASumThatIsNotTheOneNamedIsRefused) {
  const auto e = evidence();
  std::vector<std::uint32_t> words(e.parameters.dimension);
  words[4] = 4;
  words.back() = 4;
  expect_refused(publish(e, words, false), RefusalReason::aggregate_hash_differs);
}

TEST_F(PublishedSum, EvidenceThatDoesNotHoldIsRefused) {
  const auto e = evidence();
  const auto refused = [&](auto change, RefusalReason reason) {
    auto bad = e;
    change(bad);
    expect_refused(tell(MessageKind::round_evidence, bad.encode()), reason);
  };
  refused([](auto& bad) { bad.signatures.resize(2); }, RefusalReason::too_few_signatures);
  refused([](auto& bad) { bad.signatures[0].signature[3] ^= 1; }, RefusalReason::bad_signature);
  refused([](auto& bad) { bad.committed.pop_back(); }, RefusalReason::bad_signature);
  refused([](auto& bad) { bad.committed.resize(2); }, RefusalReason::too_few_survivors);
  refused([](auto& bad) { bad.opened[0].value[0] ^= 1; }, RefusalReason::share_commitment_differs);
  refused([](auto& bad) { bad.opened[0].kind = federation::RevealedSecret::mask_key; }, RefusalReason::evidence_incomplete);
  refused([](auto& bad) { bad.keys[0].keys.mask[0] ^= 1; }, RefusalReason::bad_signature);
  refused([](auto& bad) { bad.parameters.model_hash[0] ^= 1; }, RefusalReason::model_differs);
  refused([](auto& bad) { bad.parameters.previous_transcript[0] ^= 1; }, RefusalReason::transcript_differs);
  EXPECT_FALSE(tell(MessageKind::round_evidence, e.encode()).refusal.has_value());
}

}  // namespace
}  // namespace fovea::test

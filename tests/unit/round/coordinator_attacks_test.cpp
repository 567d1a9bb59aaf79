// A malicious coordinator tries every mistake that the design lists, and others; each try ends in a refusal by name,
// leaves the site's state as it was, and the honest message is still taken afterwards.
#include <map>

#include "federation/secagg/dealer_fault.h"
#include "tests/unit/round/coordinator_attack.h"

namespace fovea::test {
namespace {

// ---- R0

TEST_F(CoordinatorAttack, CohortShrunkBelowThePolicyIsRefused) {
  auto p = parameters();
  const auto honest = p;
  p.candidates = {0, kSite};
  p.thresholds = {0, 2, 2};
  expect_refused(tell(p), RefusalReason::cohort_too_small);
  expect_sends(tell(honest), MessageKind::keys);
}

TEST(CoordinatorAttackOnFive, AThresholdThatOnlyTheCoordinatorsMAllowsIsRefused) {
  Scene scene(5);
  auto p =
      federation::secagg::RoundParameters::decode(scene.hold_to_site(kSite, MessageKind::parameters).payload()).value();
  const auto honest = p;
  p.thresholds = {0, 3, 2};  // three of five are enough for m = 0; this site counts on one colluder
  expect_refused(scene.tell(kSite, MessageKind::parameters, p.encode()), RefusalReason::threshold_too_low);
  expect_sends(scene.tell(kSite, MessageKind::parameters, honest.encode()), MessageKind::keys);
}

TEST_F(CoordinatorAttack, TooFewHonestSitesIsRefused) {
  auto p = parameters();
  p.thresholds.honest_min = 3;
  expect_refused(tell(p), RefusalReason::honest_too_few);
}

TEST_F(CoordinatorAttack, ADifferentModelForOneSiteIsRefused) {
  auto p = parameters();
  p.model_hash[0] ^= 1;
  expect_refused(tell(p), RefusalReason::model_differs);
}

TEST_F(CoordinatorAttack, AnUnapprovedPlanIsRefused) {
  auto p = parameters();
  p.plan_hash[0] ^= 1;
  expect_refused(tell(p), RefusalReason::plan_not_approved);
}

TEST_F(CoordinatorAttack, AForkedTranscriptIsRefused) {
  auto p = parameters();
  p.previous_transcript[5] ^= 1;
  expect_refused(tell(p), RefusalReason::transcript_differs);
}

TEST_F(CoordinatorAttack, AnInventedRosterIsRefused) {
  auto p = parameters();
  p.roster_hash[5] ^= 1;
  expect_refused(tell(p), RefusalReason::roster_differs);
}

TEST_F(CoordinatorAttack, ACandidateOutsideTheRosterIsRefused) {
  auto p = parameters();
  p.candidates.push_back(77);
  p.encoding.scale /= 2;
  p.thresholds.threshold = 4;
  expect_refused(tell(p), RefusalReason::list_out_of_order);
}

TEST_F(CoordinatorAttack, ASiteThatIsNoCandidateRefuses) {
  auto p = parameters();
  std::erase(p.candidates, kSite);
  expect_refused(tell(p), RefusalReason::not_a_candidate);
}

TEST_F(CoordinatorAttack, AnotherDimensionIsRefusedSoNothingTravelsBesideTheVector) {
  auto p = parameters();
  p.dimension -= 1;
  expect_refused(tell(p), RefusalReason::dimension_differs);
}

TEST_F(CoordinatorAttack, AScaleThatCouldWrapTheSumIsRefused) {
  auto p = parameters();
  p.encoding.scale *= 8;
  expect_refused(tell(p), RefusalReason::malformed);
}

TEST_F(CoordinatorAttack, AnEncodingThatThePlanDoesNotGiveIsRefused) {
  const auto honest = parameters();
  auto p = honest;
  p.encoding.scale /= 2;
  expect_refused(tell(p), RefusalReason::scale_out_of_bounds);
  p = honest;
  p.encoding.weight_max += 1;
  expect_refused(tell(p), RefusalReason::scale_out_of_bounds);
  expect_sends(tell(honest), MessageKind::keys);
}

TEST_F(CoordinatorAttack, ARoundThatDoesNotIncreaseIsRefused) {
  auto p = parameters();
  const auto honest = p;
  ASSERT_TRUE(scene.world.results().empty());
  p.round = 5;
  expect_refused(tell(p), RefusalReason::stale_round);
  expect_sends(tell(honest), MessageKind::keys);
}

TEST_F(CoordinatorAttack, AnAttemptThatDoesNotIncreaseIsRefused) {
  auto p = parameters();
  p.attempt = 3;
  expect_sends(tell(p), MessageKind::keys);
  p.attempt = 2;
  expect_refused(tell(p), RefusalReason::stale_attempt);
  p.attempt = 3;
  p.phase_ms += 1;  // the same attempt under other parameters
  expect_refused(tell(p), RefusalReason::stale_attempt);
}

// The egress gate opens what the machine joins, and nothing else.
TEST_F(CoordinatorAttack, ParametersThatAreRefusedOpenNoAttempt) {
  const auto honest = parameters();
  auto later = honest;
  later.attempt += 1;
  later.thresholds.threshold -= 1;
  EXPECT_FALSE(tell(later).joined.has_value());
  EXPECT_EQ(tell(honest).joined, honest);
  EXPECT_FALSE(tell(honest).joined.has_value());  // a repetition: it is open
  EXPECT_FALSE(tell(later).joined.has_value());
}

TEST_F(CoordinatorAttack, ASeedUsedBeforeIsRefused) {
  auto p = parameters();
  auto& site = scene.world.site(kSite);
  const auto with_seed = [&](std::uint64_t number) {
    return site.step(node::round::MessageReceived{
        scene.world.federation().from_coordinator(MessageKind::parameters, p.encode()), seed_of("reuse", number)});
  };
  expect_sends(with_seed(1), MessageKind::keys);
  p.attempt += 1;
  expect_refused(with_seed(1), RefusalReason::seed_reused);
  expect_sends(with_seed(2), MessageKind::keys);
}

// ---- R1

TEST_F(CoordinatorAttack, ASiteMissingFromItsOwnKeyListRefuses) {
  auto list = federation::messages::KeyList::decode(scene.hold_to_site(kSite, MessageKind::key_list).payload()).value();
  const auto honest = list;
  std::erase_if(list.keys, [](const auto& entry) { return entry.site == kSite; });
  expect_refused(tell(list), RefusalReason::own_entry_missing);
  expect_sends(tell(honest), MessageKind::shares);
}

TEST_F(CoordinatorAttack, KeysSwappedForTheCoordinatorsOwnAreRefused) {
  auto list = federation::messages::KeyList::decode(scene.hold_to_site(kSite, MessageKind::key_list).payload()).value();
  const auto mine = crypto::AgreementKey::from_private(seed_of("mitm", 1)).public_key();
  auto other = list;
  other.keys[0].keys.mask = mine;
  expect_refused(tell(other), RefusalReason::bad_signature);
  auto own = list;
  own.keys[kSite].keys.mask = mine;
  expect_refused(tell(own), RefusalReason::own_entry_altered);
}

TEST_F(CoordinatorAttack, AKeyListThatShrinksTheCohortIsRefused) {
  auto list = federation::messages::KeyList::decode(scene.hold_to_site(kSite, MessageKind::key_list).payload()).value();
  list.keys.resize(2);
  expect_refused(tell(list), RefusalReason::cohort_too_small);
}

TEST_F(CoordinatorAttack, ALowOrderKeyOfAColludingSiteIsRefused) {
  auto list = federation::messages::KeyList::decode(scene.hold_to_site(kSite, MessageKind::key_list).payload()).value();
  const auto honest = list;
  for (const bool channel : {true, false}) {
    auto bad = list;
    federation::messages::AdvertisedKeys& keys = bad.keys[3].keys;
    (channel ? keys.channel : keys.mask) = crypto::AgreementPublicKey{};  // the all-zero point
    keys.signature =
        scene.world.federation().identity(3).sign(federation::secagg::keys_statement(list.ref.parameters, 3, keys));
    expect_refused(tell(bad), RefusalReason::low_order_key);
  }
  expect_sends(tell(honest), MessageKind::shares);
}

TEST_F(CoordinatorAttack, OneKeyUnderTwoNamesIsRefused) {
  auto list = federation::messages::KeyList::decode(scene.hold_to_site(kSite, MessageKind::key_list).payload()).value();
  federation::messages::AdvertisedKeys& keys = list.keys[3].keys;
  keys.mask = list.keys[0].keys.mask;
  keys.signature =
      scene.world.federation().identity(3).sign(federation::secagg::keys_statement(list.ref.parameters, 3, keys));
  expect_refused(tell(list), RefusalReason::duplicate_key);
}

TEST_F(CoordinatorAttack, AKeyOfAnEarlierAttemptIsRefused) {
  auto list = federation::messages::KeyList::decode(scene.hold_to_site(kSite, MessageKind::key_list).payload()).value();
  expect_sends(tell(list), MessageKind::shares);
  // A second attempt in which a colluding site brings its old mask key.
  auto p = federation::secagg::RoundParameters{};
  for (const Delivery& delivery : scene.world.trace()) {
    const auto opened = scene.world.federation().open_at_site(delivery.wire);
    if (opened && opened->kind() == MessageKind::parameters)
      p = federation::secagg::RoundParameters::decode(opened->payload()).value();
  }
  p.attempt += 1;
  auto effects = tell(p);
  expect_sends(effects, MessageKind::keys);
  const auto own = federation::messages::KeysMessage::decode(
                       scene.world.federation().open_at_coordinator(kSite, effects.outbound.back().wire)->payload())
                       .value();
  federation::messages::KeyList second{.ref = own.ref, .keys = {}};
  for (RosterIndex i = 0; i < 4; ++i) {
    federation::messages::AdvertisedKeys keys{
        .channel = crypto::AgreementKey::from_private(seed_of("c", i)).public_key(),
        .mask = crypto::AgreementKey::from_private(seed_of("s", i)).public_key()};
    if (i == 3) keys.mask = list.keys[3].keys.mask;
    keys.signature =
        scene.world.federation().identity(i).sign(federation::secagg::keys_statement(own.ref.parameters, i, keys));
    second.keys.push_back({i, i == kSite ? own.keys : keys});
  }
  expect_refused(tell(second), RefusalReason::reused_key);
}

// ---- R2

TEST_F(CoordinatorAttack, SurvivorsOutsideTheKeyListOrWithoutTheSiteAreRefused) {
  auto routed =
      federation::messages::RoutedShares::decode(scene.hold_to_site(kSite, MessageKind::routed_shares).payload())
          .value();
  const auto honest = routed;
  auto extra = routed;
  extra.survivors.push_back(9);
  expect_refused(tell(extra), RefusalReason::survivors_not_subset);
  auto without = routed;
  std::erase(without.survivors, kSite);
  expect_refused(tell(without), RefusalReason::own_entry_missing);
  auto few = routed;
  few.survivors = {0, kSite};
  expect_refused(tell(few), RefusalReason::too_few_survivors);
  auto no_shares = routed;
  no_shares.shares.pop_back();
  expect_refused(tell(no_shares), RefusalReason::survivors_not_subset);
  expect_sends(tell(honest), MessageKind::masked_statement);
}

TEST_F(CoordinatorAttack, ShareCiphertextsSwappedOrChangedAreRefused) {
  auto routed =
      federation::messages::RoutedShares::decode(scene.hold_to_site(kSite, MessageKind::routed_shares).payload())
          .value();
  auto swapped = routed;
  std::swap(swapped.shares[0].sealed, swapped.shares[1].sealed);
  expect_refused(tell(swapped), RefusalReason::share_unreadable);
  auto changed = routed;
  changed.shares[0].sealed[10] ^= 1;
  expect_refused(tell(changed), RefusalReason::share_unreadable);
  auto commitment = routed;
  commitment.shares[0].self_seed_commitment[0] ^= 1;
  expect_refused(tell(commitment), RefusalReason::share_commitment_differs);
}

TEST_F(CoordinatorAttack, ASecondSurvivorListIsRefused) {
  auto routed =
      federation::messages::RoutedShares::decode(scene.hold_to_site(kSite, MessageKind::routed_shares).payload())
          .value();
  expect_sends(tell(routed), MessageKind::masked_statement);
  routed.survivors.pop_back();
  routed.shares.pop_back();
  expect_refused(tell(routed), RefusalReason::second_statement);
}

// ---- R4

TEST_F(CoordinatorAttack, ConsistencyRequestsThatDoNotHoldAreRefused) {
  auto request = federation::messages::ConsistencyRequest::decode(
                     scene.hold_to_site(kSite, MessageKind::consistency_request).payload())
                     .value();
  const auto honest = request;
  auto forged = request;
  forged.committed[0].vector_hash[0] ^= 1;
  expect_refused(tell(forged), RefusalReason::bad_signature);
  auto own = request;
  own.committed[kSite].vector_hash[0] ^= 1;
  expect_refused(tell(own), RefusalReason::own_entry_altered);
  auto missing = request;
  std::erase_if(missing.committed, [](const auto& entry) { return entry.site == kSite; });
  expect_refused(tell(missing), RefusalReason::own_entry_missing);
  auto few = request;
  few.committed.resize(2);
  expect_refused(tell(few), RefusalReason::too_few_survivors);
  auto other_u2 = request;
  other_u2.survivors.pop_back();
  expect_refused(tell(other_u2), RefusalReason::statement_differs);
  expect_sends(tell(honest), MessageKind::consistency_signature);
}

TEST_F(CoordinatorAttack, TheSamePeerTwiceInOneListIsRefused) {
  auto request = federation::messages::ConsistencyRequest::decode(
                     scene.hold_to_site(kSite, MessageKind::consistency_request).payload())
                     .value();
  request.committed[1] = request.committed[0];
  expect_refused(tell(request), RefusalReason::malformed);
}

TEST_F(CoordinatorAttack, ASecondDifferentU3IsRefused) {
  auto request = federation::messages::ConsistencyRequest::decode(
                     scene.hold_to_site(kSite, MessageKind::consistency_request).payload())
                     .value();
  const auto first = tell(request);
  expect_sends(first, MessageKind::consistency_signature);
  auto smaller = request;
  smaller.committed.pop_back();
  expect_refused(tell(smaller), RefusalReason::second_statement);
  const auto again = tell(request);
  expect_sends(again, MessageKind::consistency_signature);
  EXPECT_EQ(again.outbound.back().wire, first.outbound.back().wire);
  EXPECT_TRUE(again.journal.empty());
}

// ---- R5

TEST_F(CoordinatorAttack, UnmaskingWithoutTSignaturesOnTheSameStatementIsRefused) {
  auto request =
      federation::messages::UnmaskRequest::decode(scene.hold_to_site(kSite, MessageKind::unmask_request).payload())
          .value();
  const auto honest = request;
  auto few = request;
  few.signatures.resize(2);
  expect_refused(tell(few), RefusalReason::too_few_signatures);
  auto twice = request;
  twice.signatures = {request.signatures[0], request.signatures[0], request.signatures[1]};
  expect_refused(tell(twice), RefusalReason::malformed);
  auto forged = request;
  forged.signatures[0].signature = scene.world.federation().coordinator_key().sign(request.ref.parameters);
  expect_refused(tell(forged), RefusalReason::bad_signature);
  auto renamed = request;
  renamed.signatures[3].site = 9;
  expect_refused(tell(renamed), RefusalReason::survivors_not_subset);
  expect_sends(tell(honest), MessageKind::unmask_shares);
}

TEST_F(CoordinatorAttack, UnmaskingBeforeTheConsistencyStatementIsRefused) {
  auto request = federation::messages::ConsistencyRequest::decode(
                     scene.hold_to_site(kSite, MessageKind::consistency_request).payload())
                     .value();
  expect_refused(tell(federation::messages::UnmaskRequest{.ref = request.ref, .signatures = {}}),
                 RefusalReason::unexpected_kind);
}

TEST_F(CoordinatorAttack, EachReleaseHasExactlyOneKindOfShareForEachPeer) {
  const auto held = scene.hold_to_site(kSite, MessageKind::unmask_request);
  const auto effects = scene.tell(kSite, MessageKind::unmask_request, held.payload());
  expect_sends(effects, MessageKind::unmask_shares);
  const auto opened = scene.world.federation().open_at_coordinator(kSite, effects.outbound.back().wire);
  const auto shares = federation::messages::UnmaskShares::decode(opened->payload()).value();
  ASSERT_EQ(shares.shares.size(), 4U);  // the codec refuses a subject named twice
  for (const auto& share : shares.shares) EXPECT_EQ(share.secret, federation::messages::RevealedSecret::self_seed);
}

// Its vector may have reached the coordinator all the same: with its self seed too, it would be read.
TEST_F(CoordinatorAttack, OfASiteThatDroppedOutOnlyTheMaskKeyIsReleased) {
  constexpr RosterIndex kGone = 3;
  const TestFederation& f = scene.world.federation();
  std::optional<federation::messages::SignedMessage> request;
  std::map<RosterIndex, federation::messages::SharesMessage> dealt;
  scene.world.intercept = [&](Delivery& delivery) {
    const MessageKind kind = federation::messages::claimed_kind(delivery.wire).value();
    if (kind == MessageKind::shares)
      dealt[delivery.site] =
          federation::messages::SharesMessage::decode(f.open_at_coordinator(delivery.site, delivery.wire)->payload())
              .value();
    if (kind == MessageKind::masked_chunk) return delivery.site != kGone;
    if (kind != MessageKind::unmask_request || delivery.site != kSite) return true;
    request = f.open_at_site(delivery.wire).value();
    return false;
  };
  scene.world.run([&] { return request.has_value(); });
  ASSERT_TRUE(request.has_value());
  const auto effects = tell(MessageKind::unmask_request, request->payload());
  expect_sends(effects, MessageKind::unmask_shares);
  const auto opened = f.open_at_coordinator(kSite, effects.outbound.back().wire);
  const auto released = federation::messages::UnmaskShares::decode(opened->payload()).value();
  ASSERT_EQ(released.shares.size(), 4U);
  for (const auto& share : released.shares) {
    EXPECT_EQ(share.secret, share.subject == kGone ? federation::messages::RevealedSecret::mask_key
                                                   : federation::messages::RevealedSecret::self_seed);
    for (const auto& promised : dealt[share.subject].shares) {
      if (promised.peer != kSite) continue;
      const auto held = federation::secagg::open_commitment(
          released.ref.parameters, {share.subject, kSite, share.secret}, share.share, promised);
      EXPECT_TRUE(held.has_value()) << "not the share that it is called";
    }
  }
}

TEST_F(CoordinatorAttack, AnotherAttemptOfAnUnmaskedRoundIsRefused) {
  const auto held = scene.hold_to_site(kSite, MessageKind::unmask_request);
  expect_sends(scene.tell(kSite, MessageKind::unmask_request, held.payload()), MessageKind::unmask_shares);
  federation::secagg::RoundParameters again;
  for (const Delivery& delivery : scene.world.trace()) {
    const auto opened = scene.world.federation().open_at_site(delivery.wire);
    if (opened && opened->kind() == MessageKind::parameters)
      again = federation::secagg::RoundParameters::decode(opened->payload()).value();
  }
  again.attempt += 1;
  expect_refused(tell(again), RefusalReason::round_already_unmasked);
  auto task = federation::messages::TrainTask{
      .round = 1, .plan_hash = scene.world.federation().plan(), .model_hash = scene.world.federation().plan()};
  expect_refused(scene.tell(kSite, MessageKind::train_task, task.encode()), RefusalReason::round_already_unmasked);
}

TEST_F(CoordinatorAttack, ASecondReleaseOnOneModelIsRefused) {
  const auto held = scene.hold_to_site(kSite, MessageKind::unmask_request);
  expect_sends(scene.tell(kSite, MessageKind::unmask_request, held.payload()), MessageKind::unmask_shares);
  // The coordinator says that the round was lost, and asks for the same model again, now without one site.
  auto task = federation::messages::TrainTask{
      .round = 2, .plan_hash = scene.world.federation().plan(), .model_hash = scene.world.federation().plan()};
  expect_refused(scene.tell(kSite, MessageKind::train_task, task.encode()), RefusalReason::model_already_released);
}

// ---- messages of another place

TEST_F(CoordinatorAttack, MessagesOfAnotherRunEpochOrSenderAreRefused) {
  const auto held = scene.hold_to_site(kSite, MessageKind::parameters);
  const TestFederation& f = scene.world.federation();
  const auto received = [&](const RunId& run, EpochNumber epoch) {
    auto wire = federation::messages::seal_message({MessageKind::parameters, run, std::nullopt, epoch}, held.payload(),
                                                   f.coordinator_key());
    return scene.world.site(kSite).step(
        node::round::MessageReceived{f.open_at_site(std::move(wire)).value(), seed_of("x", 1)});
  };
  expect_refused(received(RunId{}, 1), RefusalReason::wrong_run);
  expect_refused(received(f.run(), 2), RefusalReason::wrong_epoch);
  expect_refused(scene.world.site(kSite).step(node::round::MessageReceived{
                     f.from_site(2, MessageKind::hello, federation::messages::Hello{}.encode()), {}}),
                 RefusalReason::unknown_sender);
}

}  // namespace
}  // namespace fovea::test

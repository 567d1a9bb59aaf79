// A malicious coordinator, with colluding sites, that wants a second release on one model: forged evidence of a
// dealer's fault, and true evidence for another sum than the one it allows.
#include <algorithm>

#include "tests/simulation/bad_dealer.h"
#include "tests/unit/round/coordinator_attack.h"

namespace fovea::test {
namespace {

constexpr RosterIndex kBad = 2;
constexpr RosterIndex kAway = 7;  // in no round: of U0 to U3 are 0 to 6

WorldOptions options() {
  return {.sites = 8,
          .seed = 7,
          .rounds = 1,
          .faults = {},
          .thresholds = federation::secagg::Thresholds{.colluders_max = 2, .threshold = 5, .honest_min = 2}};
}

// kSite has released its shares in round 1, which kBad spoilt, and has not seen the evidence yet.
class RepeatAttack : public ::testing::Test {
 protected:
  Scene scene{options()};
  World& world = scene.world;
  bool unmask_reaches_site = true;
  federation::secagg::DealerFault fault;

  void SetUp() override {
    world.intercept = both(deal_another_seed(world, kBad), [this](Delivery& delivery) {
      if (delivery.site == kAway) return false;
      return unmask_reaches_site || delivery.site != kSite ||
             federation::messages::claimed_kind(delivery.wire).value() != MessageKind::unmask_request;
    });
  }
  void spoil_round() {
    world.run([&] { return !world.aborted().empty(); });
    world.run([&, until = world.now_ms() + 100] { return world.now_ms() > until; });  // what was on its way arrives
    ASSERT_TRUE(world.repeat().has_value()) << world.where();
    fault = federation::secagg::DealerFault::decode(world.repeat()->faults.at(0)).value();
    ASSERT_EQ(fault.dealer, kBad);
    ASSERT_FALSE(federation::secagg::check_dealer_fault(fault, world.federation().roster()).has_value());
  }
  // What the coordinator holds of another dealer of round 1.
  federation::secagg::DealerFault against(RosterIndex dealer) {
    federation::secagg::DealerFault out = fault;
    out.dealer = dealer;
    out.openings.clear();
    for (const Delivery& delivery : world.trace()) {
      if (delivery.direction == Direction::to_site) continue;
      const auto opened = world.federation().open_at_coordinator(delivery.site, delivery.wire);
      if (delivery.site == dealer && opened->kind() == MessageKind::keys)
        out.keys = federation::messages::KeysMessage::decode(opened->payload())->keys;
      if (delivery.site == dealer && opened->kind() == MessageKind::shares) out.shares = delivery.wire;
      if (delivery.site == dealer || opened->kind() != MessageKind::unmask_shares || out.openings.size() == 5) continue;
      const auto released = federation::messages::UnmaskShares::decode(opened->payload()).value();
      for (const federation::messages::RevealedShare& share : released.shares)
        if (share.subject == dealer) out.openings.push_back({delivery.site, share.share});
    }
    std::sort(out.openings.begin(), out.openings.end(),
              [](const auto& a, const auto& b) { return a.holder < b.holder; });
    return out;
  }
  node::round::SiteEffects show(const federation::secagg::DealerFault& evidence) {
    return scene.tell(kSite, MessageKind::dealer_fault, evidence.encode());
  }
  Bytes task(RoundNumber round = 2) const {
    federation::messages::TrainTask out{.round = 1,
                                        .stage_round = 1,
                                        .seed = 7,
                                        .plan_hash = world.federation().plan(),
                                        .model_hash = world.federation().plan()};
    out.round = round;
    return out.encode();
  }
  federation::messages::SharesMessage shares_of(const federation::secagg::DealerFault& evidence) const {
    const auto opened = world.federation().open_at_coordinator(evidence.dealer, evidence.shares);
    return federation::messages::SharesMessage::decode(opened->payload()).value();
  }
  // Refused, and neither the task nor P of a repetition is taken up then.
  void expect_useless(const federation::secagg::DealerFault& evidence, RefusalReason reason,
                      RoundNumber next_round = 2) {
    expect_refused(show(evidence), reason);
    const auto refused = scene.tell(kSite, MessageKind::train_task, task(next_round));
    ASSERT_TRUE(refused.refusal.has_value());
    EXPECT_FALSE(refused.start_training.has_value());
    ASSERT_FALSE(refused.outbound.empty());
    EXPECT_EQ(refused.outbound.back().kind, MessageKind::attempt_failure);
  }
  // As kSite comes back from its disk, with another update or the same one.
  node::round::SiteMachine restarted(const std::vector<Bytes>& extra = {}) {
    std::vector<Bytes> site_register = world.site_register(kSite);
    site_register.insert(site_register.end(), extra.begin(), extra.end());
    auto machine = node::round::SiteMachine::create(world.federation().site_config(kSite, world.policy()),
                                                    world.site_journal(kSite), site_register)
                       .value();
    machine.step(world.initial_model());
    return machine;
  }
  node::round::SiteEffects tell(node::round::SiteMachine& site, MessageKind kind, ByteView payload) {
    node::round::MessageReceived event{world.federation().from_coordinator(kind, payload), std::nullopt};
    if (kind == MessageKind::parameters) event.seed = seed_of("repeat attack", ++seeds_);
    return site.step(std::move(event));
  }
  void train(node::round::SiteMachine& site, RosterIndex as) {
    ASSERT_TRUE(tell(site, MessageKind::train_task, task()).start_training.has_value());
    site.step(node::round::TrainingFinished{2, world.update(as)});
  }
  federation::secagg::RoundParameters repetition() {
    return federation::secagg::RoundParameters::decode(scene.hold_to_site(kSite, MessageKind::parameters).payload())
        .value();
  }

 private:
  std::uint64_t seeds_ = 0;
};

// ---- the evidence

TEST_F(RepeatAttack, TrueEvidenceIsTakenAndOnlyThenTheTask) {
  spoil_round();
  expect_refused(scene.tell(kSite, MessageKind::train_task, task()), RefusalReason::model_already_released);
  EXPECT_FALSE(show(fault).refusal.has_value());
  EXPECT_FALSE(show(fault).refusal.has_value());  // again: nothing new
  const auto effects = scene.tell(kSite, MessageKind::train_task, task());
  expect_sends(effects, MessageKind::training_ready);
  EXPECT_FALSE(effects.start_training.has_value());  // the same update answers it
}

TEST_F(RepeatAttack, EvidenceAgainstAnHonestDealerIsRefused) {
  spoil_round();
  const auto honest = against(4);
  ASSERT_EQ(honest.openings.size(), 5U);
  expect_useless(honest, RefusalReason::dealer_not_at_fault);
  auto forged = honest;  // a share that a colluder made up
  forged.openings[2].share[9] ^= 1;
  expect_useless(forged, RefusalReason::share_commitment_differs);
  forged = honest;  // t − 1 shares give another secret for anybody
  forged.openings.pop_back();
  expect_useless(forged, RefusalReason::evidence_incomplete);
  forged = honest;  // and so they would under a smaller t
  forged.openings.pop_back();
  forged.parameters.thresholds = {.colluders_max = 2, .threshold = 4, .honest_min = 2};
  expect_useless(forged, RefusalReason::parameters_differ);
  forged = honest;  // a share at another point
  forged.openings[4].holder = 6;
  forged.openings[4].share = fault.openings[4].share;
  expect_useless(forged, RefusalReason::share_commitment_differs);
  forged = honest;  // the keys of another attempt, or of another site
  forged.keys.mask[0] ^= 1;
  expect_useless(forged, RefusalReason::bad_signature);
  forged = honest;
  forged.keys = fault.keys;
  expect_useless(forged, RefusalReason::bad_signature);
}

TEST_F(RepeatAttack, SharesThatTheDealerDidNotSignAreRefused) {
  spoil_round();
  auto forged = against(4);
  auto shares = shares_of(forged);
  shares.self_seed_commitment[0] ^= 1;
  forged.shares = world.federation().from_site(kBad, MessageKind::shares, shares.encode()).wire();  // by a colluder
  expect_useless(forged, RefusalReason::bad_signature);
  forged.shares = against(4).shares;
  forged.shares.back() ^= 1;
  expect_useless(forged, RefusalReason::bad_signature);
  forged.shares.pop_back();
  expect_useless(forged, RefusalReason::malformed);
  forged.shares = fault.shares;  // those of the bad dealer under an honest one's name
  expect_useless(forged, RefusalReason::bad_signature);
  forged.shares = world.federation()
                      .from_site(4, MessageKind::training_ready, federation::messages::TrainingReady{1, {}}.encode())
                      .wire();
  expect_useless(forged, RefusalReason::malformed);
}

TEST_F(RepeatAttack, EvidenceOfAnotherAttemptIsRefused) {
  spoil_round();
  auto other = fault;
  auto shares = shares_of(fault);
  shares.ref.attempt += 1;
  other.shares = world.federation().from_site(kBad, MessageKind::shares, shares.encode()).wire();
  expect_useless(other, RefusalReason::parameters_differ);
  other = fault;
  other.parameters.attempt += 1;
  expect_useless(other, RefusalReason::stale_attempt);
  other = fault;
  other.parameters.round += 1;
  expect_useless(other, RefusalReason::stale_round);
  other = fault;
  other.parameters.run.bytes[0] ^= 1;
  expect_useless(other, RefusalReason::wrong_run);
  other = fault;
  other.parameters.phase_ms += 1;
  expect_useless(other, RefusalReason::parameters_differ);
}

TEST_F(RepeatAttack, EvidenceAboutASiteOutsideTheSumOrOfTheSecretThatStaysShutIsRefused) {
  spoil_round();
  auto other = fault;
  other.dealer = kAway;
  expect_useless(other, RefusalReason::survivors_not_subset);
  other.dealer = 500;
  expect_useless(other, RefusalReason::survivors_not_subset);
  other = fault;
  other.secret = federation::messages::RevealedSecret::mask_key;
  expect_useless(other, RefusalReason::both_secrets_of_a_peer);
  expect_refused(scene.tell(kSite, MessageKind::dealer_fault, Bytes{1}), RefusalReason::malformed);
}

TEST_F(RepeatAttack, EvidenceUnderAnotherRosterIsRefused) {
  spoil_round();
  auto renewed = world.federation().roster();
  renewed.epoch = 2;
  renewed.hash[0] ^= 1;
  auto& site = world.site(kSite);
  EXPECT_FALSE(show(fault).refusal.has_value());
  site.step(
      node::round::RosterAdopted{renewed});  // and what was shown before is forgotten: it named sites by their place
  const TestFederation& f = world.federation();
  const auto tell_newly = [&](MessageKind kind, ByteView payload) {
    auto opened = f.open_at_site(federation::messages::seal_message({kind, f.run(), std::nullopt, 2}, payload,
                                                                    f.coordinator_key()))
                      .value();
    return site.step(node::round::MessageReceived{std::move(opened), std::nullopt});
  };
  expect_refused(tell_newly(MessageKind::train_task, task()), RefusalReason::model_already_released);
  expect_refused(tell_newly(MessageKind::dealer_fault, fault.encode()), RefusalReason::roster_differs);
}

// ---- the repetition

TEST_F(RepeatAttack, OnlyTheExactSitesRepeatASum) {
  spoil_round();
  const auto honest = repetition();
  ASSERT_EQ(honest.candidates, (std::vector<RosterIndex>{0, 1, 3, 4, 5, 6}));
  const auto refused = [&](std::vector<RosterIndex> candidates, RefusalReason reason, std::uint16_t encoded_for = 7) {
    auto p = honest;
    p.candidates = std::move(candidates);
    p.repeats->encoded_for = encoded_for;
    p.encoding = federation::secagg::make_encoding(encoded_for, 1, 1).value();
    expect_refused(scene.tell(kSite, MessageKind::parameters, p.encode()), reason);
  };
  refused({0, 1, 3, 4, 5}, RefusalReason::cohort_differs);         // one missing: the difference would be its update
  refused({0, 1, 3, 4, 5, kAway}, RefusalReason::cohort_differs);  // one swapped
  refused({0, 1, kBad, 3, 4, 5}, RefusalReason::cohort_differs);   // the bad one for an honest one
  refused({0, 1, 3, 4, 5, 6, kAway}, RefusalReason::malformed);    // one added: nothing was encoded for so many
  refused({0, 1, 3, 4, 5, 6, kAway}, RefusalReason::update_differs, 8);
  refused({0, 1, kBad, 3, 4, 5, 6}, RefusalReason::update_differs, 8);
  expect_sends(scene.tell(kSite, MessageKind::parameters, honest.encode()), MessageKind::keys);
}

TEST_F(RepeatAttack, AnotherEncodingOrAnotherReleaseIsNotRepeated) {
  spoil_round();
  const auto honest = repetition();
  const auto refused = [&](auto change, RefusalReason reason) {
    auto p = honest;
    change(p);
    expect_refused(scene.tell(kSite, MessageKind::parameters, p.encode()), reason);
  };
  refused(
      [](auto& p) {
        p.repeats.reset();
        p.encoding = federation::secagg::make_encoding(6, 1, 1).value();
      },
      RefusalReason::model_already_released);
  refused(
      [](auto& p) {
        p.repeats->encoded_for = 8;
        p.encoding = federation::secagg::make_encoding(8, 1, 1).value();
      },
      RefusalReason::update_differs);
  refused([](auto& p) { p.encoding.scale *= 0.5; }, RefusalReason::scale_out_of_bounds);
  refused([](auto& p) { p.repeats->released.attempt += 1; }, RefusalReason::stale_attempt);
  refused([](auto& p) { p.repeats->released.parameters[0] ^= 1; }, RefusalReason::stale_attempt);
  refused([](auto& p) { p.repeats->released.round = p.round; }, RefusalReason::malformed);
  expect_sends(scene.tell(kSite, MessageKind::parameters, honest.encode()), MessageKind::keys);
}

TEST_F(RepeatAttack, ASiteMissingFromU1ToU3IsRefused) {
  spoil_round();
  auto keys = federation::messages::KeyList::decode(scene.hold_to_site(kSite, MessageKind::key_list).payload()).value();
  keys.keys.pop_back();
  expect_refused(scene.tell(kSite, MessageKind::key_list, keys.encode()), RefusalReason::too_few_survivors);
}

TEST_F(RepeatAttack, AStatementOverFewerSitesIsNotSigned) {
  spoil_round();
  const auto honest = scene.hold_to_site(kSite, MessageKind::consistency_request);
  auto request = federation::messages::ConsistencyRequest::decode(honest.payload()).value();
  request.committed.pop_back();  // five are left, which is t
  expect_refused(scene.tell(kSite, MessageKind::consistency_request, request.encode()),
                 RefusalReason::too_few_survivors);
  expect_sends(scene.tell(kSite, MessageKind::consistency_request, honest.payload()),
               MessageKind::consistency_signature);
}

TEST_F(RepeatAttack, OneEvidenceAllowsOneRelease) {
  spoil_round();
  world.run(
      [&] { return world.site(kSite).phase() == node::round::SitePhase::unmasked && world.site(kSite).round() == 2; });
  ASSERT_EQ(world.site(kSite).round(), 2U);
  expect_useless(fault, RefusalReason::stale_round, 3);
  expect_refused(scene.tell(kSite, MessageKind::train_task, task(3)), RefusalReason::stale_round);
  auto site = restarted();
  expect_refused(tell(site, MessageKind::dealer_fault, fault.encode()), RefusalReason::stale_round);
  expect_refused(tell(site, MessageKind::train_task, task(3)), RefusalReason::stale_round);
}

// Between R4 and R5 the site restarts, and finds that its register has a later release on the model.
TEST_F(RepeatAttack, AStatementThatRepeatsAnOlderReleaseIsNotOpened) {
  spoil_round();
  const auto request = scene.hold_to_site(kSite, MessageKind::unmask_request);
  const auto ref = federation::messages::UnmaskRequest::decode(request.payload())->ref;
  ASSERT_EQ(ref.round, 2U);
  const auto released = [&](const RunId& run, RoundNumber round) {
    return node::round::encode_mark(
        run, node::round::ReleasedMark{.ref = {round, 1, Digest{3}}, .model_hash = world.federation().plan()});
  };
  auto later = restarted({released(world.federation().run(), 3)});
  expect_refused(tell(later, MessageKind::unmask_request, request.payload()), RefusalReason::model_already_released);
  auto honest = restarted();
  const auto effects = tell(honest, MessageKind::unmask_request, request.payload());
  expect_sends(effects, MessageKind::unmask_shares);
  ASSERT_EQ(effects.site_register.size(), 1U);  // the new release is what another repetition would have to name
  const auto memory = node::round::SiteMemory::restore(world.federation().run(), {}, effects.site_register);
  const node::round::Release& release = memory->released_models.at(world.federation().plan());
  EXPECT_EQ(release.mark.ref, ref);
  EXPECT_EQ(release.mark.committed, (std::vector<RosterIndex>{0, 1, 3, 4, 5, 6}));
}

TEST_F(RepeatAttack, ARestartedSiteWithAnotherUpdateDoesNotRepeat) {
  spoil_round();
  const auto p = repetition();
  for (const RosterIndex as : {RosterIndex{0}, kSite}) {
    auto site = restarted();
    EXPECT_FALSE(tell(site, MessageKind::dealer_fault, fault.encode()).refusal.has_value());
    train(site, as);
    const auto effects = tell(site, MessageKind::parameters, p.encode());
    if (as == kSite) expect_sends(effects, MessageKind::keys);
    else expect_refused(effects, RefusalReason::update_differs);
  }
}

// It was in U3 and never got the signatures, so its register is empty; the difference of the two sums would be of its
// updates.
TEST_F(RepeatAttack, ASiteThatDidNotReleaseRepeatsItsOwnUpdateToo) {
  unmask_reaches_site = false;
  spoil_round();
  ASSERT_TRUE(world.site_register(kSite).empty());
  const auto p = repetition();
  for (const RosterIndex as : {RosterIndex{0}, kSite}) {
    auto site = restarted();
    EXPECT_FALSE(tell(site, MessageKind::dealer_fault, fault.encode()).refusal.has_value());  // it needs none
    train(site, as);
    const auto effects = tell(site, MessageKind::parameters, p.encode());
    if (as == kSite) expect_sends(effects, MessageKind::keys);
    else expect_refused(effects, RefusalReason::update_differs);
  }
  // A site that was not in that attempt has nothing to repeat.
  auto stranger = node::round::SiteMachine::create(world.federation().site_config(kSite, world.policy()), {}).value();
  stranger.step(world.initial_model());
  train(stranger, kSite);
  expect_refused(tell(stranger, MessageKind::parameters, p.encode()), RefusalReason::stale_attempt);
}

TEST_F(RepeatAttack, EvidenceShownToSomeSitesOnlyOpensNothing) {
  auto spoil = world.intercept;
  world.intercept = both(spoil, [](Delivery& delivery) {
    return delivery.site != 3 || federation::messages::claimed_kind(delivery.wire).value() != MessageKind::dealer_fault;
  });
  world.run([&] { return world.aborted().size() == 2; });
  ASSERT_EQ(world.aborted().size(), 2U);
  EXPECT_TRUE(world.results().empty());
  EXPECT_TRUE(world.violations().empty());
  const auto& refusals = world.site_refusals(3);
  EXPECT_NE(std::find(refusals.begin(), refusals.end(), RefusalReason::model_already_released), refusals.end());
  for (const Delivery& delivery : world.trace()) {
    if (delivery.direction == Direction::to_site) continue;
    const auto opened = world.federation().open_at_coordinator(delivery.site, delivery.wire);
    if (opened->kind() != MessageKind::unmask_shares) continue;
    EXPECT_EQ(federation::messages::UnmaskShares::decode(opened->payload())->ref.round, 1U);
  }
}

// With the fault of a second dealer, found in the repetition, the sum of the first release may not be repeated once
// more.
TEST_F(RepeatAttack, TheReleaseToRepeatIsTheLastOne) {
  world.intercept = both(world.intercept, deal_another_seed(world, 5, 2, 2));
  world.run([&] { return world.aborted().size() == 2; });
  ASSERT_TRUE(world.repeat().has_value());
  ASSERT_EQ(world.repeat()->released.round, 2U);
  const auto honest = repetition();
  ASSERT_EQ(honest.candidates, (std::vector<RosterIndex>{0, 1, 3, 4, 6}));
  auto older = honest;
  older.candidates = {0, 1, 3, 4, 5, 6};
  older.repeats->released =
      federation::secagg::DealerFault::decode(world.repeat()->faults.at(0))->parameters.repeats->released;
  ASSERT_EQ(older.repeats->released.round, 1U);
  expect_refused(scene.tell(kSite, MessageKind::parameters, older.encode()), RefusalReason::model_already_released);
  older.candidates = honest.candidates;
  expect_refused(scene.tell(kSite, MessageKind::parameters, older.encode()), RefusalReason::model_already_released);
  expect_sends(scene.tell(kSite, MessageKind::parameters, honest.encode()), MessageKind::keys);
}

}  // namespace
}  // namespace fovea::test

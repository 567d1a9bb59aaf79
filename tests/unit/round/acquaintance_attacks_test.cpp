// Who is in the sum, against a coordinator that holds every administrator's key: invented sites, sums that are too
// small, and a roster that is used for longer than it is valid.
#include "common/contains.h"
#include "tests/unit/round/coordinator_attack.h"
#include "tests/unit/round/lone_site.h"

namespace fovea::test {
namespace {

using node::round::PolicyChanged;

// That nobody here, or only these sites, were accepted.
node::round::SitePolicy knowing(const World& world, const std::set<RosterIndex>& sites) {
  node::round::SitePolicy out = world.policy();
  out.acquainted.clear();
  for (const RosterIndex site : sites)
    out.acquainted.insert(federation::membership::entry_digest(world.federation().roster().sites.at(site)));
  return out;
}

class AcquaintanceAttack : public CoordinatorAttack {
 protected:
  void know(const std::set<RosterIndex>& sites) {
    EXPECT_FALSE(scene.world.site(kSite).step(PolicyChanged{knowing(scene.world, sites)}).refusal.has_value());
  }
  std::set<RosterIndex> everybody() const { return {0, 2, 3}; }
};

bool names(const node::round::SiteEffects& effects, const std::string& text) {
  return effects.refusal && effects.refusal->detail.find(text) != std::string::npos;
}

bool contains_no(const node::round::SiteEffects& effects, MessageKind kind) {
  return std::none_of(effects.outbound.begin(), effects.outbound.end(),
                      [kind](const node::round::SiteOutbound& message) { return message.kind == kind; });
}

// The roster is the victim and three Sybils, signed by whom it takes: m, t and h are met. Were the round held, the
// coordinator would subtract the Sybils' updates, which it made, and hold the victim's.
TEST_F(AcquaintanceAttack, ASybilRosterThatMeetsEveryThresholdIsRefusedWithHowManyAreUnacquainted) {
  const auto p = parameters();
  const node::round::SitePolicy policy = scene.world.policy();
  ASSERT_FALSE(federation::secagg::check_thresholds(static_cast<std::uint32_t>(p.candidates.size()),
                                                    p.thresholds.threshold, policy.colluders_max, policy.honest_min));
  know({});
  const auto refused = tell(p);
  expect_refused(refused, RefusalReason::unacquainted_sites);
  EXPECT_TRUE(names(refused, "3 of 4 sites are not accepted at this site")) << refused.refusal->detail;
  EXPECT_FALSE(refused.joined.has_value());
  know({0, 2});  // one Sybil among acquaintances is too many for this threshold, too
  const auto one = tell(p);
  expect_refused(one, RefusalReason::unacquainted_sites);
  EXPECT_TRUE(names(one, "1 of 4 sites are not accepted at this site")) << one.refusal->detail;
  know(everybody());
  expect_sends(tell(p), MessageKind::keys);
}

TEST(AcquaintanceAttacks, TheVictimOfASybilRosterMasksNothingAndTheSybilsLearnNothing) {
  World world({.sites = 4, .seed = 7, .rounds = 1, .faults = {}});
  world.site(kSite).step(PolicyChanged{knowing(world, {})});
  world.run();
  for (const Delivery& delivery : world.trace()) {
    if (delivery.direction != Direction::to_coordinator || delivery.site != kSite) continue;
    const MessageKind kind = federation::messages::claimed_kind(delivery.wire).value();
    EXPECT_TRUE(kind == MessageKind::hello || kind == MessageKind::training_progress ||
                kind == MessageKind::training_ready || kind == MessageKind::attempt_failure)
        << federation::messages::to_string(kind);
  }
  EXPECT_TRUE(contains(world.site_refusals(kSite), RefusalReason::unacquainted_sites));
}

TEST_F(AcquaintanceAttack, AnEntryWithAnotherKeyIsAStrangerAgain) {
  const auto p = parameters();
  for (const auto& change : std::vector<std::function<void(federation::membership::RosterSite&)>>{
           [](auto& site) { site.identity_key[0] ^= 1U; }, [](auto& site) { site.transport_key[0] ^= 1U; },
           [](auto& site) { site.log_key[0] ^= 1U; }, [](auto& site) { site.approver_key[0] ^= 1U; }}) {
    node::round::SitePolicy policy = knowing(scene.world, {0, 2});
    federation::membership::RosterSite before = scene.world.federation().roster().sites[3];
    change(before);
    policy.acquainted.insert(federation::membership::entry_digest(before));
    scene.world.site(kSite).step(PolicyChanged{policy});
    expect_refused(tell(p), RefusalReason::unacquainted_sites);
  }
}

// Five sites with t = 4 and m = 1: the threshold has room for one stranger, c = 2, and not for two.
TEST(AcquaintanceAttacks, StrangersMayTakePartAsFarAsTheThresholdCountsThemAsColluders) {
  Scene scene(5);
  const auto p =
      federation::secagg::RoundParameters::decode(scene.hold_to_site(kSite, MessageKind::parameters).payload()).value();
  ASSERT_EQ(p.thresholds.threshold, 4);
  scene.world.site(kSite).step(PolicyChanged{knowing(scene.world, {0, 2})});
  expect_refused(scene.tell(kSite, MessageKind::parameters, p.encode()), RefusalReason::unacquainted_sites);
  scene.world.site(kSite).step(PolicyChanged{knowing(scene.world, {0, 2, 3})});
  expect_sends(scene.tell(kSite, MessageKind::parameters, p.encode()), MessageKind::keys);
}

// What is asked of U0 is asked of U1, U2 and U3 again: here the acquaintance ends in between.
TEST_F(AcquaintanceAttack, StrangersAreCountedInEverySetOfTheRound) {
  const auto list = scene.hold_to_site(kSite, MessageKind::key_list);
  know({});
  expect_refused(tell(MessageKind::key_list, list.payload()), RefusalReason::unacquainted_sites);
  know(everybody());
  expect_sends(tell(MessageKind::key_list, list.payload()), MessageKind::shares);

  Scene second;
  const auto routed = second.hold_to_site(kSite, MessageKind::routed_shares);
  second.world.site(kSite).step(PolicyChanged{knowing(second.world, {0})});
  const auto refused = second.tell(kSite, MessageKind::routed_shares, routed.payload());
  expect_refused(refused, RefusalReason::unacquainted_sites);
  EXPECT_TRUE(names(refused, "2 of 4 sites are not accepted")) << refused.refusal->detail;
  second.world.site(kSite).step(PolicyChanged{second.world.policy()});
  expect_sends(second.tell(kSite, MessageKind::routed_shares, routed.payload()), MessageKind::masked_statement);

  Scene third;
  const auto request = third.hold_to_site(kSite, MessageKind::consistency_request);
  third.world.site(kSite).step(PolicyChanged{knowing(third.world, {0})});
  expect_refused(third.tell(kSite, MessageKind::consistency_request, request.payload()),
                 RefusalReason::unacquainted_sites);
  third.world.site(kSite).step(PolicyChanged{third.world.policy()});
  expect_sends(third.tell(kSite, MessageKind::consistency_request, request.payload()),
               MessageKind::consistency_signature);
}

// Not only at the next step: chunks of the masked vector, and the release of shares, are asked for without another look
// at who is in the sum.
TEST_F(AcquaintanceAttack, AnAcceptanceThatIsTakenBackEndsTheAttemptAtOnce) {
  const auto take_back = [](Scene& in, const std::set<RosterIndex>& left) {
    return in.world.site(kSite).step(PolicyChanged{.policy = knowing(in.world, left), .ends_attempt = true});
  };
  const auto request = scene.hold_to_site(kSite, MessageKind::consistency_request);
  const auto ref = federation::messages::ConsistencyRequest::decode(request.payload())->ref;
  const auto ended = take_back(scene, {0, 2});
  EXPECT_EQ(ended.abandoned, ref);
  ASSERT_FALSE(ended.outbound.empty());
  const auto failure = federation::messages::AttemptFailure::decode(
      scene.world.federation().open_at_coordinator(kSite, ended.outbound[0].wire)->payload());
  EXPECT_EQ(failure->reason, RefusalReason::unacquainted_sites);
  EXPECT_EQ(failure->attempt, ref.attempt);
  const auto chunks = tell(MessageKind::chunk_request, federation::messages::ChunkRequest{ref, {0}}.encode());
  EXPECT_TRUE(contains_no(chunks, MessageKind::masked_chunk));
  know(everybody());  // it is over, whoever is accepted again
  EXPECT_TRUE(
      contains_no(tell(MessageKind::consistency_request, request.payload()), MessageKind::consistency_signature));

  Scene second;
  const auto release = second.hold_to_site(kSite, MessageKind::unmask_request);
  take_back(second, {0, 2});
  EXPECT_TRUE(
      contains_no(second.tell(kSite, MessageKind::unmask_request, release.payload()), MessageKind::unmask_shares));

  // Also where the threshold has room for the stranger; the next attempt counts it.
  Scene five(5);
  const auto list = five.hold_to_site(kSite, MessageKind::key_list);
  EXPECT_TRUE(take_back(five, {0, 2, 3}).abandoned.has_value());
  EXPECT_TRUE(contains_no(five.tell(kSite, MessageKind::key_list, list.payload()), MessageKind::shares));
}

// Else invented sites could sum among themselves and lead this site to a model of their choice.
TEST_F(AcquaintanceAttack, APublishedSumOfStrangersIsNotFollowed) {
  const auto evidence = scene.hold_to_site(kSite, MessageKind::round_evidence);
  auto away =
      node::round::SiteMachine::create(scene.world.federation().site_config(kSite, knowing(scene.world, {})), {})
          .value();
  away.step(node::round::ModelAdopted(scene.world.initial_model()));
  const auto tell_away = [&] {
    return away.step(node::round::MessageReceived{
        scene.world.federation().from_coordinator(MessageKind::round_evidence, evidence.payload()), std::nullopt});
  };
  expect_refused(tell_away(), RefusalReason::unacquainted_sites);
  away.step(PolicyChanged{scene.world.policy()});
  EXPECT_FALSE(tell_away().refusal.has_value());
}

TEST(AcquaintanceAttacks, InANeighbourGraphStrangersCountAsCorruptSites) {
  const LoneSiteOptions options{.sites = 130, .self = 5, .corrupt_max = 7, .lost_max = 14, .honest_min = 3};
  const auto policy_with = [&](const LoneSite& site, std::size_t strangers) {
    node::round::SitePolicy out{options.corrupt_max, options.honest_min, 10, {site.federation().plan()}, {}};
    for (std::size_t i = strangers; i < options.sites; ++i)
      out.acquainted.insert(federation::membership::entry_digest(site.federation().roster().sites[i]));
    return out;
  };
  LoneSite site(options);
  const Bytes honest = site.parameters().encode();
  for (const std::size_t strangers : {std::size_t{60}, std::size_t{125}}) {  // too many for k and t, and for s
    site.change_policy(policy_with(site, strangers));
    const auto refused = site.tell(MessageKind::parameters, honest);
    expect_refused(refused, RefusalReason::unacquainted_sites);
    EXPECT_TRUE(names(refused, " of 130 sites are not accepted")) << refused.refusal->detail;
  }
  site.change_policy(policy_with(site, 0));
  expect_sends(site.tell(MessageKind::parameters, honest), MessageKind::keys);
}

// A hospital that joined today: until people have accepted it, it sits out, and the others go on without it.
TEST(AcquaintanceAttacks, ANewcomerSitsOutAndTheOthersGoOn) {
  World world({.sites = 4, .seed = 7, .rounds = 2, .faults = {}});
  for (RosterIndex site = 0; site < 3; ++site) world.site(site).step(PolicyChanged{knowing(world, {0, 1, 2})});
  ASSERT_TRUE(world.run()) << world.where();
  EXPECT_TRUE(world.violations().empty());
  for (const auto& result : world.results()) {
    EXPECT_EQ(result.contributors.size(), 3U);
    EXPECT_FALSE(contains(result.contributors, world.federation().id(3)));
  }
}

// And it hears why, each time that its attempt is given up for it; the others hear what they did before.
TEST(AcquaintanceAttacks, ANewcomerThatSitsOutIsToldWhy) {
  World world({.sites = 4, .seed = 7, .rounds = 1, .faults = {}});
  for (RosterIndex site = 0; site < 3; ++site) world.site(site).step(PolicyChanged{knowing(world, {0, 1, 2})});
  std::map<RosterIndex, RefusalReason> told;
  world.intercept = [&](Delivery& delivery) {
    if (delivery.direction != Direction::to_site ||
        federation::messages::claimed_kind(delivery.wire).value() != MessageKind::attempt_abandoned)
      return true;
    const auto opened = world.federation().open_at_site(delivery.wire);
    told[delivery.site] = federation::messages::AttemptAbandoned::decode(opened->payload())->reason;
    return true;
  };
  ASSERT_TRUE(world.run()) << world.where();
  EXPECT_EQ(told.at(3), RefusalReason::unacquainted_sites);
  told.erase(3);
  for (const auto& [site, reason] : told) EXPECT_EQ(reason, RefusalReason::cohort_too_small) << site;
}

// One site's word keeps nobody out: it is the one that is left out.
TEST(AcquaintanceAttacks, OneSiteThatKnowsNobodyKeepsNobodyElseOut) {
  World world({.sites = 4, .seed = 7, .rounds = 1, .faults = {}});
  world.site(kSite).step(PolicyChanged{knowing(world, {})});
  world.run([&] { return !world.results().empty(); });
  ASSERT_EQ(world.results().size(), 1U) << world.where();
  EXPECT_EQ(world.results()[0].contributors.size(), 3U);
  EXPECT_FALSE(contains(world.results()[0].contributors, world.federation().id(kSite)));
}

// Nor when the attempt in which it said so has to be repeated: all four others are needed in the second.
TEST(AcquaintanceAttacks, OneSiteThatKnowsNobodyKeepsNobodyOutOfTheNextAttempt) {
  World world({.sites = 5, .seed = 7, .rounds = 1, .faults = {}});
  ASSERT_EQ(world.thresholds().threshold, 4);
  world.site(kSite).step(PolicyChanged{knowing(world, {})});
  world.intercept = [&](Delivery& delivery) {  // one vector of the first attempt is lost
    if (delivery.direction == Direction::to_site || delivery.site != 4) return true;
    const auto opened = world.federation().open_at_coordinator(4, delivery.wire);
    return opened->kind() != MessageKind::masked_statement ||
           federation::messages::MaskedStatement::decode(opened->payload())->ref.attempt > 1;
  };
  world.run([&] { return !world.results().empty() || !world.aborted().empty(); });
  ASSERT_EQ(world.results().size(), 1U) << world.where();
  EXPECT_EQ(world.results()[0].attempt, 2U);
  EXPECT_EQ(world.results()[0].contributors.size(), 4U);
}

// ---- who may say something of whom

// Five sites, of which the last is ready too late for the attempt: it is not in U0.
class Outsider : public ::testing::Test {
 protected:
  Outsider() {
    std::optional<Bytes> announced;
    world.intercept = [&](Delivery& delivery) {
      const MessageKind kind = federation::messages::claimed_kind(delivery.wire).value();
      if (delivery.direction == Direction::to_coordinator)
        return delivery.site != kOutsider || kind != MessageKind::training_ready;
      if (kind == MessageKind::parameters && !announced) announced = delivery.wire;
      return kind != MessageKind::parameters;
    };
    world.run([&] { return announced.has_value(); });
    const auto opened = world.federation().open_at_site(announced.value());
    parameters = federation::secagg::RoundParameters::decode(opened->payload()).value();
  }
  // Whether the coordinator follows this complaint as far as `notice` says; kSitsOut: the accused sits out.
  bool complain(RosterIndex site, RefusalReason reason, RosterIndex accused, std::string_view notice) {
    const federation::messages::AttemptFailure failure{parameters.round, parameters.attempt, reason, accused};
    const auto effects = world.coordinator().step(coordinator::round::MessageReceived{
        world.federation().from_site(site, MessageKind::attempt_failure, failure.encode())});
    EXPECT_TRUE(effects.blamed.empty());
    if (notice == kSitsOut)
      return !effects.sat_out.empty() && effects.sat_out[0].site == world.federation().id(accused);
    return std::any_of(effects.notices.begin(), effects.notices.end(),
                       [&](const std::string& text) { return text.find(notice) != std::string::npos; });
  }

  static constexpr RosterIndex kOutsider = 4;
  static constexpr std::string_view kSitsOut = "sits out";
  static constexpr std::string_view kDispute = "disagree about a share";
  World world{{.sites = 5, .seed = 7, .rounds = 1, .faults = {}}};
  federation::secagg::RoundParameters parameters;
};

TEST_F(Outsider, DoesNotCountAmongThoseWhoHaveNotAcceptedASite) {
  ASSERT_EQ(parameters.candidates, (std::vector<RosterIndex>{0, 1, 2, 3}));
  EXPECT_FALSE(complain(1, RefusalReason::unacquainted_sites, 0, kSitsOut));
  EXPECT_FALSE(complain(kOutsider, RefusalReason::unacquainted_sites, 0, kSitsOut));
  EXPECT_FALSE(complain(2, RefusalReason::unacquainted_sites, 0, kSitsOut));  // two of four candidates
}

TEST_F(Outsider, MoreThanHalfOfTheCandidatesKeepASiteOutAndNobodyKeepsOutTheOutsider) {
  EXPECT_FALSE(complain(1, RefusalReason::unacquainted_sites, kOutsider, kSitsOut));
  EXPECT_FALSE(complain(2, RefusalReason::unacquainted_sites, 0, kSitsOut));
  EXPECT_FALSE(complain(3, RefusalReason::unacquainted_sites, 0, kSitsOut));
  EXPECT_TRUE(complain(1, RefusalReason::unacquainted_sites, 0, kSitsOut));
}

TEST_F(Outsider, HasGotNoShareThatCouldBeBad) {
  EXPECT_FALSE(complain(kOutsider, RefusalReason::share_unreadable, 0, kDispute));
  EXPECT_FALSE(complain(2, RefusalReason::share_unreadable, kOutsider, kDispute));
  EXPECT_TRUE(complain(1, RefusalReason::share_unreadable, 0, kDispute));
}

// ---- the least cohort

class CohortAttack : public ::testing::Test {
 protected:
  // Ten sites, t = 7, at a site that demands all ten.
  Scene scene{10};
  void demand(std::uint32_t cohort_min) {
    node::round::SitePolicy policy = scene.world.policy();
    policy.cohort_min = cohort_min;
    EXPECT_FALSE(scene.world.site(kSite).step(PolicyChanged{policy}).refusal.has_value());
  }
};

TEST_F(CohortAttack, ASumOverFewerSitesThanThePolicysLeastIsNotSigned) {
  demand(10);
  auto request = federation::messages::ConsistencyRequest::decode(
                     scene.hold_to_site(kSite, MessageKind::consistency_request).payload())
                     .value();
  ASSERT_EQ(request.committed.size(), 10U);
  const auto honest = request;
  request.committed.resize(7);
  const auto refused = scene.tell(kSite, MessageKind::consistency_request, request.encode());
  expect_refused(refused, RefusalReason::cohort_too_small);
  EXPECT_TRUE(names(refused, "7 sites in U3, this site's policy asks for 10")) << refused.refusal->detail;
  expect_sends(scene.tell(kSite, MessageKind::consistency_request, honest.encode()),
               MessageKind::consistency_signature);
}

TEST_F(CohortAttack, NothingIsMaskedForFewerSurvivorsThanThePolicysLeast) {
  demand(10);
  auto routed =
      federation::messages::RoutedShares::decode(scene.hold_to_site(kSite, MessageKind::routed_shares).payload())
          .value();
  const auto honest = routed;
  routed.survivors.resize(7);
  routed.shares.resize(6);
  expect_refused(scene.tell(kSite, MessageKind::routed_shares, routed.encode()), RefusalReason::cohort_too_small);
  expect_sends(scene.tell(kSite, MessageKind::routed_shares, honest.encode()), MessageKind::masked_statement);
}

TEST_F(CohortAttack, APublishedSumOverFewerSitesThanThePolicysLeastIsNotFollowed) {
  scene.world.intercept = [](Delivery& delivery) {  // three sites lose their vectors
    return delivery.direction == Direction::to_site || delivery.site < 7 ||
           federation::messages::claimed_kind(delivery.wire).value() != MessageKind::masked_statement;
  };
  scene.world.run([&] { return !scene.world.results().empty(); });
  ASSERT_EQ(scene.world.results().size(), 1U) << scene.world.where();
  ASSERT_EQ(scene.world.results()[0].contributors.size(), 7U);
  const Bytes evidence = scene.world.results()[0].evidence.encode();
  for (const std::uint32_t least : {8U, 7U}) {
    node::round::SitePolicy policy = scene.world.policy();
    policy.cohort_min = least;
    auto away = node::round::SiteMachine::create(scene.world.federation().site_config(kSite, policy), {}).value();
    away.step(node::round::ModelAdopted(scene.world.initial_model()));
    const auto effects = away.step(node::round::MessageReceived{
        scene.world.federation().from_coordinator(MessageKind::round_evidence, evidence), std::nullopt});
    if (least == 8U) expect_refused(effects, RefusalReason::cohort_too_small);
    else EXPECT_FALSE(effects.refusal.has_value());
  }
}

// A site may demand as many as the plan promises, so the coordinator saves no attempt with fewer: it tries again.
TEST(ThePlansSmallestCohort, HoldsForTheSumAndNotOnlyForTheSitesThatBegin) {
  World world({.sites = 5, .seed = 7, .rounds = 1, .faults = {}, .cohort_smallest = 5});
  ASSERT_EQ(world.thresholds().threshold, 4);
  world.intercept = [&](Delivery& delivery) {  // one vector of the first attempt is lost
    if (delivery.direction == Direction::to_site || delivery.site != 4) return true;
    const auto opened = world.federation().open_at_coordinator(4, delivery.wire);
    return opened->kind() != MessageKind::masked_statement ||
           federation::messages::MaskedStatement::decode(opened->payload())->ref.attempt > 1;
  };
  world.run([&] { return !world.results().empty(); });
  ASSERT_EQ(world.results().size(), 1U) << world.where();
  EXPECT_EQ(world.results()[0].attempt, 2U);
  EXPECT_EQ(world.results()[0].contributors.size(), 5U);
}

// ---- the roster's validity

class RosterValidityAttack : public CoordinatorAttack {
 protected:
  // The test federation's roster is valid at 0 ms of wall time and no longer.
  node::round::SiteEffects tell_at(UnixMs at, MessageKind kind, ByteView payload) {
    node::round::MessageReceived event{scene.world.federation().from_coordinator(kind, payload), std::nullopt, at};
    if (kind == MessageKind::parameters) event.seed = seed_of("late", ++seeds_);
    return scene.world.site(kSite).step(std::move(event));
  }
  void expect_bound_to_validity(MessageKind request, MessageKind answer) {
    const auto held = scene.hold_to_site(kSite, request);
    for (const std::int64_t late : {std::int64_t{1}, std::int64_t{1} << 40U})
      expect_refused(tell_at(UnixMs{late}, request, held.payload()), RefusalReason::roster_expired);
    expect_sends(tell_at(UnixMs{0}, request, held.payload()), answer);  // the clock was put right: no restart is needed
  }

 private:
  std::uint64_t seeds_ = 0;
};

TEST_F(RosterValidityAttack, ParametersUnderARosterThatHasRunOutAreRefused) {
  expect_bound_to_validity(MessageKind::parameters, MessageKind::keys);
}
TEST_F(RosterValidityAttack, ASumUnderARosterThatHasRunOutIsNotSigned) {
  expect_bound_to_validity(MessageKind::consistency_request, MessageKind::consistency_signature);
}
TEST_F(RosterValidityAttack, NoShareIsReleasedUnderARosterThatHasRunOut) {
  expect_bound_to_validity(MessageKind::unmask_request, MessageKind::unmask_shares);
}

// Bytes that were released while the roster was valid can be sent again: the coordinator may have lost them.
TEST_F(RosterValidityAttack, WhatWasReleasedInTimeIsSentAgain) {
  const auto request = scene.hold_to_site(kSite, MessageKind::unmask_request);
  const auto first = tell_at(UnixMs{0}, MessageKind::unmask_request, request.payload());
  expect_sends(first, MessageKind::unmask_shares);
  const auto again = tell_at(UnixMs{5}, MessageKind::unmask_request, request.payload());
  expect_sends(again, MessageKind::unmask_shares);
  EXPECT_EQ(again.outbound.back().wire, first.outbound.back().wire);
}

// The coordinator keeps the roster without a revoked site to itself: the old one ends all the same, and with the new
// one the site goes on without a restart.
TEST_F(RosterValidityAttack, ACoordinatorThatWithholdsTheNewerRosterCannotKeepARevokedSiteBeyondTheOldOnesValidity) {
  auto p = parameters();
  expect_refused(tell_at(UnixMs{7}, MessageKind::parameters, p.encode()), RefusalReason::roster_expired);
  auto newer = scene.world.federation().roster();
  newer.epoch = 2;
  newer.hash[0] ^= 1U;
  newer.valid_until = UnixMs{10};
  scene.world.site(kSite).step(node::round::RosterAdopted{newer});
  const auto under_newer = [&](UnixMs at) {
    p.roster_hash = newer.hash;
    p.attempt += 1;
    auto opened = scene.world.federation().open_at_site(federation::messages::seal_message(
        {MessageKind::parameters, scene.world.federation().run(), std::nullopt, newer.epoch}, p.encode(),
        scene.world.federation().coordinator_key()));
    return scene.world.site(kSite).step(
        node::round::MessageReceived{std::move(*opened), seed_of("newer", p.attempt), at});
  };
  expect_sends(under_newer(UnixMs{7}), MessageKind::keys);
  expect_refused(under_newer(UnixMs{11}), RefusalReason::roster_expired);
}

}  // namespace
}  // namespace fovea::test

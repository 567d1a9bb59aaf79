// A dealer's fault that shows in R5 costs a round and nothing else: the sum is repeated with exactly the other sites.
#include "tests/simulation/bad_dealer.h"
#include "tests/unit/round/scene.h"

namespace fovea::test {
namespace {

using coordinator::round::RoundPhase;

std::vector<RosterIndex> sites_of(const World& world, const std::vector<SiteId>& ids) {
  std::vector<RosterIndex> out;
  for (const SiteId& id : ids) out.push_back(*world.federation().roster().index_of(id));
  return out;
}

// One sum came, of exactly these sites, after one round that `bad` spoilt. The world checks that it is their exact sum.
void expect_repeated(Scene& scene, const std::vector<RosterIndex>& contributors, const std::vector<RosterIndex>& bad) {
  World& world = scene.world;
  EXPECT_TRUE(world.violations().empty()) << world.violations().front();
  ASSERT_GE(world.results().size(), 1U) << world.where();
  const auto& result = world.results()[0];
  EXPECT_EQ(sites_of(world, result.contributors), contributors);
  ASSERT_GE(world.aborted().size(), 1U);
  EXPECT_EQ(world.aborted()[0].reason, RefusalReason::inconsistent_dealer);
  ASSERT_EQ(world.blamed().size(), bad.size());
  for (std::size_t i = 0; i < bad.size(); ++i) {
    EXPECT_EQ(world.blamed()[i].site, world.federation().id(bad[i]));
    EXPECT_EQ(world.blamed()[i].reason, RefusalReason::inconsistent_dealer);
    EXPECT_FALSE(world.blamed()[i].evidence.empty());
  }
  ASSERT_TRUE(result.evidence.parameters.repeats.has_value());
  EXPECT_EQ(result.evidence.parameters.candidates, contributors);
}

TEST(RepeatedSum, ADealerOfAnotherSeedIsNamedAndTheSumComesWithoutIt) {
  Scene scene(5, 2);
  scene.world.intercept = deal_another_seed(scene.world, 2);
  EXPECT_TRUE(scene.world.run()) << scene.world.where();
  expect_repeated(scene, {0, 1, 3, 4}, {2});
  EXPECT_EQ(scene.world.results()[0].evidence.parameters.repeats->released.round, 1U);
  EXPECT_EQ(scene.world.results()[0].evidence.parameters.repeats->encoded_for, 5U);
  EXPECT_EQ(scene.world.results()[0].round, 2U);
  // The round after is one like any other.
  EXPECT_FALSE(scene.world.results()[1].evidence.parameters.repeats.has_value());
  EXPECT_EQ(scene.world.results()[1].contributors.size(), 4U);
}

TEST(RepeatedSum, ADealerOfAnotherMaskKeyThatDroppedOutIsNamedAndTheSumComesFromTheSameSites) {
  Scene scene(5, 1);
  scene.world.intercept = deal_another_mask_key(scene.world, 4);
  EXPECT_TRUE(scene.world.run()) << scene.world.where();
  expect_repeated(scene, {0, 1, 2, 3}, {4});
}

TEST(RepeatedSum, DealersOfBothKindsInOneRoundAreNamed) {
  Scene scene(7, 1);
  scene.world.intercept = both(deal_another_seed(scene.world, 1), deal_another_mask_key(scene.world, 5));
  EXPECT_TRUE(scene.world.run()) << scene.world.where();
  expect_repeated(scene, {0, 2, 3, 4, 6}, {1, 5});
  EXPECT_EQ(scene.world.aborted().size(), 1U);
}

TEST(RepeatedSum, SeveralDealersInOneRoundAreNamed) {
  Scene scene(7, 1);
  scene.world.intercept = both(deal_another_seed(scene.world, 0), deal_another_seed(scene.world, 6));
  EXPECT_TRUE(scene.world.run()) << scene.world.where();
  expect_repeated(scene, {1, 2, 3, 4, 5}, {0, 6});
  EXPECT_EQ(scene.world.aborted().size(), 1U);
}

TEST(RepeatedSum, AFurtherDealerFoundInTheRepetitionShrinksTheSumOnceMore) {
  Scene scene(7, 1);
  scene.world.intercept = both(deal_another_seed(scene.world, 3), deal_another_seed(scene.world, 4, 2, 2));
  EXPECT_TRUE(scene.world.run()) << scene.world.where();
  expect_repeated(scene, {0, 1, 2, 5, 6}, {3, 4});
  EXPECT_EQ(scene.world.aborted().size(), 2U);
  EXPECT_EQ(scene.world.results()[0].evidence.parameters.repeats->released.round, 2U);
  EXPECT_EQ(scene.world.results()[0].evidence.parameters.repeats->encoded_for,
            7U);  // the words are those of the first attempt
}

TEST(RepeatedSum, BelowThePlansSmallestCohortTheRunEndsWithItsReason) {
  Scene scene({.sites = 5, .seed = 7, .rounds = 1, .faults = {}, .cohort_smallest = 5});
  scene.world.intercept = deal_another_seed(scene.world, 0);
  scene.world.run([&] { return !scene.world.aborted().empty(); });
  ASSERT_EQ(scene.world.aborted().size(), 1U);
  EXPECT_EQ(scene.world.aborted()[0].reason, RefusalReason::model_already_released);
  EXPECT_FALSE(scene.world.aborted()[0].repeat.has_value());
  EXPECT_NE(scene.world.aborted()[0].detail.find("the plan asks for 5"), std::string::npos)
      << scene.world.aborted()[0].detail;
  EXPECT_TRUE(scene.world.results().empty());
  EXPECT_TRUE(scene.world.violations().empty());
}

// A site's own policy is stricter than the plan: it says so, and the run ends.
TEST(RepeatedSum, ASiteThatAsksForALargerCohortEndsTheRunWithItsReason) {
  Scene scene(5, 1);
  World& world = scene.world;
  world.intercept = deal_another_seed(world, 2);
  auto policy = world.policy();
  policy.cohort_min = 5;
  world.site(3).step(node::round::PolicyChanged{policy});
  world.run([&] { return world.aborted().size() == 2; });
  ASSERT_EQ(world.aborted().size(), 2U);
  EXPECT_EQ(world.aborted()[1].reason, RefusalReason::model_already_released);
  EXPECT_FALSE(world.aborted()[1].repeat.has_value());
  EXPECT_NE(world.aborted()[1].detail.find(world.federation().id(3).text() + " (cohort-too-small)"), std::string::npos)
      << world.aborted()[1].detail;
  EXPECT_TRUE(world.violations().empty());
}

// ---- who is missing

bool is_of_repetition(const World& world) { return world.aborted().size() >= 1; }

TEST(RepeatedSum, ASiteThatIsAwayIsWaitedForAndNoSmallerSumIsReleased) {
  for (const MessageKind lost :
       {MessageKind::training_ready, MessageKind::keys, MessageKind::shares, MessageKind::masked_statement}) {
    Scene scene(5, 1);
    World& world = scene.world;
    world.intercept = both(deal_another_seed(world, 2), [&](Delivery& delivery) {
      const bool away = is_of_repetition(world) && world.now_ms() < 12'000 && delivery.site == 4;
      return !away || federation::messages::claimed_kind(delivery.wire).value() != lost;
    });
    EXPECT_TRUE(world.run()) << federation::messages::to_string(lost) << world.where();
    expect_repeated(scene, {0, 1, 3, 4}, {2});
    EXPECT_GT(world.now_ms(), 12'000) << federation::messages::to_string(lost);
  }
}

// R4 is past then: the statement is over all of them, and t sites are enough to open it.
TEST(RepeatedSum, ASiteThatLeavesAfterItsVectorIsInTheSum) {
  Scene scene(5, 1);
  World& world = scene.world;
  bool gone = false;
  world.intercept = both(deal_another_seed(world, 2), [&](Delivery& delivery) {
    if (!is_of_repetition(world) || delivery.site != 4) return true;
    if (gone) return false;
    gone = federation::messages::claimed_kind(delivery.wire).value() == MessageKind::masked_statement;
    return true;
  });
  world.run([&] { return !world.results().empty(); });
  EXPECT_TRUE(world.violations().empty());
  EXPECT_TRUE(world.results().empty());  // three of four sign, which is t − 1 of the plan
  Scene larger(7, 1);
  gone = false;
  larger.world.intercept = both(deal_another_seed(larger.world, 2), [&](Delivery& delivery) {
    if (!is_of_repetition(larger.world) || delivery.site != 4) return true;
    if (gone) return false;
    gone = federation::messages::claimed_kind(delivery.wire).value() == MessageKind::masked_statement;
    return true;
  });
  larger.world.run([&] { return !larger.world.results().empty(); });
  expect_repeated(larger, {0, 1, 3, 4, 5, 6}, {2});
}

TEST(RepeatedSum, WithoutOneSiteForGoodNothingIsReleasedAndTheReasonSaysSo) {
  Scene scene(5, 1);
  World& world = scene.world;
  world.intercept = both(deal_another_seed(world, 2),
                         [&](Delivery& delivery) { return !is_of_repetition(world) || delivery.site != 0; });
  world.run([&] { return world.aborted().size() == 2; });
  ASSERT_EQ(world.aborted().size(), 2U);
  EXPECT_EQ(world.aborted()[1].reason, RefusalReason::deadline_passed);
  EXPECT_NE(world.aborted()[1].detail.find("with all 4 or not at all"), std::string::npos) << world.aborted()[1].detail;
  ASSERT_TRUE(world.aborted()[1].repeat.has_value());  // it may still come
  EXPECT_EQ(world.aborted()[1].repeat->encode(), world.aborted()[0].repeat->encode());
  EXPECT_TRUE(world.violations().empty());
}

// Shares of the repetition were released, too few for its sum: nothing shrinks it any more, and the run ends as any
// other does.
TEST(RepeatedSum, ARepetitionThatCannotBeOpenedIsNotRepeatedAgain) {
  Scene scene(5, 1);
  World& world = scene.world;
  world.intercept = both(deal_another_seed(world, 2), [&](Delivery& delivery) {
    return !is_of_repetition(world) || delivery.site > 1 ||
           federation::messages::claimed_kind(delivery.wire).value() != MessageKind::unmask_shares;
  });
  world.run([&] { return world.aborted().size() == 3; });
  ASSERT_EQ(world.aborted().size(), 3U);
  EXPECT_FALSE(world.aborted()[1].repeat.has_value());
  EXPECT_EQ(world.aborted()[2].reason, RefusalReason::model_already_released);
  EXPECT_TRUE(world.violations().empty());
}

// ---- restarts

TEST(RepeatedSum, TheCoordinatorRestartsInEveryPhaseOfTheRepetition) {
  for (const RoundPhase at :
       {RoundPhase::announced, RoundPhase::collecting_keys, RoundPhase::collecting_shares,
        RoundPhase::collecting_masked, RoundPhase::collecting_consistency, RoundPhase::collecting_unmask}) {
    Scene scene(5, 1);
    World& world = scene.world;
    world.intercept = deal_another_seed(world, 2);
    bool killed = false;
    world.run([&] {
      return is_of_repetition(world) && world.coordinator().phase() == at && std::exchange(killed, true) == false;
    });
    ASSERT_TRUE(killed) << coordinator::round::to_string(at);
    world.kill_coordinator(100);
    EXPECT_TRUE(world.run()) << coordinator::round::to_string(at) << world.where();
    expect_repeated(scene, {0, 1, 3, 4}, {2});
  }
}

// It was asking for shares when it fell over: the evidence is in its journal.
TEST(RepeatedSum, TheCoordinatorRestartsBeforeItFindsTheFault) {
  Scene scene(5, 1);
  World& world = scene.world;
  world.intercept = deal_another_seed(world, 2);
  world.run([&] { return world.coordinator().phase() == RoundPhase::collecting_unmask; });
  world.kill_coordinator(100);
  EXPECT_TRUE(world.run()) << world.where();
  expect_repeated(scene, {0, 1, 3, 4}, {2});
}

TEST(RepeatedSum, EachSiteRestartsInEveryPhaseOfTheRepetition) {
  for (const RosterIndex site : {RosterIndex{0}, RosterIndex{4}})
    for (const node::round::SitePhase at :
         {node::round::SitePhase::unmasked, node::round::SitePhase::ready, node::round::SitePhase::keys_sent,
          node::round::SitePhase::shares_sent, node::round::SitePhase::masked_sent,
          node::round::SitePhase::consistency_signed}) {
      Scene scene(5, 1);
      World& world = scene.world;
      world.intercept = deal_another_seed(world, 2);
      bool killed = false;
      world.run([&] {
        return is_of_repetition(world) && world.site(site).phase() == at && std::exchange(killed, true) == false;
      });
      ASSERT_TRUE(killed) << node::round::to_string(at);
      world.kill_site(site, 300);
      EXPECT_TRUE(world.run()) << node::round::to_string(at) << world.where();
      expect_repeated(scene, {0, 1, 3, 4}, {2});
    }
}

TEST(RepeatedSum, ASiteThatWasAwayFollowsTheRepeatedSum) {
  Scene scene(6, 1);
  World& world = scene.world;
  bool away = true;
  world.intercept = both(deal_another_seed(world, 2), [&](Delivery& delivery) { return !away || delivery.site != 5; });
  world.run([&] { return !world.results().empty(); });
  away = false;
  EXPECT_TRUE(world.run()) << world.where();
  expect_repeated(scene, {0, 1, 3, 4}, {2});
  EXPECT_EQ(world.site(5).last_round(), world.results()[0].round);
}

}  // namespace
}  // namespace fovea::test

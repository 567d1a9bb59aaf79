// Rounds of more than 128 sites: secrets and masks with neighbours only. 140 sites, of which 7 may be corrupt and 14 lost.
#include "coordinator/round/round_core.h"
#include "federation/secagg/epoch_beacon.h"
#include "tests/unit/round/scene.h"

namespace fovea::test {
namespace {

constexpr std::size_t kSites = 140;
constexpr RosterIndex kSite = 5;

WorldOptions sparse_options(RoundNumber rounds = 1) {
  return {.sites = kSites, .seed = 21, .rounds = rounds, .faults = {},
          .thresholds = federation::Thresholds{.colluders_max = 7, .threshold = 126, .honest_min = 3}};
}

// Loses each message of `kind` from these sites to the coordinator.
void lose(World& world, MessageKind kind, std::set<RosterIndex> sites) {
  const auto before = world.intercept;
  world.intercept = [&world, kind, sites = std::move(sites), before](Delivery& delivery) {
    if (before && !before(delivery)) return false;
    if (delivery.direction != Direction::to_coordinator || !sites.contains(delivery.site)) return true;
    return world.federation().open_at_coordinator(delivery.site, delivery.wire)->kind() != kind;
  };
}

std::vector<RosterIndex> indices(const World& world, const std::vector<SiteId>& ids) {
  std::vector<RosterIndex> out;
  for (const SiteId& id : ids) out.push_back(*world.federation().roster().index_of(id));
  return out;
}

std::string told(const World& world) {
  std::string text;
  for (const std::string& violation : world.violations()) text += violation + "\n";
  for (const auto& aborted : world.aborted()) text += "aborted: " + aborted.detail + "\n";
  return text;
}

TEST(SparseRound, DropOutsAtEveryStepLeaveTheExactSumOfTheRest) {
  World world(sparse_options());
  lose(world, MessageKind::keys, {0, 1});
  lose(world, MessageKind::shares, {10, 11, 12});
  lose(world, MessageKind::masked_statement, {20, 21, 22, 23});
  lose(world, MessageKind::consistency_signature, {30, 31});
  lose(world, MessageKind::unmask_shares, {40});
  ASSERT_TRUE(world.run()) << told(world) << world.where();
  EXPECT_TRUE(world.violations().empty()) << told(world);  // the sum is the indicator of the contributors: checked inside
  const auto& result = world.results().front();
  ASSERT_TRUE(result.evidence.parameters.graph.has_value());
  const auto k = result.evidence.parameters.graph->neighbours;
  EXPECT_LT(k, 64);
  EXPECT_EQ(result.attempt, 1U);
  std::vector<RosterIndex> expected;
  for (RosterIndex i = 0; i < kSites; ++i)
    if (i > 1 && (i < 10 || i > 12) && (i < 20 || i > 23)) expected.push_back(i);
  EXPECT_EQ(indices(world, result.contributors), expected);
  EXPECT_EQ(result.evidence.survivors.size(), kSites - 5);
  // Nobody dealt to, or released for, more than its neighbours.
  std::size_t dealt = 0;
  for (const Delivery& delivery : world.trace()) {
    if (delivery.direction != Direction::to_coordinator) continue;
    const auto opened = world.federation().open_at_coordinator(delivery.site, delivery.wire);
    if (opened->kind() == MessageKind::shares) {
      ++dealt;
      EXPECT_LE(federation::SharesMessage::decode(opened->payload())->shares.size(), k);
    }
    if (opened->kind() == MessageKind::unmask_shares) {
      EXPECT_LE(federation::UnmaskShares::decode(opened->payload())->shares.size(), k);
    }
  }
  EXPECT_EQ(dealt, kSites - 5);
}

TEST(SparseRound, ANeighbourhoodBelowTheThresholdIsTriedAgain) {
  World world(sparse_options());
  std::set<RosterIndex> silent;
  world.intercept = [&](Delivery& delivery) {
    if (delivery.direction == Direction::to_site) {
      // Once the graph is known, all but t − 1 neighbours of one site lose their vectors in the first attempt.
      const auto opened = world.federation().open_at_site(delivery.wire);
      if (opened->kind() != MessageKind::parameters || !silent.empty()) return true;
      const auto p = federation::RoundParameters::decode(opened->payload()).value();
      const auto context = federation::AttemptContext::begin(p);
      std::vector<RosterIndex> neighbours = context.holders(kSite, p.candidates);
      neighbours.resize(neighbours.size() - (p.thresholds.threshold - 1));
      silent.insert(neighbours.begin(), neighbours.end());
      return true;
    }
    const auto opened = world.federation().open_at_coordinator(delivery.site, delivery.wire);
    if (opened->kind() != MessageKind::masked_statement || !silent.contains(delivery.site)) return true;
    return federation::MaskedStatement::decode(opened->payload())->ref.attempt > 1;
  };
  ASSERT_TRUE(world.run()) << told(world) << world.where();
  EXPECT_TRUE(world.violations().empty()) << told(world);
  EXPECT_LE(silent.size(), 14U);  // so it was the neighbourhood that was too small, not the whole
  EXPECT_EQ(world.results().front().attempt, 2U);
  EXPECT_EQ(world.results().front().contributors.size(), kSites);
}

// Against the plain definition: the largest set in which everybody has t neighbours is what is left when all who lack them go at once, again and again.
TEST(SparseRound, WhoHasTooFewNeighboursLeftIsLeftOut) {
  federation::RoundParameters p;
  p.thresholds.threshold = 3;
  p.graph = federation::GraphParameters{.roster_sites = 24, .neighbours = 6, .survivors_min = 2, .beacon = Digest{5}};
  const auto context = federation::AttemptContext::begin(p);
  crypto::SeededRandom random(seed_of("prune", 1));
  std::size_t pruned_sets = 0;
  for (int turn = 0; turn < 200; ++turn) {
    std::array<std::uint8_t, 24> bytes{};
    random.fill(bytes);
    std::vector<RosterIndex> sites;
    for (RosterIndex site = 0; site < 24; ++site)
      if (bytes[site] % 3 != 0) sites.push_back(site);
    std::vector<RosterIndex> expected = sites;
    for (std::size_t before = 0; before != expected.size();) {
      before = expected.size();
      const std::vector<RosterIndex> all = expected;
      std::erase_if(expected, [&](RosterIndex site) { return context.count_holders(site, all) < 3; });
    }
    std::vector<RosterIndex> left = sites;
    const auto pruned = coordinator::prune_isolated(context, left);
    EXPECT_EQ(left, expected) << "turn " << turn;
    EXPECT_EQ(left.size() + pruned.size(), sites.size());
    if (!pruned.empty()) ++pruned_sets;
  }
  EXPECT_GT(pruned_sets, 20U);
  EXPECT_LT(pruned_sets, 200U);
}

TEST(SparseRound, SitesAndCoordinatorRestartedInMidRoundFinishIt) {
  World world(sparse_options());
  bool site_killed = false;
  bool coordinator_killed = false;
  world.run([&] {
    if (!site_killed && world.site(kSite).phase() == node::SitePhase::consistency_signed) {
      world.kill_site(kSite, 300);
      return site_killed = true;
    }
    return false;
  });
  world.run([&] {
    if (!coordinator_killed && world.coordinator().phase() == coordinator::RoundPhase::collecting_unmask) {
      world.kill_coordinator(500);
      return coordinator_killed = true;
    }
    return false;
  });
  ASSERT_TRUE(world.run()) << told(world) << world.where();
  EXPECT_TRUE(site_killed && coordinator_killed);
  EXPECT_TRUE(world.violations().empty()) << told(world);

  // What came out holds, and not with fewer signatures around any one site.
  const federation::Roster& roster = world.federation().roster();
  federation::RoundEvidence evidence = world.results().front().evidence;
  EXPECT_FALSE(federation::check_evidence(evidence, roster).has_value());
  const auto context = federation::AttemptContext::begin(evidence.parameters);
  const auto t = evidence.parameters.thresholds.threshold;
  std::size_t kept = 0;
  std::erase_if(evidence.signatures, [&](const auto& entry) { return context.are_neighbours(entry.site, kSite) && ++kept >= t; });
  EXPECT_GT(evidence.signatures.size(), std::size_t{100});
  const auto refused = federation::check_evidence(evidence, roster);
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->reason, RefusalReason::too_few_signatures);
  federation::Roster larger = roster;
  larger.sites.push_back(roster.sites.back());
  EXPECT_EQ(federation::check_evidence(world.results().front().evidence, larger)->reason, RefusalReason::graph_differs);
}

// ---- a malicious coordinator

class SparseAttack : public ::testing::Test {
 protected:
  Scene scene{sparse_options()};
  node::SiteEffects tell(MessageKind kind, ByteView payload) { return scene.tell(kSite, kind, payload); }

  template <class Message>
  void refused(const Message& honest, MessageKind kind, RefusalReason reason, const std::function<void(Message&)>& forge) {
    Message forged = honest;
    forge(forged);
    expect_refused(tell(kind, forged.encode()), reason);
  }
};

TEST_F(SparseAttack, AnotherGraphThanTheBeaconsIsRefused) {
  using P = federation::RoundParameters;
  const auto honest = P::decode(scene.hold_to_site(kSite, MessageKind::parameters).payload()).value();
  const auto kind = MessageKind::parameters;
  refused<P>(honest, kind, RefusalReason::beacon_differs, [](P& p) { p.graph->beacon[0] ^= 1; });
  refused<P>(honest, kind, RefusalReason::graph_differs, [](P& p) { p.graph->roster_sites += 1; });
  refused<P>(honest, kind, RefusalReason::threshold_too_low, [](P& p) { p.graph->neighbours -= 8; });
  refused<P>(honest, kind, RefusalReason::threshold_too_low, [](P& p) { p.thresholds.threshold = p.graph->neighbours / 2 + 1; });
  refused<P>(honest, kind, RefusalReason::threshold_too_low, [](P& p) { p.graph->survivors_min = 40; });
  refused<P>(honest, kind, RefusalReason::honest_too_few, [](P& p) { p.graph->survivors_min = 9; });
  refused<P>(honest, kind, RefusalReason::malformed, [](P& p) { p.graph.reset(); });
  refused<P>(honest, kind, RefusalReason::malformed, [](P& p) { p.candidates.resize(128); });
  refused<P>(honest, kind, RefusalReason::malformed, [](P& p) { p.thresholds.threshold = p.graph->neighbours + 1; });
  refused<P>(honest, kind, RefusalReason::malformed, [](P& p) { p.graph->neighbours += 1; });
  expect_sends(tell(kind, honest.encode()), MessageKind::keys);
}

TEST_F(SparseAttack, TooFewNeighboursAreRefusedAtEveryStep) {
  const auto p = federation::RoundParameters::decode(scene.hold_to_site(kSite, MessageKind::parameters).payload()).value();
  const auto context = federation::AttemptContext::begin(p);
  const std::vector<RosterIndex> neighbours = context.holders(kSite, p.candidates);
  const std::size_t too_many = neighbours.size() - p.thresholds.threshold + 1;
  const std::set<RosterIndex> lost(neighbours.begin(), neighbours.begin() + static_cast<std::ptrdiff_t>(too_many));
  ASSERT_LE(lost.size(), 14U);
  const auto without = [&](auto& list, auto key) { std::erase_if(list, [&](const auto& entry) { return lost.contains(key(entry)); }); };

  scene.world.intercept = nullptr;
  const auto keys = federation::KeyList::decode(scene.hold_to_site(kSite, MessageKind::key_list).payload()).value();
  refused<federation::KeyList>(keys, MessageKind::key_list, RefusalReason::too_few_survivors,
                               [&](auto& m) { without(m.keys, [](const auto& e) { return e.site; }); });
  expect_sends(tell(MessageKind::key_list, keys.encode()), MessageKind::shares);
}

TEST_F(SparseAttack, TooFewNeighboursInU2OrU3AreRefused) {
  const auto routed = federation::RoutedShares::decode(scene.hold_to_site(kSite, MessageKind::routed_shares).payload()).value();
  const std::size_t neighbours = routed.shares.size();
  federation::RoutedShares few = routed;
  for (std::size_t i = 0; i < 14; ++i) std::erase(few.survivors, routed.shares[i].peer);
  few.shares.erase(few.shares.begin(), few.shares.begin() + 14);
  EXPECT_LT(neighbours - 14, 24U);
  expect_refused(tell(MessageKind::routed_shares, few.encode()), RefusalReason::too_few_survivors);
  auto short_of_one = routed;
  short_of_one.shares.pop_back();
  expect_refused(tell(MessageKind::routed_shares, short_of_one.encode()), RefusalReason::survivors_not_subset);
  auto fewer = routed;
  std::erase_if(fewer.survivors, [&](RosterIndex site) {
    return site != kSite && site > 100 && std::none_of(routed.shares.begin(), routed.shares.end(), [&](const auto& s) { return s.peer == site; });
  });
  expect_refused(tell(MessageKind::routed_shares, fewer.encode()), RefusalReason::too_few_survivors);  // in all, not next to it

  scene.world.intercept = nullptr;
  const auto request = federation::ConsistencyRequest::decode(scene.hold_to_site(kSite, MessageKind::consistency_request).payload()).value();
  federation::ConsistencyRequest cut = request;
  for (std::size_t i = 0; i < 14; ++i)
    std::erase_if(cut.committed, [&](const auto& entry) { return entry.site == routed.shares[i].peer; });
  expect_refused(tell(MessageKind::consistency_request, cut.encode()), RefusalReason::too_few_survivors);
  expect_sends(tell(MessageKind::consistency_request, request.encode()), MessageKind::consistency_signature);
}

// An index that no site of the roster has, in each list that is looked at beside the graph.
TEST_F(SparseAttack, SitesThatDoNotExistAreRefusedInEveryList) {
  static constexpr RosterIndex kNobody = 65535;
  const auto keys = federation::KeyList::decode(scene.hold_to_site(kSite, MessageKind::key_list).payload()).value();
  const auto not_subset = RefusalReason::survivors_not_subset;
  refused<federation::KeyList>(keys, MessageKind::key_list, not_subset, [](auto& m) { m.keys.push_back({kNobody, m.keys.back().keys}); });

  scene.world.intercept = nullptr;
  const auto routed = federation::RoutedShares::decode(scene.hold_to_site(kSite, MessageKind::routed_shares).payload()).value();
  refused<federation::RoutedShares>(routed, MessageKind::routed_shares, not_subset, [](auto& m) { m.survivors.push_back(kNobody); });

  scene.world.intercept = nullptr;
  const auto request = federation::ConsistencyRequest::decode(scene.hold_to_site(kSite, MessageKind::consistency_request).payload()).value();
  refused<federation::ConsistencyRequest>(request, MessageKind::consistency_request, not_subset, [](auto& m) {
    m.committed.push_back(m.committed.back());
    m.committed.back().site = kNobody;
  });

  scene.world.intercept = nullptr;
  const auto evidence = federation::RoundEvidence::decode(scene.hold_to_site(kSite, MessageKind::round_evidence).payload()).value();
  using Evidence = federation::RoundEvidence;
  const auto kind = MessageKind::round_evidence;
  refused<Evidence>(evidence, kind, not_subset, [](auto& m) { m.signatures.push_back({kNobody, m.signatures.back().signature}); });
  refused<Evidence>(evidence, kind, RefusalReason::beacon_differs, [](auto& m) { m.parameters.graph->beacon[0] ^= 1; });
  refused<Evidence>(evidence, kind, RefusalReason::threshold_too_low, [](auto& m) { m.parameters.graph->neighbours -= 8; });
  refused<Evidence>(evidence, kind, RefusalReason::honest_too_few, [](auto& m) { m.parameters.graph->survivors_min = 9; });

  // Who was away when the beacon was drawn checks all but the positions.
  auto absent = node::SiteMachine::create(scene.world.federation().site_config(kSite, scene.world.policy()), {}).value();
  absent.step(scene.world.initial_model());
  const auto publish = [&](const Evidence& e) {
    return absent.step(node::MessageReceived{scene.world.federation().from_coordinator(kind, e.encode()), std::nullopt});
  };
  auto small = evidence;
  small.parameters.graph->neighbours -= 8;
  expect_refused(publish(small), RefusalReason::threshold_too_low);
  EXPECT_FALSE(publish(evidence).refusal.has_value());
  EXPECT_FALSE(tell(kind, evidence.encode()).refusal.has_value());
}

TEST_F(SparseAttack, OnlyTheSignaturesOfNeighboursCount) {
  const auto honest = federation::UnmaskRequest::decode(scene.hold_to_site(kSite, MessageKind::unmask_request).payload()).value();
  const auto kind = MessageKind::unmask_request;
  using Request = federation::UnmaskRequest;
  const std::uint32_t t = federation::choose_neighbours({kSites, 7, 14, 40, 20})->threshold;
  ASSERT_GE(honest.signatures.size(), t);
  refused<Request>(honest, kind, RefusalReason::too_few_signatures, [t](Request& m) { m.signatures.resize(t - 1); });
  refused<Request>(honest, kind, RefusalReason::bad_signature, [](Request& m) { m.signatures[3].signature[0] ^= 1; });
  refused<Request>(honest, kind, RefusalReason::survivors_not_subset, [&](Request& m) {
    // The site's own signature, and that of a site that is not next to it.
    for (RosterIndex site = 0; site < kSites; ++site) {
      const bool counted = std::any_of(m.signatures.begin(), m.signatures.end(), [&](const auto& e) { return e.site == site; });
      if (counted) continue;
      m.signatures.push_back({site, m.signatures.front().signature});
      break;
    }
    std::sort(m.signatures.begin(), m.signatures.end(), [](const auto& a, const auto& b) { return a.site < b.site; });
  });
  expect_sends(tell(kind, honest.encode()), MessageKind::unmask_shares);
}

// ---- the beacon

class BeaconAttack : public SparseAttack {
 protected:
  const Digest& roster() const { return scene.world.federation().roster().hash; }
};

TEST_F(BeaconAttack, ANonceIsShownForOneListOnly) {
  const auto list = federation::BeaconCommitments::decode(scene.hold_to_site(kSite, MessageKind::beacon_commitments).payload()).value();
  const auto kind = MessageKind::beacon_commitments;
  using List = federation::BeaconCommitments;
  refused<List>(list, kind, RefusalReason::roster_differs, [](List& m) { m.roster[0] ^= 1; });
  refused<List>(list, kind, RefusalReason::beacon_differs, [](List& m) { m.sites.pop_back(); });
  refused<List>(list, kind, RefusalReason::bad_signature, [](List& m) { m.sites[7].commitment[0] ^= 1; });
  refused<List>(list, kind, RefusalReason::bad_signature, [](List& m) { std::swap(m.sites[7], m.sites[8]); });
  const auto& identity = scene.world.federation().identity(9);
  // Site 9 works with the coordinator: it signs a second commitment once the nonces are known.
  List second = list;
  second.sites[9] = federation::commit_to_beacon(identity, roster(), 9);
  const auto first = tell(kind, list.encode());
  expect_sends(first, MessageKind::beacon_nonce);
  ASSERT_EQ(first.site_register.size(), 1U);  // durable before the nonce leaves
  expect_sends(tell(kind, list.encode()), MessageKind::beacon_nonce);
  second.sites[9].commitment[0] ^= 1;
  expect_refused(tell(kind, second.encode()), RefusalReason::beacon_differs);
  // Nor after a restart.
  std::vector<Bytes> kept = first.site_register;
  auto restarted = node::SiteMachine::create(scene.world.federation().site_config(kSite, scene.world.policy()), {}, kept).value();
  expect_refused(restarted.step(node::MessageReceived{scene.world.federation().from_coordinator(kind, second.encode()), std::nullopt}),
                 RefusalReason::beacon_differs);
}

TEST_F(BeaconAttack, AnotherCommitmentForThisSiteIsRefused) {
  auto list = federation::BeaconCommitments::decode(scene.hold_to_site(kSite, MessageKind::beacon_commitments).payload()).value();
  // Signed by this site, but for another roster: the signature does not hold here.
  list.sites[kSite] = federation::commit_to_beacon(scene.world.federation().identity(kSite), Digest{1}, kSite);
  expect_refused(tell(MessageKind::beacon_commitments, list.encode()), RefusalReason::bad_signature);
}

TEST_F(BeaconAttack, ABeaconOfOtherNoncesOrCommitmentsIsRefused) {
  const auto honest = federation::BeaconTranscript::decode(scene.hold_to_site(kSite, MessageKind::beacon).payload()).value();
  const auto kind = MessageKind::beacon;
  using Beacon = federation::BeaconTranscript;
  refused<Beacon>(honest, kind, RefusalReason::beacon_differs, [](Beacon& m) { m.nonces[4][0] ^= 1; });
  refused<Beacon>(honest, kind, RefusalReason::beacon_differs, [](Beacon& m) { m.nonces.clear(); });
  refused<Beacon>(honest, kind, RefusalReason::beacon_differs, [](Beacon& m) { m.commitments.sites[4].commitment[0] ^= 1; });
  const auto adopted = tell(kind, honest.encode());
  EXPECT_FALSE(adopted.refusal.has_value());
  EXPECT_EQ(adopted.site_register.size(), 1U);
  EXPECT_TRUE(tell(kind, honest.encode()).site_register.empty());
}

TEST(Beacon, DependsOnEveryNonceAndOnTheRoster) {
  const TestFederation federation(3);
  const auto draw = [&](const Digest& roster) {
    federation::BeaconTranscript out{.commitments = {.roster = roster, .sites = {}}, .nonces = {}};
    for (RosterIndex site = 0; site < 3; ++site) {
      out.commitments.sites.push_back(federation::commit_to_beacon(federation.identity(site), roster, site));
      out.nonces.push_back(federation::beacon_nonce(federation.identity(site), roster));
    }
    return out;
  };
  const auto one = draw(federation.roster().hash);
  EXPECT_FALSE(federation::check_commitments(one.commitments, federation.roster()).has_value());
  EXPECT_FALSE(federation::check_nonces(one).has_value());
  EXPECT_EQ(federation::beacon_of(one), federation::beacon_of(draw(federation.roster().hash)));
  EXPECT_NE(federation::beacon_of(one), federation::beacon_of(draw(Digest{4})));
  for (std::size_t site = 0; site < 3; ++site) {
    auto other = one;
    other.nonces[site][5] ^= 1;
    EXPECT_NE(federation::beacon_of(one), federation::beacon_of(other));
  }
}

// The parameters of the first attempt, when these sites' messages of a kind are lost.
federation::RoundParameters first_parameters(MessageKind lost, const std::set<RosterIndex>& sites, const WorldOptions& options) {
  World world(options);
  federation::RoundParameters out;
  world.intercept = [&](Delivery& delivery) {
    if (delivery.direction == Direction::to_coordinator || out.round != 0) return true;
    const auto opened = world.federation().open_at_site(delivery.wire);
    if (opened->kind() == MessageKind::parameters) out = federation::RoundParameters::decode(opened->payload()).value();
    return true;
  };
  lose(world, lost, sites);
  lose(world, MessageKind::beacon_commitment, {3});
  world.run([&] { return out.round != 0; });
  EXPECT_LT(world.now_ms(), 4'000);
  return out;
}

TEST(Beacon, WithoutOneAsManySitesTakePartAsTheCompleteGraphTakes) {
  const auto p = first_parameters(MessageKind::hello, {}, sparse_options());
  EXPECT_EQ(p.candidates.size(), 128U);
  EXPECT_FALSE(p.graph.has_value());
}

TEST(Beacon, IsNotWaitedForWhereFewerSitesAreReady) {
  std::set<RosterIndex> away;
  for (RosterIndex site = 10; site < 23; ++site) away.insert(site);
  const auto p = first_parameters(MessageKind::training_ready, away, sparse_options());
  EXPECT_EQ(p.candidates.size(), kSites - away.size());
  EXPECT_FALSE(p.graph.has_value());
}

TEST(Beacon, ASmallestCohortAboveTheCompleteGraphWaitsForIt) {
  auto options = sparse_options();
  options.thresholds->threshold = 130;
  World world(options);
  lose(world, MessageKind::beacon_commitment, {3});
  world.run([&] { return !world.aborted().empty(); });
  ASSERT_FALSE(world.aborted().empty());
  EXPECT_EQ(world.aborted().front().reason, RefusalReason::beacon_differs);
  EXPECT_NE(world.aborted().front().detail.find("site-003"), std::string::npos) << world.aborted().front().detail;
  EXPECT_TRUE(world.results().empty());
}

TEST(Beacon, ASiteThatSignsNoProperCommitmentIsBlamed) {
  World world(sparse_options());
  world.intercept = [&](Delivery& delivery) {
    if (delivery.direction != Direction::to_coordinator || delivery.site != 3) return true;
    const auto opened = world.federation().open_at_coordinator(3, delivery.wire);
    if (opened->kind() != MessageKind::beacon_commitment) return true;
    auto message = federation::BeaconCommitmentMessage::decode(opened->payload()).value();
    message.commitment.commitment[0] ^= 1;
    delivery.wire = world.federation().from_site(3, MessageKind::beacon_commitment, message.encode()).wire();
    return true;
  };
  world.run([&] { return !world.blamed().empty(); });
  ASSERT_FALSE(world.blamed().empty());
  EXPECT_EQ(world.blamed().front().site, world.federation().id(3));
  EXPECT_EQ(world.blamed().front().reason, RefusalReason::bad_signature);
  EXPECT_TRUE(world.results().empty());
}

}  // namespace
}  // namespace fovea::test

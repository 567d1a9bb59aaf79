// The beacon that draws the neighbours of a sparse round: no site and no coordinator chooses it.
#include "federation/secagg/epoch_beacon.h"
#include "tests/unit/round/scene.h"
#include "tests/unit/round/sparse_world.h"

namespace fovea::test {
namespace {

class BeaconAttack : public ::testing::Test {
 protected:
  Scene scene{sparse_options()};
  node::round::SiteEffects tell(MessageKind kind, ByteView payload) { return scene.tell(kSite, kind, payload); }
  template <class Message>
  void refused(const Message& honest, MessageKind kind, RefusalReason reason,
               const std::function<void(Message&)>& forge) {
    Message forged = honest;
    forge(forged);
    expect_refused(tell(kind, forged.encode()), reason);
  }
  const Digest& roster() const { return scene.world.federation().roster().hash; }
};

TEST_F(BeaconAttack, ANonceIsShownForOneListOnly) {
  const auto list = federation::messages::BeaconCommitments::decode(
                        scene.hold_to_site(kSite, MessageKind::beacon_commitments).payload())
                        .value();
  const auto kind = MessageKind::beacon_commitments;
  using List = federation::messages::BeaconCommitments;
  refused<List>(list, kind, RefusalReason::roster_differs, [](List& m) { m.roster[0] ^= 1; });
  refused<List>(list, kind, RefusalReason::beacon_differs, [](List& m) { m.sites.pop_back(); });
  refused<List>(list, kind, RefusalReason::bad_signature, [](List& m) { m.sites[7].commitment[0] ^= 1; });
  refused<List>(list, kind, RefusalReason::bad_signature, [](List& m) { std::swap(m.sites[7], m.sites[8]); });
  const auto& identity = scene.world.federation().identity(9);
  // Site 9 works with the coordinator: it signs a second commitment once the nonces are known.
  List second = list;
  second.sites[9] = federation::secagg::commit_to_beacon(identity, roster(), 9);
  const auto first = tell(kind, list.encode());
  expect_sends(first, MessageKind::beacon_nonce);
  ASSERT_EQ(first.site_register.size(), 1U);  // durable before the nonce leaves
  expect_sends(tell(kind, list.encode()), MessageKind::beacon_nonce);
  second.sites[9].commitment[0] ^= 1;
  expect_refused(tell(kind, second.encode()), RefusalReason::beacon_differs);
  // Nor after a restart.
  std::vector<Bytes> kept = first.site_register;
  auto restarted =
      node::round::SiteMachine::create(scene.world.federation().site_config(kSite, scene.world.policy()), {}, kept)
          .value();
  expect_refused(restarted.step(node::round::MessageReceived{
                     scene.world.federation().from_coordinator(kind, second.encode()), std::nullopt}),
                 RefusalReason::beacon_differs);
}

TEST_F(BeaconAttack, AnotherCommitmentForThisSiteIsRefused) {
  auto list = federation::messages::BeaconCommitments::decode(
                  scene.hold_to_site(kSite, MessageKind::beacon_commitments).payload())
                  .value();
  const auto honest = list;
  // Signed by this site, but for another roster: the signature does not hold here.
  const auto& identity = scene.world.federation().identity(kSite);
  list.sites[kSite] = federation::secagg::commit_to_beacon(identity, Digest{1}, kSite);
  expect_refused(tell(MessageKind::beacon_commitments, list.encode()), RefusalReason::bad_signature);
  // Properly signed with this site's key, but not what it has committed itself to: somebody else has the key, or an old
  // copy of the site.
  const Digest commitment{7};
  list.sites[kSite] = {
      commitment,
      identity.sign(
          crypto::TaggedHash("FOVEA/1/beacon-statement").add(roster()).add_u64(kSite).add(commitment).finish())};
  ASSERT_TRUE(federation::secagg::is_commitment_of(list.sites[kSite], scene.world.federation().roster(), kSite));
  expect_refused(tell(MessageKind::beacon_commitments, list.encode()), RefusalReason::own_entry_altered);
  expect_sends(tell(MessageKind::beacon_commitments, honest.encode()), MessageKind::beacon_nonce);
}

TEST_F(BeaconAttack, ABeaconOfOtherNoncesOrCommitmentsIsRefused) {
  const auto honest =
      federation::messages::BeaconTranscript::decode(scene.hold_to_site(kSite, MessageKind::beacon).payload()).value();
  const auto kind = MessageKind::beacon;
  using Beacon = federation::messages::BeaconTranscript;
  refused<Beacon>(honest, kind, RefusalReason::beacon_differs, [](Beacon& m) { m.nonces[4][0] ^= 1; });
  refused<Beacon>(honest, kind, RefusalReason::beacon_differs, [](Beacon& m) { m.nonces.clear(); });
  refused<Beacon>(honest, kind, RefusalReason::beacon_differs,
                  [](Beacon& m) { m.commitments.sites[4].commitment[0] ^= 1; });
  const auto adopted = tell(kind, honest.encode());
  EXPECT_FALSE(adopted.refusal.has_value());
  EXPECT_EQ(adopted.site_register.size(), 1U);
  EXPECT_TRUE(tell(kind, honest.encode()).site_register.empty());
}

federation::messages::BeaconTranscript draw_beacon(const TestFederation& federation, const Digest& roster) {
  federation::messages::BeaconTranscript out{.commitments = {.roster = roster, .sites = {}}, .nonces = {}};
  for (RosterIndex site = 0; site < federation.size(); ++site) {
    out.commitments.sites.push_back(federation::secagg::commit_to_beacon(federation.identity(site), roster, site));
    out.nonces.push_back(federation::secagg::beacon_nonce(federation.identity(site), roster));
  }
  return out;
}

TEST(Beacon, DependsOnEveryNonceAndOnTheRoster) {
  const TestFederation federation(3);
  const auto one = draw_beacon(federation, federation.roster().hash);
  EXPECT_FALSE(federation::secagg::check_commitments(one.commitments, federation.roster()).has_value());
  EXPECT_FALSE(federation::secagg::check_nonces(one).has_value());
  EXPECT_EQ(federation::secagg::beacon_of(one),
            federation::secagg::beacon_of(draw_beacon(federation, federation.roster().hash)));
  EXPECT_NE(federation::secagg::beacon_of(one), federation::secagg::beacon_of(draw_beacon(federation, Digest{4})));
  for (std::size_t site = 0; site < 3; ++site) {
    auto other = one;
    other.nonces[site][5] ^= 1;
    EXPECT_NE(federation::secagg::beacon_of(one), federation::secagg::beacon_of(other));
  }
}

// The parameters of the first attempt, when these sites' messages of a kind are lost.
federation::secagg::RoundParameters first_parameters(MessageKind lost, const std::set<RosterIndex>& sites,
                                                     const WorldOptions& options) {
  World world(options);
  federation::secagg::RoundParameters out;
  world.intercept = [&](Delivery& delivery) {
    if (delivery.direction == Direction::to_coordinator || out.round != 0) return true;
    const auto opened = world.federation().open_at_site(delivery.wire);
    if (opened->kind() == MessageKind::parameters)
      out = federation::secagg::RoundParameters::decode(opened->payload()).value();
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

TEST(Beacon, ComesInTimeWhileStragglersAreWaitedFor) {
  World world(sparse_options());
  std::set<RosterIndex> ready;
  federation::secagg::RoundParameters first;
  world.intercept = [&](Delivery& delivery) {
    if (first.round != 0) return true;
    if (delivery.direction == Direction::to_site) {
      const auto opened = world.federation().open_at_site(delivery.wire);
      if (opened->kind() == MessageKind::parameters)
        first = federation::secagg::RoundParameters::decode(opened->payload()).value();
      return true;
    }
    const MessageKind kind = federation::messages::claimed_kind(delivery.wire).value();
    if (kind == MessageKind::training_ready) ready.insert(delivery.site);
    // One site's commitment is lost until every site is ready: 128 of them could begin at once, without a beacon.
    return kind != MessageKind::beacon_commitment || delivery.site != 3 || ready.size() == kSites;
  };
  world.run([&] { return first.round != 0; });
  EXPECT_EQ(ready.size(), kSites);
  EXPECT_EQ(first.candidates.size(), kSites);
  EXPECT_TRUE(first.graph.has_value());
}

TEST(Beacon, IsNotWaitedForWhereFewerSitesAreReady) {
  std::set<RosterIndex> away;
  for (RosterIndex site = 10; site < 13; ++site) away.insert(site);
  const auto p = first_parameters(MessageKind::training_ready, away, sparse_options());
  EXPECT_EQ(p.candidates.size(), kSites - away.size());
  EXPECT_FALSE(p.graph.has_value());
}

TEST(Beacon, ASmallestCohortAboveTheCompleteGraphWaitsForIt) {
  auto options = sparse_options();
  options.thresholds->threshold = 129;
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
    auto message = federation::messages::BeaconCommitmentMessage::decode(opened->payload()).value();
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

// Rounds of more than 128 sites: secrets and masks with neighbours only.
#include "coordinator/round/round_core.h"
#include "tests/simulation/bad_dealer.h"
#include "tests/unit/round/forged_evidence.h"
#include "tests/unit/round/lone_site.h"
#include "tests/unit/round/sparse_world.h"

namespace fovea::test {
namespace {

std::vector<RosterIndex> ring_of(const federation::secagg::RoundParameters& p) {
  crypto::SeededRandom random(crypto::SecretKey::from(p.graph->beacon, "beacon").value());
  std::vector<RosterIndex> out;
  for (const std::uint32_t site : federation::secagg::shuffled_positions(p.graph->roster_sites, random))
    out.push_back(static_cast<RosterIndex>(site));
  return out;
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

TEST(SparseRound, ADealersFaultIsShownAndTheSumIsRepeatedWithoutIt) {
  World world(sparse_options());
  world.intercept = deal_another_seed(world, 50);
  ASSERT_TRUE(world.run()) << told(world) << world.where();
  EXPECT_TRUE(world.violations().empty()) << told(world);
  ASSERT_EQ(world.aborted().size(), 1U);
  EXPECT_EQ(world.aborted()[0].reason, RefusalReason::inconsistent_dealer);
  const auto& p = world.results().front().evidence.parameters;
  EXPECT_TRUE(p.graph.has_value());
  ASSERT_TRUE(p.repeats.has_value());
  EXPECT_EQ(p.candidates.size(), kSites - 1);
  EXPECT_EQ(world.results().front().contributors.size(), kSites - 1);
  EXPECT_FALSE(std::binary_search(p.candidates.begin(), p.candidates.end(), RosterIndex{50}));
}

TEST(SparseRound, DropOutsAndRestartsAtEveryStepLeaveTheExactSumOfTheRest) {
  World world(sparse_options());
  lose(world, MessageKind::keys, {0, 1});
  lose(world, MessageKind::shares, {10, 11});
  lose(world, MessageKind::masked_statement, {20, 21, 22});
  lose(world, MessageKind::consistency_signature, {30, 31});
  lose(world, MessageKind::unmask_shares, {40});
  std::size_t killed = 0;
  world.run([&] { return world.site(kSite).phase() == node::round::SitePhase::consistency_signed && ++killed > 0; });
  world.kill_site(kSite, 300);
  world.run(
      [&] { return world.coordinator().phase() == coordinator::round::RoundPhase::collecting_unmask && ++killed > 1; });
  world.kill_coordinator(500);
  ASSERT_TRUE(world.run()) << told(world) << world.where();
  EXPECT_EQ(killed, 2U);
  EXPECT_TRUE(world.violations().empty())
      << told(world);  // the sum is the indicator of the contributors: checked inside
  const auto& result = world.results().front();
  ASSERT_TRUE(result.evidence.parameters.graph.has_value());
  const auto k = result.evidence.parameters.graph->neighbours;
  EXPECT_LT(k, 64);
  EXPECT_EQ(result.attempt, 1U);
  std::vector<RosterIndex> expected;
  for (RosterIndex i = 0; i < kSites; ++i)
    if (i > 1 && (i < 10 || i > 11) && (i < 20 || i > 22)) expected.push_back(i);
  EXPECT_EQ(indices(world, result.contributors), expected);
  EXPECT_EQ(result.evidence.survivors.size(), kSites - 4);
  // Nobody dealt to, or released for, more than its neighbours.
  std::size_t dealt = 0;
  for (const Delivery& delivery : world.trace()) {
    if (delivery.direction != Direction::to_coordinator) continue;
    const auto kind = federation::messages::claimed_kind(delivery.wire).value();
    if (kind != MessageKind::shares && kind != MessageKind::unmask_shares) continue;
    const auto opened = world.federation().open_at_coordinator(delivery.site, delivery.wire);
    if (kind == MessageKind::shares) {
      ++dealt;
      EXPECT_LE(federation::messages::SharesMessage::decode(opened->payload())->shares.size(), k);
    } else {
      EXPECT_LE(federation::messages::UnmaskShares::decode(opened->payload())->shares.size(), k);
    }
  }
  EXPECT_EQ(dealt, kSites - 4);
  federation::membership::Roster larger = world.federation().roster();
  larger.sites.push_back(larger.sites.back());
  EXPECT_FALSE(federation::secagg::check_evidence(result.evidence, world.federation().roster()).has_value());
  EXPECT_EQ(federation::secagg::check_evidence(result.evidence, larger)->reason, RefusalReason::graph_differs);
}

// The parameters of the second attempt, when these sites' messages of a kind are lost in the first; `lost` gets the
// first's. None if R5 was begun in the first.
using Losing = std::function<std::set<RosterIndex>(const federation::secagg::RoundParameters&)>;
std::optional<federation::secagg::RoundParameters> second_attempt(World& world, MessageKind kind,
                                                                  const Losing& losing) {
  std::set<RosterIndex> lost;
  std::optional<federation::secagg::RoundParameters> second;
  bool begun = false;
  world.intercept = [&](Delivery& delivery) {
    const MessageKind claimed = federation::messages::claimed_kind(delivery.wire).value();
    begun |= claimed == MessageKind::unmask_request;
    if (claimed == MessageKind::parameters) {
      auto p = federation::secagg::RoundParameters::decode(world.federation().open_at_site(delivery.wire)->payload())
                   .value();
      if (p.attempt == 1 && lost.empty()) lost = losing(p);
      if (p.attempt == 2) second = std::move(p);
    }
    return claimed != kind || second || delivery.direction == Direction::to_site || !lost.contains(delivery.site);
  };
  world.run([&] { return second.has_value() || begun; });
  return second;
}

TEST(SparseRound, ANeighbourhoodBelowTheThresholdIsTriedAgain) {
  World world(sparse_options());
  std::size_t silent = 0;
  // All but t − 1 neighbours of one site lose their vectors.
  const auto second =
      second_attempt(world, MessageKind::masked_statement, [&](const federation::secagg::RoundParameters& p) {
        const auto context = federation::secagg::AttemptContext::begin(p);
        const std::vector<RosterIndex> neighbours = context.holders(kSite, p.candidates);
        silent = neighbours.size() - (p.thresholds.threshold - 1);
        return std::set<RosterIndex>(neighbours.begin(), neighbours.begin() + static_cast<std::ptrdiff_t>(silent));
      });
  ASSERT_TRUE(second.has_value()) << told(world) << world.where();
  EXPECT_LE(silent, kLost);  // so it was the neighbourhood that was too small, not the whole
  EXPECT_TRUE(world.results().empty());
  EXPECT_TRUE(world.violations().empty()) << told(world);
}

// The same number of signatures lost as above, but spread over the ring: around every site there are enough, in all too
// few.
TEST(SparseRound, FewerSignaturesThanTheSmallestSumAreTriedAgain) {
  World world(sparse_options());
  const auto second =
      second_attempt(world, MessageKind::consistency_signature, [&](const federation::secagg::RoundParameters& p) {
        const auto context = federation::secagg::AttemptContext::begin(p);
        const auto ring = ring_of(p);
        std::set<RosterIndex> out;
        for (std::size_t i = 0; i <= kLost; ++i) out.insert(ring[i * 9]);
        std::vector<RosterIndex> left = p.candidates;
        std::erase_if(left, [&](RosterIndex site) { return out.contains(site); });
        EXPECT_FALSE(context.find_isolated(p.candidates, left).has_value());
        return out;
      });
  ASSERT_TRUE(second.has_value()) << told(world) << world.where();
  EXPECT_TRUE(world.results().empty());
}

// Against the plain definition: the largest set in which everybody has t neighbours is what is left when all who lack
// them go at once, again and again.
TEST(SparseRound, WhoHasTooFewNeighboursLeftIsLeftOut) {
  federation::secagg::RoundParameters p;
  p.thresholds.threshold = 3;
  p.graph =
      federation::secagg::GraphParameters{.roster_sites = 24, .neighbours = 6, .survivors_min = 2, .beacon = Digest{5}};
  const auto context = federation::secagg::AttemptContext::begin(p);
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
    const auto pruned = coordinator::round::prune_isolated(context, left);
    EXPECT_EQ(left, expected) << "turn " << turn;
    EXPECT_EQ(left.size() + pruned.size(), sites.size());
    if (!pruned.empty()) ++pruned_sets;
  }
  EXPECT_GT(pruned_sets, 20U);
  EXPECT_LT(pruned_sets, 200U);
}

// ---- a malicious coordinator

class SparseAttack : public ::testing::Test {
 protected:
  static constexpr LoneSiteOptions kOptions{
      .sites = kSites, .self = kSite, .corrupt_max = 7, .lost_max = kLost, .honest_min = 3};
  LoneSite site{kOptions};
  const std::size_t t = LoneSite::counts(kOptions).threshold;
  const std::size_t s = kSites - kOptions.lost_max;

  node::round::SiteEffects tell(MessageKind kind, ByteView payload) { return site.tell(kind, payload); }
  std::vector<RosterIndex> neighbours() const { return site.context().holders(kSite, site.everybody()); }
  // All sites but the first `count` of these.
  std::vector<RosterIndex> without(const std::vector<RosterIndex>& sites, std::size_t count) const {
    std::vector<RosterIndex> out = site.everybody();
    for (std::size_t i = 0; i < count; ++i) std::erase(out, sites.at(i));
    return out;
  }
  std::vector<RosterIndex> strangers() const {
    std::vector<RosterIndex> out = site.everybody();
    std::erase_if(out,
                  [&](RosterIndex other) { return other == kSite || site.context().are_neighbours(other, kSite); });
    return out;
  }

  template <class Message>
  void refused(const Message& honest, MessageKind kind, RefusalReason reason,
               const std::function<void(Message&)>& forge, std::string_view detail = {}) {
    Message forged = honest;
    forge(forged);
    const auto effects = tell(kind, forged.encode());
    expect_refused(effects, reason);
    EXPECT_NE(effects.refusal->detail.find(detail), std::string::npos) << effects.refusal->detail;
  }
};

TEST_F(SparseAttack, AnotherGraphThanTheBeaconsIsRefused) {
  using P = federation::secagg::RoundParameters;
  const P honest = site.parameters();
  const auto kind = MessageKind::parameters;
  refused<P>(honest, kind, RefusalReason::beacon_differs, [](P& p) { p.graph->beacon[0] ^= 1; });
  refused<P>(honest, kind, RefusalReason::graph_differs, [](P& p) { p.graph->roster_sites += 1; });
  refused<P>(honest, kind, RefusalReason::threshold_too_low, [](P& p) { p.graph->neighbours -= 8; });
  refused<P>(honest, kind, RefusalReason::threshold_too_low,
             [](P& p) { p.thresholds.threshold = p.graph->neighbours / 2 + 1; });
  refused<P>(
      honest, kind, RefusalReason::threshold_too_low, [](P& p) { p.graph->survivors_min = 68; },
      "at least 69 must sign one statement");
  refused<P>(honest, kind, RefusalReason::honest_too_few, [](P& p) { p.graph->survivors_min = 9; });
  refused<P>(honest, kind, RefusalReason::malformed, [](P& p) { p.graph.reset(); });
  refused<P>(honest, kind, RefusalReason::malformed, [](P& p) { p.candidates.resize(128); });
  refused<P>(honest, kind, RefusalReason::malformed, [](P& p) { p.thresholds.threshold = p.graph->neighbours + 1; });
  refused<P>(honest, kind, RefusalReason::malformed, [](P& p) { p.graph->neighbours += 1; });
  expect_sends(tell(kind, honest.encode()), MessageKind::keys);
}

// In each of U1, U2 and U3: all neighbours but t − 1 are left out, which still leaves enough sites in all; and then
// enough neighbours, but too few sites in all.
TEST_F(SparseAttack, TooFewNeighboursAreRefusedAtEveryStep) {
  const auto few = without(neighbours(), neighbours().size() - t + 1);
  const auto fewer = without(strangers(), kSites - s + 1);
  ASSERT_GE(few.size(), s);
  ASSERT_LT(fewer.size(), s);
  const auto keep = [](auto& list, const std::vector<RosterIndex>& sites, auto key) {
    std::erase_if(list, [&](const auto& entry) { return !std::binary_search(sites.begin(), sites.end(), key(entry)); });
  };
  const auto reason = RefusalReason::too_few_survivors;
  for (const auto& [sites, detail] : {std::pair(few, " neighbours of this site in "), std::pair(fewer, " sites in ")}) {
    SCOPED_TRACE(detail);
    site = LoneSite(kOptions);
    site.advance_to(MessageKind::key_list);
    refused<federation::messages::KeyList>(
        site.key_list(), MessageKind::key_list, reason,
        [&](auto& m) { keep(m.keys, sites, [](const auto& e) { return e.site; }); }, detail + std::string("U1"));
    expect_sends(tell(MessageKind::key_list, site.key_list().encode()), MessageKind::shares);
    const auto routed = site.routed_shares();
    refused<federation::messages::RoutedShares>(
        routed, MessageKind::routed_shares, reason,
        [&](auto& m) {
          keep(m.survivors, sites, [](RosterIndex e) { return e; });
          keep(m.shares, sites, [](const auto& e) { return e.peer; });
        },
        detail + std::string("U2"));
    refused<federation::messages::RoutedShares>(routed, MessageKind::routed_shares, RefusalReason::survivors_not_subset,
                                                [](auto& m) { m.shares.pop_back(); });
    site.mask();
    const auto request = site.consistency_request(site.everybody());
    refused<federation::messages::ConsistencyRequest>(
        request, MessageKind::consistency_request, reason,
        [&](auto& m) { keep(m.committed, sites, [](const auto& e) { return e.site; }); }, detail + std::string("U3"));
    expect_sends(tell(MessageKind::consistency_request, request.encode()), MessageKind::consistency_signature);
  }
}

// An index that no site of the roster has, in each list that is looked at beside the graph.
TEST_F(SparseAttack, SitesThatDoNotExistAreRefusedInEveryList) {
  static constexpr RosterIndex kNobody = 65535;
  const auto not_subset = RefusalReason::survivors_not_subset;
  site.advance_to(MessageKind::key_list);
  refused<federation::messages::KeyList>(site.key_list(), MessageKind::key_list, not_subset, [](auto& m) {
    m.keys.push_back({kNobody, m.keys.back().keys});
  });
  expect_sends(tell(MessageKind::key_list, site.key_list().encode()), MessageKind::shares);
  refused<federation::messages::RoutedShares>(site.routed_shares(), MessageKind::routed_shares, not_subset,
                                              [](auto& m) { m.survivors.push_back(kNobody); });
  site.mask();
  const auto request = site.consistency_request(site.everybody());
  refused<federation::messages::ConsistencyRequest>(request, MessageKind::consistency_request, not_subset, [](auto& m) {
    m.committed.push_back(m.committed.back());
    m.committed.back().site = kNobody;
  });
  expect_sends(tell(MessageKind::consistency_request, request.encode()), MessageKind::consistency_signature);
  refused<federation::messages::UnmaskRequest>(site.unmask_request(request, site.everybody()),
                                               MessageKind::unmask_request, not_subset, [](auto& m) {
                                                 m.signatures.push_back({kNobody, m.signatures.back().signature});
                                               });
}

TEST_F(SparseAttack, EvidenceOfAnotherGraphOrWithTooFewSignaturesIsRefused) {
  using Evidence = federation::secagg::RoundEvidence;
  const auto kind = MessageKind::round_evidence;
  const Evidence evidence = signed_by_all(site.federation(), site.parameters());
  const auto too_few = RefusalReason::too_few_signatures;
  refused<Evidence>(evidence, kind, RefusalReason::survivors_not_subset, [](auto& m) {
    m.signatures.push_back({65535, m.signatures.back().signature});
  });
  refused<Evidence>(evidence, kind, RefusalReason::beacon_differs, [](auto& m) { m.parameters.graph->beacon[0] ^= 1; });
  refused<Evidence>(evidence, kind, RefusalReason::threshold_too_low,
                    [](auto& m) { m.parameters.graph->neighbours -= 8; });
  refused<Evidence>(evidence, kind, RefusalReason::honest_too_few,
                    [](auto& m) { m.parameters.graph->survivors_min = 9; });
  const auto signed_only_by = [](const std::vector<RosterIndex>& sites) {
    return [&sites](Evidence& m) {
      std::erase_if(m.signatures,
                    [&](const auto& e) { return !std::binary_search(sites.begin(), sites.end(), e.site); });
    };
  };
  const auto few = without(neighbours(), neighbours().size() - t + 1);
  refused<Evidence>(evidence, kind, too_few, signed_only_by(few), "fewer than t neighbours that signed");
  // One in nine around the ring isolates nobody, but too few have signed in all.
  const auto ring = ring_of(site.parameters());
  std::vector<RosterIndex> spread;
  for (std::size_t i = 0; i <= kLost; ++i) spread.push_back(ring[i * 9]);
  const auto fewer = without(spread, spread.size());
  ASSERT_FALSE(site.context().find_isolated(site.everybody(), fewer).has_value());
  refused<Evidence>(evidence, kind, too_few, signed_only_by(fewer),
                    std::to_string(s - 1) + " signatures, at least " + std::to_string(s) + " are needed");

  // Who was away when the beacon was drawn checks all but the positions.
  const node::round::SitePolicy policy{
      7, 3, static_cast<std::uint32_t>(s), {site.federation().plan()}, site.federation().everybody()};
  auto absent = node::round::SiteMachine::create(site.federation().site_config(kSite, policy), {}).value();
  absent.step(
      node::round::ModelAdopted{.model_hash = site.federation().plan(),
                                .next = {.dimension = site.parameters().dimension, .delta_max = 1, .weight_max = 1}});
  const auto publish = [&](const Evidence& e) {
    return absent.step(
        node::round::MessageReceived{site.federation().from_coordinator(kind, e.encode()), std::nullopt});
  };
  auto small = evidence;
  small.parameters.graph->neighbours -= 8;
  expect_refused(publish(small), RefusalReason::threshold_too_low);
  EXPECT_FALSE(publish(evidence).refusal.has_value());
  auto enough = evidence;
  std::erase_if(enough.signatures, [&](const auto& e) { return e.site == ring[0] || e.site == ring[65]; });
  EXPECT_FALSE(tell(kind, enough.encode()).refusal.has_value());
}

class SparseRelease : public SparseAttack {
 protected:
  std::vector<RosterIndex> committed;  // U3: everybody but one stranger
  federation::messages::ConsistencyRequest request;

  void SetUp() override {
    site.advance_to(MessageKind::consistency_request);
    committed = without(strangers(), 1);
    request = site.consistency_request(committed);
    expect_sends(tell(MessageKind::consistency_request, request.encode()), MessageKind::consistency_signature);
  }
  federation::messages::UnmaskRequest signed_without(const std::vector<RosterIndex>& sites, std::size_t count) const {
    std::vector<RosterIndex> signers = committed;
    for (std::size_t i = 0; i < count; ++i) std::erase(signers, sites.at(i));
    return site.unmask_request(request, signers);
  }
};

TEST_F(SparseRelease, TakesSignaturesOfEnoughNeighboursAndOfEnoughSitesInAll) {
  using Request = federation::messages::UnmaskRequest;
  const auto kind = MessageKind::unmask_request;
  const auto too_few = RefusalReason::too_few_signatures;
  const Request honest = signed_without({}, 0);
  const auto as = [](const Request& other) { return [other](Request& m) { m = other; }; };
  std::vector<RosterIndex> others = strangers();
  others.erase(others.begin());  // not in U3 anyway
  const Request one_short = signed_without(others, committed.size() - s + 1);
  ASSERT_EQ(one_short.signatures.size(), s - 1);
  refused<Request>(honest, kind, too_few, as(one_short),
                   std::to_string(s - 1) + " signatures, at least " + std::to_string(s) + " are needed");
  refused<Request>(honest, kind, RefusalReason::bad_signature, [](Request& m) { m.signatures[3].signature[0] ^= 1; });
  // Of a site that is not next to this one: none may be bad.
  const RosterIndex stranger = others.front();
  refused<Request>(honest, kind, RefusalReason::bad_signature, [&](Request& m) {
    std::find_if(m.signatures.begin(), m.signatures.end(), [&](const auto& e) {
      return e.site == stranger;
    })->signature[0] ^= 1;
  });
  // A proper signature of the one site that is not in U3.
  const RosterIndex outside = strangers().front();
  refused<Request>(honest, kind, RefusalReason::survivors_not_subset,
                   [&](Request& m) { m = site.unmask_request(request, site.everybody()); });
  ASSERT_TRUE(std::none_of(committed.begin(), committed.end(), [&](RosterIndex other) { return other == outside; }));
  // Exactly enough, this site's own among them.
  const Request just = signed_without(others, committed.size() - s);
  ASSERT_EQ(just.signatures.size(), s);
  const auto released = tell(kind, just.encode());
  expect_sends(released, MessageKind::unmask_shares);
  EXPECT_EQ(released.site_register.size(), 1U);
}

// Here s is so low that t − 1 neighbours and enough others can sign: each of the two rules refuses alone.
TEST(SparseReleaseOfManyLost, NeedsTSignaturesOfNeighboursHoweverManyOthersSigned) {
  const LoneSiteOptions options{.sites = 200, .self = kSite, .corrupt_max = 5, .lost_max = 60, .honest_min = 3};
  LoneSite site(options);
  site.advance_to(MessageKind::consistency_request);
  const auto request = site.consistency_request(site.everybody());
  expect_sends(site.tell(MessageKind::consistency_request, request.encode()), MessageKind::consistency_signature);
  const auto neighbours = site.context().holders(kSite, site.everybody());
  const std::size_t t = site.parameters().thresholds.threshold;
  const auto without = [&](std::size_t count) {
    std::vector<RosterIndex> signers = site.everybody();
    for (std::size_t i = 0; i < count; ++i) std::erase(signers, neighbours.at(i));
    return site.unmask_request(request, signers);
  };
  const auto few = without(neighbours.size() - t + 1);
  ASSERT_GE(few.signatures.size(), 140U);
  const auto refused = site.tell(MessageKind::unmask_request, few.encode());
  expect_refused(refused, RefusalReason::too_few_signatures);
  EXPECT_NE(refused.refusal->detail.find("of sites that count here"), std::string::npos) << refused.refusal->detail;
  expect_sends(site.tell(MessageKind::unmask_request, without(neighbours.size() - t).encode()),
               MessageKind::unmask_shares);
}

// A coordinator has t − k/2 colluders on each of two seams of the ring, fewer around any one site than k and t exclude.
// It leaves some sites of the first arc out of the U3 that it shows there, and others out of the one it shows in the
// second. With the colluders' signatures on both, everybody has t neighbours that signed the same as it did: were that
// all, the two arcs would open one sum over fewer sites than s.
class TwoSeams : public ::testing::TestWithParam<bool> {};

TEST_P(TwoSeams, TwoSurvivorListsInTwoArcsAreNotOpened) {
  LoneSiteOptions options{.sites = 400, .self = 0, .corrupt_max = 40, .lost_max = 40};
  const auto [k, t] = LoneSite::counts(options);
  const std::size_t colluders = t - k / 2;
  ASSERT_LE(2 * colluders, options.corrupt_max) << "the attack is within what the federation withstands";
  const std::vector<RosterIndex> ring = ring_of(LoneSite(options).parameters());
  const std::size_t half = ring.size() / 2;
  const std::size_t start = GetParam() ? half : 0;  // colluders, then the arc, then colluders
  const std::size_t left_out = 22;
  ASSERT_LE(left_out, k - t);
  ASSERT_GT(2 * left_out, std::size_t{options.lost_max});
  std::vector<RosterIndex> committed;
  std::vector<RosterIndex> signers;
  for (std::size_t place = 0; place < ring.size(); ++place) {
    const std::size_t from_start = (place + ring.size() - start) % ring.size();
    const bool gone = from_start >= half / 2 && from_start < half / 2 + left_out;
    if (!gone) committed.push_back(ring[place]);
    if (!gone && from_start < half + colluders) signers.push_back(ring[place]);
  }
  std::sort(committed.begin(), committed.end());
  std::sort(signers.begin(), signers.end());
  options.self = ring[(start + colluders) % ring.size()];  // the first honest site of the arc

  LoneSite site(options);
  site.advance_to(MessageKind::consistency_request);
  const auto request = site.consistency_request(committed);
  expect_sends(site.tell(MessageKind::consistency_request, request.encode()), MessageKind::consistency_signature);
  ASSERT_EQ(site.context().count_holders(options.self, signers), t) << "around this site all is well";
  const auto refused = site.tell(MessageKind::unmask_request, site.unmask_request(request, signers).encode());
  expect_refused(refused, RefusalReason::too_few_signatures);
  EXPECT_TRUE(refused.site_register.empty());
  // One statement for both arcs is opened.
  expect_sends(site.tell(MessageKind::unmask_request, site.unmask_request(request, committed).encode()),
               MessageKind::unmask_shares);
}

INSTANTIATE_TEST_SUITE_P(EachArc, TwoSeams, ::testing::Bool());

// So the coordinator need not look at it: what a site asks of s beside k and t holds wherever k and t can be chosen.
TEST(SparseRound, WhereAGraphIsSafeTheSmallestSumIsAMajority) {
  std::size_t safe = 0;
  std::size_t unsafe = 0;
  for (const std::uint32_t sites : {130U, 200U})
    for (std::uint32_t corrupt = 0; corrupt < sites / 3; corrupt += sites / 10)
      for (std::uint32_t lost = sites / 20; lost < sites / 2 && lost + corrupt < sites; lost += sites / 10) {
        if (!federation::secagg::choose_neighbours({sites, corrupt, lost, federation::secagg::kGraphSecurityBits,
                                                    federation::secagg::kGraphCorrectnessBits})) {
          ++unsafe;
          continue;
        }
        ++safe;
        EXPECT_GE(sites - lost, federation::secagg::threshold_min(sites, corrupt))
            << sites << ", " << corrupt << ", " << lost;
      }
  EXPECT_GT(safe, 10U);
  EXPECT_GT(unsafe, 5U);
}

}  // namespace
}  // namespace fovea::test

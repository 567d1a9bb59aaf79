// A malicious coordinator against sites that take its published sum: one of its own making, or evidence that does not
// hold.
#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "tests/unit/round/coordinator_attack.h"
#include "tests/unit/round/forged_evidence.h"

namespace fovea::test {
namespace {

class PublishedSum : public CoordinatorAttack {
 protected:
  // A site that was away when the round was made.
  node::round::SiteMachine absent_site(const node::round::SitePolicy& policy,
                                       const node::round::ModelAdopted& model) const {
    auto machine = node::round::SiteMachine::create(scene.world.federation().site_config(kSite, policy), {}).value();
    machine.step(node::round::ModelAdopted(model));
    return machine;
  }
  node::round::SiteMachine absent_site(const node::round::SitePolicy& policy) const {
    return absent_site(policy, scene.world.initial_model());
  }
  node::round::SiteMachine absent_site() const { return absent_site(scene.world.policy()); }
  node::round::SiteEffects publish_to(node::round::SiteMachine& site,
                                      const federation::secagg::RoundEvidence& e) const {
    return site.step(node::round::MessageReceived{
        scene.world.federation().from_coordinator(MessageKind::round_evidence, e.encode()), std::nullopt});
  }

  federation::secagg::RoundEvidence evidence() {
    return federation::secagg::RoundEvidence::decode(scene.hold_to_site(kSite, MessageKind::round_evidence).payload())
        .value();
  }
  // A sum of the coordinator's own making, with evidence that names it.
  node::round::SiteEffects publish(federation::secagg::RoundEvidence e, const std::vector<std::uint32_t>& words,
                                   bool honest_hash = true) {
    const auto ref = e.parameters.ref();
    const Bytes chunk = federation::messages::encode_chunk(ref, 0, words);
    federation::secagg::VectorHash hash(ref.parameters, words.size());
    hash.add_chunk(federation::messages::hash_payload(chunk));
    if (honest_hash) e.sum_hash = hash.finish();
    auto first = tell(MessageKind::round_evidence, e.encode());
    if (first.refusal) return first;
    for (const auto& part : published({MessageKind::aggregate_tags, MessageKind::aggregate_carries}))
      tell(part.kind(), part.payload());
    return tell(MessageKind::aggregate_chunk, chunk);
  }
  // What the coordinator has published of the round, of these kinds.
  std::vector<federation::messages::SignedMessage> published(std::initializer_list<MessageKind> kinds) const {
    std::vector<federation::messages::SignedMessage> out;
    for (const Bytes& wire : scene.world.results().at(0).publication) {
      auto opened = scene.world.federation().open_at_site(wire);
      if (std::find(kinds.begin(), kinds.end(), opened->kind()) != kinds.end()) out.push_back(std::move(*opened));
    }
    return out;
  }
  std::vector<std::uint32_t> honest_words() const {
    const auto chunk = published({MessageKind::aggregate_chunk}).at(0);
    const auto view = federation::messages::decode_chunk(chunk.payload()).value();
    std::vector<std::uint32_t> words(view.words.size() / 4);
    federation::messages::copy_words(view.words, words);
    return words;
  }
};

TEST_F(PublishedSum, TheHonestSumIsTaken) {
  const auto e = evidence();
  const auto effects = publish(e, honest_words());
  ASSERT_TRUE(effects.verified_sum.has_value()) << effects.refusal->detail;
  EXPECT_EQ(effects.verified_sum->sum.sites, 4U);
}

// Without the roster nobody can say who is in the sum. It is said once a connection, however often the sum comes.
TEST_F(PublishedSum, OneUnderARosterThatThisSiteNeverHadIsToldToTheCoordinator) {
  auto e = evidence();
  auto site = absent_site();
  e.parameters.roster_hash[0] ^= 1;
  const auto failure_of = [&](const node::round::SiteEffects& effects) {
    const auto& out = effects.outbound;
    return out.empty() ? std::optional<federation::messages::AttemptFailure>()
                       : federation::messages::AttemptFailure::decode(
                             scene.world.federation().open_at_coordinator(kSite, out[0].wire)->payload())
                             .value();
  };
  for (int connection = 0; connection < 2; ++connection) {
    const auto first = publish_to(site, e);
    expect_refused(first, RefusalReason::roster_differs);
    EXPECT_EQ(first.cut_off, e.parameters.round);
    const auto failure = failure_of(first);
    ASSERT_TRUE(failure.has_value());
    EXPECT_EQ(failure->reason, RefusalReason::roster_differs);
    EXPECT_EQ(failure->round, e.parameters.round);
    EXPECT_EQ(failure->attempt, 0U);
    EXPECT_TRUE(publish_to(site, e).outbound.empty());
    site.step(node::round::Connected{});
  }
  // What is wrong with a sum otherwise is nobody's loss of the run.
  e.parameters.model_hash[0] ^= 1;
  EXPECT_FALSE(publish_to(site, e).cut_off.has_value());
}

// Nothing comes of a greeting then: it is neither answered nor needed, and costs both ends an entry of their ledgers.
TEST_F(PublishedSum, WhoCannotTakeTheNextOneGreetsSeldomUntilItStandsElsewhere) {
  auto e = evidence();
  e.parameters.roster_hash[0] ^= 1;
  auto newer = scene.world.federation().roster();
  newer.epoch += 1;
  newer.hash[0] ^= 2;
  std::int64_t now = 1'000'000;
  const auto greets_after = [&](node::round::SiteMachine& site, std::int64_t ms) {
    now += ms;
    return !site.step(node::round::Tick{MonotonicMs{now}}).outbound.empty();
  };
  const auto site_cut_off = [&] {
    auto site = absent_site();
    EXPECT_FALSE(greets_after(site, 0));
    EXPECT_TRUE(greets_after(site, 5'000));
    EXPECT_TRUE(publish_to(site, e).cut_off.has_value());
    return site;
  };
  auto site = site_cut_off();
  EXPECT_FALSE(greets_after(site, 5'000));
  // The coordinator remembers it over connections and rosters, and stays silent.
  expect_sends(site.step(node::round::Connected{}), MessageKind::hello);
  EXPECT_FALSE(greets_after(site, 5'000));
  expect_sends(site.step(node::round::RosterAdopted{newer}), MessageKind::hello);
  EXPECT_FALSE(greets_after(site, 599'999));
  EXPECT_TRUE(greets_after(site, 1));
  EXPECT_FALSE(greets_after(site, 5'000));
  auto model = scene.world.initial_model();
  model.round = 1;
  site.step(node::round::ModelAdopted(model));
  EXPECT_TRUE(greets_after(site, 5'000));

  // It was only late: the roster of that sum comes after it.
  auto late = site_cut_off();
  newer.hash = e.parameters.roster_hash;
  expect_sends(late.step(node::round::RosterAdopted{newer}), MessageKind::hello);
  EXPECT_TRUE(greets_after(late, 5'000));
}

// A site that came later, or missed a roster, is sent it. That roster decides about the sum, and about nothing else.
TEST_F(PublishedSum, OneUnderARosterThatThisSiteIsSentLaterIsHeldToTheSameRules) {
  const auto e = evidence();
  const auto past = scene.world.federation().roster();
  const auto late_site = [&](const node::round::SitePolicy& policy) {
    auto config = scene.world.federation().site_config(kSite, policy);
    config.roster.epoch += 1;
    config.roster.hash[0] ^= 2;
    auto machine = node::round::SiteMachine::create(std::move(config), {}).value();
    machine.step(node::round::ModelAdopted(scene.world.initial_model()));
    return machine;
  };
  auto site = late_site(scene.world.policy());
  EXPECT_TRUE(publish_to(site, e).cut_off.has_value());
  expect_sends(site.step(node::round::PastRosterLearnt{past}), MessageKind::hello);
  EXPECT_TRUE(site.step(node::round::PastRosterLearnt{past}).outbound.empty());
  const auto taken = publish_to(site, e);
  EXPECT_FALSE(taken.refusal.has_value()) << taken.refusal->detail;
  // Neither a roster of this epoch nor a newer one comes into force so.
  for (const EpochNumber ahead : {EpochNumber{1}, EpochNumber{2}}) {
    auto other = past;
    other.epoch += ahead;
    other.hash[0] ^= 4;
    expect_refused(site.step(node::round::PastRosterLearnt{other}), RefusalReason::wrong_epoch);
  }
  // Whom nobody here has accepted counts as a colluder on it, too.
  auto policy = scene.world.policy();
  policy.acquainted.clear();
  auto wary = late_site(policy);
  wary.step(node::round::PastRosterLearnt{past});
  expect_refused(publish_to(wary, e), RefusalReason::unacquainted_sites);
}

// The sum's hash is the coordinator's own word: under one statement that all sites signed, two sites were given two
// sums, one of them all but zero and one of words of ±2·10⁹.
TEST_F(PublishedSum, TwoSitesCannotBeGivenTwoSumsUnderOneStatement) {
  const auto e = evidence();
  std::vector<std::uint32_t> nothing(e.parameters.dimension);
  nothing[4] = 4;  // the total weight
  nothing.back() = 4;
  expect_refused(publish(e, nothing), RefusalReason::linear_tag_differs);
  std::vector<std::uint32_t> off_by_one = honest_words();
  off_by_one[0] += 1;
  expect_refused(publish(e, off_by_one), RefusalReason::linear_tag_differs);
  EXPECT_TRUE(publish(e, honest_words()).verified_sum.has_value());  // and nothing was adopted before
}

// Carries are the coordinator's to say, but a difference of 2^32 in a word is as much a difference as any.
TEST_F(PublishedSum, CarriesThatAreNotThoseOfTheVectorsAreRefused) {
  const auto e = evidence();
  tell(MessageKind::round_evidence, e.encode());
  for (const auto& part : published({MessageKind::aggregate_tags})) tell(part.kind(), part.payload());
  auto chunk =
      federation::messages::CarryChunk::decode(published({MessageKind::aggregate_carries}).at(0).payload()).value();
  std::vector<std::uint16_t> carries(e.parameters.dimension);
  ASSERT_TRUE(federation::messages::unpack_carries(chunk.packed, 4, carries).has_value());
  carries[0] = static_cast<std::uint16_t>((carries[0] + 1) % 4);
  chunk.packed = federation::messages::pack_carries(carries, 4);
  tell(MessageKind::aggregate_carries, chunk.encode());
  const auto words = published({MessageKind::aggregate_chunk}).at(0);
  expect_refused(tell(MessageKind::aggregate_chunk, words.payload()), RefusalReason::linear_tag_differs);
}

TEST_F(PublishedSum, ATagThatItsSiteDidNotSignIsRefused) {
  const auto e = evidence();
  tell(MessageKind::round_evidence, e.encode());
  auto list = federation::messages::TagList::decode(published({MessageKind::aggregate_tags}).at(0).payload()).value();
  auto swapped = list;
  std::swap(swapped.tags[0], swapped.tags[1]);
  expect_refused(tell(MessageKind::aggregate_tags, swapped.encode()), RefusalReason::linear_tag_differs);
  auto beyond = list;
  beyond.first = 1;
  expect_refused(tell(MessageKind::aggregate_tags, beyond.encode()), RefusalReason::chunk_out_of_bounds);
  EXPECT_FALSE(tell(MessageKind::aggregate_tags, list.encode()).refusal.has_value());
}

// Else what was taken of it would be missing from the right one for ever.
TEST_F(PublishedSum, AListWithOneWrongTagLeavesTheRightOnePossible) {
  tell(MessageKind::round_evidence, evidence().encode());
  const auto right = published({MessageKind::aggregate_tags}).at(0);
  auto wrong = federation::messages::TagList::decode(right.payload()).value();
  std::swap(wrong.tags[wrong.tags.size() - 1], wrong.tags[wrong.tags.size() - 2]);
  expect_refused(tell(MessageKind::aggregate_tags, wrong.encode()), RefusalReason::linear_tag_differs);
  tell(MessageKind::aggregate_tags, right.payload());
  for (const auto& part : published({MessageKind::aggregate_carries})) tell(part.kind(), part.payload());
  const auto words = published({MessageKind::aggregate_chunk}).at(0);
  EXPECT_TRUE(tell(MessageKind::aggregate_chunk, words.payload()).verified_sum.has_value());
}

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
  expect_refused(publish(e, words), RefusalReason::linear_tag_differs);
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
  auto bystander = absent_site();
  const auto refused = [&](auto change, RefusalReason reason) {
    auto bad = e;
    change(bad);
    expect_refused(publish_to(bystander, bad), reason);
  };
  refused([](auto& bad) { bad.signatures.resize(2); }, RefusalReason::too_few_signatures);
  refused([](auto& bad) { bad.signatures[0].signature[3] ^= 1; }, RefusalReason::bad_signature);
  refused([](auto& bad) { bad.committed.pop_back(); }, RefusalReason::survivors_not_subset);
  refused([](auto& bad) { bad.committed.pop_back(), bad.signatures.pop_back(); }, RefusalReason::bad_signature);
  refused([](auto& bad) { bad.committed.resize(2); }, RefusalReason::too_few_survivors);
  refused([](auto& bad) { bad.opened[0].value[0] ^= 1; }, RefusalReason::share_commitment_differs);
  refused([](auto& bad) { bad.opened[0].kind = federation::messages::RevealedSecret::mask_key; },
          RefusalReason::evidence_incomplete);
  refused([](auto& bad) { bad.keys[0].keys.mask[0] ^= 1; }, RefusalReason::bad_signature);
  refused([](auto& bad) { bad.parameters.model_hash[0] ^= 1; }, RefusalReason::model_differs);
  refused([](auto& bad) { bad.parameters.previous_transcript[0] ^= 1; }, RefusalReason::transcript_differs);
  EXPECT_FALSE(publish_to(bystander, e).refusal.has_value());
  EXPECT_FALSE(tell(MessageKind::round_evidence, e.encode()).refusal.has_value());
}

// Site 3 deals its shares and sends no vector, so that its mask key is opened. The masks that sites check a sum with
// come from that key.
TEST_F(PublishedSum, AMaskKeyThatWasNotAdvertisedIsRefused) {
  scene.world.intercept = [](Delivery& delivery) {
    return delivery.site != 3 || federation::messages::claimed_kind(delivery.wire).value() != MessageKind::masked_chunk;
  };
  scene.world.run([&] { return !scene.world.results().empty(); });
  ASSERT_EQ(scene.world.results().size(), 1U);
  const federation::secagg::RoundEvidence e = scene.world.results()[0].evidence;
  ASSERT_EQ(e.opened.back().kind, federation::messages::RevealedSecret::mask_key);
  auto bystander = absent_site();
  auto made_up = e;
  made_up.opened.back().value[5] ^= 1;
  expect_refused(publish_to(bystander, made_up), RefusalReason::share_commitment_differs);
  auto other_kind = e;
  other_kind.opened.back().kind = federation::messages::RevealedSecret::self_seed;
  expect_refused(publish_to(bystander, other_kind), RefusalReason::evidence_incomplete);
  EXPECT_FALSE(publish_to(bystander, e).refusal.has_value());
}

TEST_F(PublishedSum, EachSiteOfU2HasOneOpenedSecret) {
  const auto e = evidence();
  auto bystander = absent_site();
  const auto refused = [&](auto change) {
    auto bad = e;
    change(bad.opened);
    expect_refused(publish_to(bystander, bad), RefusalReason::evidence_incomplete);
  };
  refused([](auto& opened) { opened.pop_back(); });
  refused([](auto& opened) { opened.push_back(opened.back()); });
  refused([](auto& opened) { std::swap(opened[0], opened[1]); });
}

// Else one site's tag, carries or words could stand for what never came.
TEST_F(PublishedSum, WhatComesTwiceCountsOnce) {
  const auto e = evidence();
  tell(MessageKind::round_evidence, e.encode());
  for (const auto& part : published({MessageKind::aggregate_tags, MessageKind::aggregate_carries}))
    for (int times = 0; times < 3; ++times) {
      const auto effects = tell(part.kind(), part.payload());
      EXPECT_FALSE(effects.refusal.has_value());
      EXPECT_FALSE(effects.verified_sum.has_value());
    }
  const auto words = published({MessageKind::aggregate_chunk}).at(0);
  EXPECT_TRUE(tell(MessageKind::aggregate_chunk, words.payload()).verified_sum.has_value());
}

// Whatever its signatures: the site knows the one U2 and U3 of this attempt.
TEST_F(PublishedSum, AnotherStatementThanTheOneTheSiteSignedIsRefused) {
  const auto e = evidence();
  auto other = e;
  other.committed.pop_back();
  other.signatures.pop_back();
  const Digest statement = other.consistency();
  for (auto& entry : other.signatures) entry.signature = scene.world.federation().identity(entry.site).sign(statement);
  expect_refused(tell(MessageKind::round_evidence, other.encode()), RefusalReason::statement_differs);
  EXPECT_FALSE(tell(MessageKind::round_evidence, e.encode()).refusal.has_value());
}

class ColludersSum : public PublishedSum {
 protected:
  federation::secagg::RoundParameters parameters_of(std::vector<RosterIndex> sites,
                                                    federation::secagg::Thresholds thresholds) const {
    const TestFederation& f = scene.world.federation();
    const auto encoding = federation::secagg::make_encoding(sites.size(), 1, 1).value();
    return {.run = f.run(),
            .round = 1,
            .attempt = 1,
            .plan_hash = f.plan(),
            .model_hash = f.plan(),
            .roster_hash = f.roster().hash,
            .candidates = std::move(sites),
            .thresholds = thresholds,
            .dimension = scene.world.initial_model().next.dimension,
            .encoding = encoding,
            .phase_ms = 2000};
  }
  federation::secagg::RoundEvidence signed_by_all(const federation::secagg::RoundParameters& p) const {
    return test::signed_by_all(scene.world.federation(), p);
  }
  // That the evidence is genuine in itself, and yet refused by a site that was away.
  void expect_refused_by_rule(const federation::secagg::RoundParameters& p, RefusalReason reason) {
    const auto e = signed_by_all(p);
    const auto broken = federation::secagg::check_evidence(e, scene.world.federation().roster());
    EXPECT_FALSE(broken.has_value()) << broken->detail;
    auto site = absent_site();
    expect_refused(publish_to(site, e), reason);
  }
  // Three colluders, as many as must sign, publish what they made of an honest site's part in it.
  federation::secagg::RoundEvidence signed_by_colluders(
      const std::function<void(federation::secagg::RoundEvidence&)>& change) const {
    auto e = signed_by_all(parameters_of({0, 1, 2, 3}, enough));
    change(e);
    e.signatures.erase(e.signatures.begin() + kSite);
    const Digest statement = e.consistency();
    for (auto& entry : e.signatures) entry.signature = scene.world.federation().identity(entry.site).sign(statement);
    return e;
  }
  const std::vector<RosterIndex> three{0, 2, 3};
  const federation::secagg::Thresholds enough{.colluders_max = 1, .threshold = 3, .honest_min = 2};
};

TEST_F(ColludersSum, ASumOfTwoColludersAloneIsRefused) {
  expect_refused_by_rule(parameters_of({0, 3}, {0, 2, 0}), RefusalReason::cohort_too_small);
  expect_refused_by_rule(parameters_of({0, 3}, {1, 2, 1}), RefusalReason::cohort_too_small);
  auto site = absent_site();  // as many as the site asks for are believed
  EXPECT_FALSE(publish_to(site, signed_by_all(parameters_of(three, enough))).refusal.has_value());
}

TEST_F(ColludersSum, AThresholdThatOnlyTheCoordinatorsMAllowsIsRefused) {
  expect_refused_by_rule(parameters_of(three, {0, 2, 2}), RefusalReason::threshold_too_low);
  auto policy = scene.world.policy();
  policy.honest_min = 3;
  policy.cohort_min = 4;
  auto strict = absent_site(policy);
  expect_refused(publish_to(strict, signed_by_all(parameters_of({0, 1, 2, 3}, enough))), RefusalReason::honest_too_few);
}

TEST_F(ColludersSum, ASumOfAnotherShapeThanThePlansIsRefused) {
  const auto p = parameters_of(three, enough);
  const auto refused = [&](auto change, RefusalReason reason) {
    auto bad = p;
    change(bad);
    expect_refused_by_rule(bad, reason);
  };
  refused([](auto& bad) { bad.plan_hash[0] ^= 1; }, RefusalReason::plan_not_approved);
  refused([](auto& bad) { bad.dimension += 1; }, RefusalReason::dimension_differs);
  refused([](auto& bad) { bad.dimension = (1U << 26) + 6; },
          RefusalReason::dimension_differs);  // would allocate 268 MB
  refused([](auto& bad) { bad.encoding.scale /= 2; }, RefusalReason::scale_out_of_bounds);
  refused([](auto& bad) { bad.encoding.delta_max /= 2; }, RefusalReason::scale_out_of_bounds);
  refused([](auto& bad) { bad.encoding.metric_scale *= 2; }, RefusalReason::scale_out_of_bounds);
  refused([](auto& bad) { bad.encoding.weight_max += 1; }, RefusalReason::scale_out_of_bounds);
  auto model = scene.world.initial_model();
  model.next = {};  // the plan is complete: no sum fits
  auto complete = absent_site(scene.world.policy(), model);
  expect_refused(publish_to(complete, signed_by_all(p)), RefusalReason::dimension_differs);
}

TEST_F(ColludersSum, KeysThatTheirSiteDidNotSignAreRefused) {
  auto site = absent_site();
  expect_refused(publish_to(site, signed_by_colluders([](auto& e) { e.keys[kSite].keys.mask[3] ^= 1; })),
                 RefusalReason::bad_signature);
  EXPECT_FALSE(publish_to(site, signed_by_colluders([](auto&) {})).refusal.has_value());
}

TEST_F(ColludersSum, AVectorThatItsSiteDidNotSignIsRefused) {
  auto site = absent_site();
  expect_refused(publish_to(site, signed_by_colluders([](auto& e) { e.committed[kSite].vector_hash[3] ^= 1; })),
                 RefusalReason::bad_signature);
  expect_refused(publish_to(site, signed_by_colluders([](auto& e) { e.committed[kSite].tag_hash[3] ^= 1; })),
                 RefusalReason::bad_signature);
}

TEST_F(ColludersSum, ARoundNumberNearTheLastIsRefused) {
  auto p = parameters_of(three, enough);
  p.round = UINT32_MAX;
  expect_refused_by_rule(p, RefusalReason::round_too_far);
  p.round = 10'001;
  expect_refused_by_rule(p, RefusalReason::round_too_far);
  p.round = 10'000;
  auto site = absent_site();
  EXPECT_FALSE(publish_to(site, signed_by_all(p)).refusal.has_value());
}

TEST_F(ColludersSum, AnEarlierRosterThanThatOfTheLastSumIsRefused) {
  const auto e = signed_by_all(parameters_of(three, enough));
  auto model = scene.world.initial_model();
  model.epoch = 2;
  auto later = absent_site(scene.world.policy(), model);
  expect_refused(publish_to(later, e), RefusalReason::wrong_epoch);
  model.epoch = 1;
  auto same = absent_site(scene.world.policy(), model);
  EXPECT_FALSE(publish_to(same, e).refusal.has_value());
}

}  // namespace
}  // namespace fovea::test

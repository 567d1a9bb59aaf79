// The encoding of an update and of the sum: overflow is impossible by construction, the canary proves the count.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "common/ids.h"
#include "crypto/secret_bytes.h"
#include "federation/messages/refusal_reason.h"
#include "federation/model/local_update.h"
#include "federation/secagg/fixed_point.h"
#include "federation/secagg/parameters.h"

namespace fovea::test {
namespace {

using namespace federation;

federation::secagg::RoundParameters parameters_for(std::size_t sites, std::size_t floats, double delta_max = 0.5,
                                                   std::uint32_t weight_max = 100) {
  federation::secagg::RoundParameters p;
  p.round = p.attempt = 1;
  for (std::size_t i = 0; i < sites; ++i) p.candidates.push_back(static_cast<RosterIndex>(i));
  p.thresholds = {
      0, static_cast<std::uint16_t>(federation::secagg::threshold_min(static_cast<std::uint32_t>(sites), 0)), 2};
  p.dimension = static_cast<std::uint32_t>(federation::secagg::vector_words(floats));
  p.encoding = federation::secagg::make_encoding(sites, delta_max, weight_max).value();
  p.phase_ms = 1;
  return p;
}

std::vector<std::uint32_t> encode(const federation::secagg::RoundParameters& p, const federation::model::LocalUpdate& c,
                                  std::span<const std::int32_t> noise = {}) {
  std::vector<std::uint32_t> words(p.dimension);
  federation::secagg::UpdateEncoder::create(p, c, noise).value().fill(0, words);
  return words;
}

TEST(UpdateDigest, TellsUpdatesAndSitesApart) {
  crypto::SecretKey own, another;
  another.span()[31] = 1;
  const federation::model::LocalUpdate first{.delta = {0.5F, -1, 0}, .weight = 3, .metric_sums = {1, 2}};
  EXPECT_EQ(federation::secagg::update_digest(first, own),
            federation::secagg::update_digest(federation::model::LocalUpdate(first), own));
  std::vector<federation::model::LocalUpdate> others(5, first);
  others[0].delta[2] = 1e-30F;
  others[1].delta.push_back(0);
  others[2].delta.pop_back();
  others[3].weight = 4;
  others[4].metric_sums[3] = 1;
  for (const federation::model::LocalUpdate& other : others)
    EXPECT_NE(federation::secagg::update_digest(first, own), federation::secagg::update_digest(other, own))
        << &other - others.data();
  EXPECT_NE(federation::secagg::update_digest(first, own), federation::secagg::update_digest(first, another));
}

TEST(Thresholds, TheTableOfTheDesign) {
  struct Row {
    std::uint32_t n, m, t, drops, honest;
  };
  for (const Row& row : {Row{3, 0, 2, 1, 2}, Row{4, 1, 3, 1, 2}, Row{5, 1, 4, 1, 3}, Row{10, 3, 7, 3, 4},
                         Row{20, 6, 14, 6, 8}, Row{100, 33, 67, 33, 34}}) {
    EXPECT_EQ(federation::secagg::threshold_min(row.n, row.m), row.t) << row.n;
    EXPECT_EQ(row.n - row.t, row.drops);
    EXPECT_EQ(row.t - row.m, row.honest);
    EXPECT_FALSE(federation::secagg::check_thresholds(row.n, row.t, row.m, row.honest).has_value());
    EXPECT_EQ(federation::secagg::check_thresholds(row.n, row.t - 1, row.m, 1),
              federation::messages::RefusalReason::threshold_too_low);
    EXPECT_EQ(federation::secagg::check_thresholds(row.n, row.t, row.m, row.honest + 1),
              federation::messages::RefusalReason::honest_too_few);
    EXPECT_EQ(federation::secagg::check_thresholds(row.n, row.n + 1, row.m, 1),
              federation::messages::RefusalReason::threshold_too_low);
  }
}

TEST(Encoding, TheLargestValuesOfAllSitesDoNotWrap) {
  for (const std::size_t sites : {2U, 3U, 4U, 100U, 128U}) {
    const auto p = parameters_for(sites, 2, 0.125, 7);
    const federation::model::LocalUpdate c{.delta = {1e30F, -1e30F}, .weight = 7, .metric_sums = {1e300, -1e300, 0, 0}};
    const auto words = encode(p, c);
    const std::int64_t bound = federation::secagg::word_bound(sites);
    std::int64_t high = 0;
    std::int64_t low = 0;
    for (std::size_t i = 0; i < sites; ++i) {
      high += static_cast<std::int32_t>(words[0]);
      low += static_cast<std::int32_t>(words[1]);
    }
    EXPECT_LE(std::abs(std::int64_t{static_cast<std::int32_t>(words[0])}), bound);
    EXPECT_LE(high, std::numeric_limits<std::int32_t>::max());
    EXPECT_GE(low, -std::int64_t{std::numeric_limits<std::int32_t>::max()});
    EXPECT_GT(high, std::numeric_limits<std::int32_t>::max() - 4 * static_cast<std::int64_t>(sites))
        << "precision is given away";
    EXPECT_EQ(words.back(), 1U);
  }
}

TEST(Encoding, MatchesANaiveReference) {
  const auto p = parameters_for(4, 1000);
  federation::model::LocalUpdate c{.delta = std::vector<float>(1000), .weight = 33, .metric_sums = {1.25, 33, 4, 5}};
  for (std::size_t i = 0; i < 1000; ++i) c.delta[i] = std::sin(static_cast<float>(i)) * 0.7F;
  const auto words = encode(p, c);
  for (std::size_t i = 0; i < 1000; ++i) {
    const double clipped = std::clamp(static_cast<double>(c.delta[i]), -0.5, 0.5);
    const auto expected = static_cast<std::int32_t>(std::nearbyint(clipped * (p.encoding.scale * 33.0 / 100.0)));
    ASSERT_EQ(static_cast<std::int32_t>(words[i]), expected) << i;
  }
  EXPECT_EQ(words[1000], 33U);
  EXPECT_EQ(words[1001], 1280U);
}

TEST(Encoding, ChunksEqualTheWhole) {
  const auto p = parameters_for(3, 50);
  federation::model::LocalUpdate c{.delta = std::vector<float>(50, 0.3F), .weight = 2, .metric_sums = {1, 2, 3, 4}};
  c.delta[49] = -0.1F;
  const auto whole = encode(p, c);
  const auto encoder = federation::secagg::UpdateEncoder::create(p, c).value();
  for (std::size_t first = 0; first < whole.size(); ++first) {
    std::vector<std::uint32_t> part(std::min<std::size_t>(7, whole.size() - first));
    encoder.fill(first, part);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + static_cast<std::ptrdiff_t>(first))) << first;
  }
}

TEST(Encoding, NoiseIsAddedAndStaysWithinTheBound) {
  const auto p = parameters_for(4, 3);
  const federation::model::LocalUpdate c{.delta = {0, 0.5F, -0.5F}, .weight = 100, .metric_sums = {}};
  const std::vector<std::int32_t> noise = {-7, std::numeric_limits<std::int32_t>::max(),
                                           std::numeric_limits<std::int32_t>::min()};
  const auto words = encode(p, c, noise);
  EXPECT_EQ(static_cast<std::int32_t>(words[0]), -7);
  EXPECT_EQ(static_cast<std::int32_t>(words[1]), federation::secagg::word_bound(4));
  EXPECT_EQ(static_cast<std::int32_t>(words[2]), -federation::secagg::word_bound(4));
  EXPECT_FALSE(federation::secagg::UpdateEncoder::create(p, c, std::span(noise).first(2)).has_value());
}

TEST(Encoding, BadUpdatesAreRefused) {
  const auto p = parameters_for(4, 3);
  const federation::model::LocalUpdate good{.delta = {0, 0, 0}, .weight = 1, .metric_sums = {}};
  auto bad = good;
  bad.delta.pop_back();
  EXPECT_FALSE(federation::secagg::UpdateEncoder::create(p, bad).has_value());
  bad = good;
  bad.weight = 0;
  EXPECT_FALSE(federation::secagg::UpdateEncoder::create(p, bad).has_value());
  bad.weight = 101;
  EXPECT_FALSE(federation::secagg::UpdateEncoder::create(p, bad).has_value());
  bad = good;
  bad.metric_sums[2] = std::nan("");
  EXPECT_FALSE(federation::secagg::UpdateEncoder::create(p, bad).has_value());
  EXPECT_FALSE(federation::secagg::make_encoding(1, 1, 1).has_value());
  EXPECT_FALSE(federation::secagg::make_encoding(4, 0, 1).has_value());
  EXPECT_FALSE(federation::secagg::make_encoding(4, std::nan(""), 1).has_value());
  EXPECT_FALSE(federation::secagg::make_encoding(4, 1, 0).has_value());
  EXPECT_FALSE(federation::secagg::make_encoding(128, 1, 1U << 31).has_value());
}

TEST(Sum, DecodesWhatTheSitesPutIn) {
  const auto p = parameters_for(3, 2);
  std::vector<std::uint32_t> sum(p.dimension);
  for (const float value : {0.25F, -0.5F, 0.1F}) {
    const auto words = encode(p, {.delta = {value, -value}, .weight = 10, .metric_sums = {1.5, -2, 3, 4}});
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += words[i];
  }
  const auto decoded = federation::secagg::decode_sum(p, sum, 3);
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_EQ(decoded->weight_sum, 30U);
  EXPECT_EQ(decoded->sites, 3U);
  EXPECT_DOUBLE_EQ(decoded->metric_sums[0], 4.5);
  EXPECT_DOUBLE_EQ(decoded->metric_sums[1], -6);
  const double mean = static_cast<double>(decoded->sums()[0]) * decoded->weight_max /
                      (decoded->scale * static_cast<double>(decoded->weight_sum));
  EXPECT_NEAR(mean, (0.25 - 0.5 + 0.1) / 3, 1e-7);
}

// A site says that it has −k studies and puts one large word into its vector: the total weight, by which the sum is
// divided, becomes small, and a coordinate of the mean moved by 466 where the bound is 0.5.
TEST(Sum, OneSiteCannotMoveTheMeanFurtherThanTheClipBound) {
  const auto p = parameters_for(4, 2);
  std::vector<std::uint32_t> sum(p.dimension);
  for (int site = 0; site < 3; ++site) {
    const auto words = encode(p, {.delta = {0, 0}, .weight = 30, .metric_sums = {}});
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += words[i];
  }
  const auto with = [&](std::int32_t word, std::int32_t weight) {
    auto out = sum;
    out[0] += static_cast<std::uint32_t>(word);
    out[2] += static_cast<std::uint32_t>(weight);
    out.back() += 1;
    return federation::secagg::decode_sum(p, out, 4);
  };
  const auto bound = static_cast<std::int32_t>(federation::secagg::word_bound(4));
  const auto attack = with(bound, -86);  // four studies in all
  ASSERT_FALSE(attack.has_value());
  EXPECT_NE(attack.error().message.find("out of range of the total weight"), std::string::npos);
  EXPECT_FALSE(with(bound, -90).has_value());  // none
  // What is left: with all the weight a site may claim, the mean moves by no more than the bound.
  const auto most = with(bound, 100);
  ASSERT_TRUE(most.has_value()) << most.error().message;
  const double mean =
      static_cast<double>(most->sums()[0]) * most->weight_max / (most->scale * static_cast<double>(most->weight_sum));
  EXPECT_LE(mean, 0.5);
}

TEST(Sum, AWrongCanaryRangeOrWeightIsRefused) {
  const auto p = parameters_for(3, 2);
  std::vector<std::uint32_t> good = {0, 0, 5, 0, 0, 0, 0, 2};
  ASSERT_EQ(good.size(), p.dimension);
  ASSERT_TRUE(federation::secagg::decode_sum(p, good, 2).has_value());
  EXPECT_FALSE(federation::secagg::decode_sum(p, good, 3).has_value());  // the canary counts another number of sites
  auto bad = good;
  bad[0] = 0x80000000U;
  EXPECT_FALSE(federation::secagg::decode_sum(p, bad, 2).has_value());
  bad = good;
  bad[1] = static_cast<std::uint32_t>(2 * federation::secagg::word_bound(3) + 1);
  EXPECT_FALSE(federation::secagg::decode_sum(p, bad, 2).has_value());
  bad = good;
  bad[2] = 1;  // less than one study per site
  EXPECT_FALSE(federation::secagg::decode_sum(p, bad, 2).has_value());
  bad[2] = 201;
  EXPECT_FALSE(federation::secagg::decode_sum(p, bad, 2).has_value());
  bad = good;
  bad.pop_back();
  EXPECT_FALSE(federation::secagg::decode_sum(p, bad, 2).has_value());
}

TEST(Sum, AMetricOutOfRangeIsRefused) {
  const auto p = parameters_for(3, 2);
  const auto most = static_cast<std::uint32_t>(2 * federation::secagg::word_bound(3));
  for (std::size_t metric = 3; metric < p.dimension - 1; ++metric) {
    std::vector<std::uint32_t> sum = {0, 0, 5, 0, 0, 0, 0, 2};
    for (const std::uint32_t word : {most, 0U - most}) {
      sum[metric] = word;
      EXPECT_TRUE(federation::secagg::decode_sum(p, sum, 2).has_value()) << metric;
    }
    for (const std::uint32_t word : {most + 1, 0U - most - 1, 0x80000000U}) {
      sum[metric] = word;
      EXPECT_FALSE(federation::secagg::decode_sum(p, sum, 2).has_value()) << metric;
    }
  }
}

TEST(Parameters, OneEncodingAndStrictBounds) {
  const auto p = parameters_for(4, 10);
  const Bytes bytes = p.encode();
  ASSERT_TRUE(federation::secagg::RoundParameters::decode(bytes).has_value())
      << federation::secagg::RoundParameters::decode(bytes).error().message;
  EXPECT_EQ(*federation::secagg::RoundParameters::decode(bytes), p);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(federation::secagg::RoundParameters::decode(ByteView(bytes).first(size)).has_value());
  const auto refused = [&](auto change) {
    auto bad = p;
    change(bad);
    EXPECT_FALSE(federation::secagg::RoundParameters::decode(bad.encode()).has_value());
  };
  refused([](auto& bad) { bad.round = 0; });
  refused([](auto& bad) { bad.attempt = 0; });
  refused([](auto& bad) { bad.candidates = {0}; });
  refused([](auto& bad) { bad.candidates = {1, 0, 2, 3}; });
  refused([](auto& bad) { bad.thresholds.threshold = 5; });
  refused([](auto& bad) { bad.thresholds.threshold = 1; });
  refused([](auto& bad) { bad.dimension = federation::secagg::kTailWords; });
  refused([](auto& bad) { bad.ring_bits = 64; });
  refused([](auto& bad) { bad.noise = 1; });
  refused([](auto& bad) { bad.encoding.scale = std::nan(""); });
  refused([](auto& bad) { bad.encoding.scale = -1; });
  refused([](auto& bad) { bad.encoding.scale *= 1.01; });
  refused([](auto& bad) { bad.encoding.weight_max = 1U << 30; });
  refused([](auto& bad) { bad.phase_ms = 0; });
}

TEST(Parameters, TheHashCoversEveryField) {
  const auto p = parameters_for(4, 10);
  const Bytes bytes = p.encode();
  std::size_t differing = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Bytes changed = bytes;
    changed[i] ^= 1;
    const auto decoded = federation::secagg::RoundParameters::decode(changed);
    if (!decoded) continue;
    ++differing;
    EXPECT_NE(decoded->hash(), p.hash()) << "byte " << i;
  }
  EXPECT_GT(differing, 150U);  // the hashes and ids at least
}

}  // namespace
}  // namespace fovea::test

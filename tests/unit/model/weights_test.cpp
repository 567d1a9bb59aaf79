// Failure class: a sum that shows how many studies one site has.
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "federation/model/counted_update.h"
#include "federation/secagg/fixed_point.h"

namespace fovea::federation {
namespace {

using membership::PlanStrategy;
using membership::SiteWeights;

constexpr std::size_t kFloats = 3;
const PlanStrategy kStudies{.name = "fedavg", .weights = SiteWeights::studies, .weight_max = 1000, .delta_max = 0.5};
const PlanStrategy kEqual{.name = "fedavg", .weights = SiteWeights::equal, .weight_max = 1, .delta_max = 0.5};

secagg::RoundParameters parameters(const PlanStrategy& strategy, std::size_t sites) {
  secagg::RoundParameters out;
  for (std::size_t i = 0; i < sites; ++i) out.candidates.push_back(static_cast<RosterIndex>(i));
  out.dimension = static_cast<std::uint32_t>(secagg::vector_words(kFloats));
  out.encoding = secagg::make_encoding(sites, strategy.delta_max, strategy.weight_max).value();
  return out;
}

// As a site's trainer leaves it: losses of every step, hits and findings of the studies that are held back.
model::LocalUpdate trained(std::uint32_t studies, double findings) {
  return {.delta = std::vector<float>(kFloats, 0.25F),
          .weight = studies,
          .metric_sums = {0.5 * 120, 120, findings / 2, findings}};
}

std::vector<std::uint32_t> sum_of(const PlanStrategy& strategy, const std::vector<model::LocalUpdate>& updates,
                                  std::size_t encoded_for) {
  const secagg::RoundParameters p = parameters(strategy, encoded_for);
  std::vector<std::uint32_t> sum(p.dimension);
  std::vector<std::uint32_t> words(p.dimension);
  for (const model::LocalUpdate& update : updates) {
    const model::LocalUpdate counted = model::counted_update(update, strategy);
    secagg::UpdateEncoder::create(p, counted)->fill(0, words);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += words[i];
  }
  return sum;
}

// What the coordinator knows of the last site after a sum with it and one without it: the difference of each word.
std::vector<std::uint32_t> learned(const PlanStrategy& strategy, const model::LocalUpdate& last) {
  const std::vector<model::LocalUpdate> others = {trained(17, 4), trained(64, 9), trained(230, 1)};
  std::vector<model::LocalUpdate> all = others;
  all.push_back(last);
  std::vector<std::uint32_t> difference = sum_of(strategy, all, 4);
  const std::vector<std::uint32_t> without = sum_of(strategy, others, 4);
  for (std::size_t i = 0; i < difference.size(); ++i) difference[i] -= without[i];
  return difference;
}

TEST(WeightsAttack, TwoSumsThatDifferByOneSiteShowItsNumberOfStudiesWithStudies) {
  const std::vector<std::uint32_t> shown = learned(kStudies, trained(143, 11));
  EXPECT_EQ(shown[kFloats], 143U);                                // the weight
  EXPECT_EQ(static_cast<double>(shown[kFloats + 4]) / 1024, 11);  // findings of its held-back patients
}

// No word of a vector depends on how many studies or findings there are: the attacker learns the same of all of them.
TEST(WeightsAttack, TwoSumsThatDifferByOneSiteShowNoNumberOfStudiesWithEqual) {
  const std::vector<std::uint32_t> shown = learned(kEqual, trained(143, 11));
  EXPECT_EQ(shown[kFloats], 1U);
  for (const std::uint32_t studies : {1U, 2U, 144U, 100'000U})
    for (const double findings : {0.0, 2.0, 12.0}) EXPECT_EQ(learned(kEqual, trained(studies, findings)), shown);
  // Another trainer's number of losses does not show either, as long as their mean is the same.
  model::LocalUpdate more = trained(143, 11);
  more.metric_sums = {0.5 * 143, 143, 0, 0};
  EXPECT_EQ(learned(kEqual, more), shown);
}

TEST(CountedUpdate, WithStudiesOnlyTheWeightIsLimited) {
  const model::LocalUpdate counted = model::counted_update(trained(5000, 3), kStudies);
  EXPECT_EQ(counted.weight, 1000U);
  EXPECT_EQ(counted.metric_sums, (std::array<double, model::kMetricCount>{60, 120, 1.5, 3}));
}

TEST(CountedUpdate, AStageWithoutLossesHasNone) {
  model::LocalUpdate update = trained(5, 0);
  update.metric_sums = {};
  EXPECT_EQ(model::counted_update(update, kEqual).metric_sums, (std::array<double, model::kMetricCount>{}));
  EXPECT_EQ(model::counted_update(update, kEqual).weight, 1U);
}

}  // namespace
}  // namespace fovea::federation

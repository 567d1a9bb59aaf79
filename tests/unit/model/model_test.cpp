#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "federation/model/federated_averaging.h"
#include "federation/model/initial_weights.h"
#include "federation/model/layout.h"
#include "federation/model/round_sum.h"
#include "federation/model/state.h"

namespace fovea::federation {
namespace {

model::ModelLayout small_layout() {
  return model::ModelLayout::create(
             "small", {{.name = "a.weight", .shape = {4, 3}, .initial = model::InitialValue::kaiming_uniform},
                       {.name = "a.bias", .shape = {4}, .constant = 1},
                       {.name = "b.weight", .shape = {2, 4}, .initial = model::InitialValue::kaiming_uniform}})
      .value();
}

TEST(Layout, CutsTheFlatModelInOrder) {
  const model::ModelLayout layout = small_layout();
  EXPECT_EQ(layout.size(), 12U + 4U + 8U);
  EXPECT_EQ(layout.find("a.bias").value(), (model::FlatRange{12, 4}));
  const std::string a[] = {"a."}, both[] = {"b.", "a.weight"};
  EXPECT_EQ(layout.ranges(a).value(), (std::vector<model::FlatRange>{{0, 16}}));
  EXPECT_EQ(layout.ranges(both).value(), (std::vector<model::FlatRange>{{0, 12}, {16, 8}}));
}

TEST(Layout, RefusesBadTensors) {
  const auto refused = [](std::vector<model::TensorSpec> tensors) {
    return model::ModelLayout::create("x", std::move(tensors)).error().code == ErrorCode::invalid_argument;
  };
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused({{.name = "", .shape = {1}}}));
  EXPECT_TRUE(refused({{.name = "Upper", .shape = {1}}}));
  EXPECT_TRUE(refused({{.name = "a", .shape = {}}}));
  EXPECT_TRUE(refused({{.name = "a", .shape = {0}}}));
  EXPECT_TRUE(refused({{.name = "a", .shape = {1, 1, 1, 1, 1, 1}}}));
  EXPECT_TRUE(refused({{.name = "a", .shape = {1U << 20, 1U << 20, 1U << 30}}}));  // the product wraps 64 bits
  EXPECT_TRUE(refused({{.name = "a", .shape = {1U << 26}}, {.name = "b", .shape = {1}}}));
  EXPECT_TRUE(refused({{.name = "a", .shape = {1}}, {.name = "a", .shape = {2}}}));
}

TEST(Layout, RefusesAPrefixThatTrainsNothing) {
  const std::string prefixes[] = {"a.", "encoder."};
  EXPECT_EQ(small_layout().ranges(prefixes).error().code, ErrorCode::invalid_argument);
}

TEST(Layout, ReadsArchitectureNames) {
  EXPECT_EQ(model::make_layout("probe-1000").value().size(), 1000U);
  EXPECT_GT(model::make_layout("fovea-1").value().size(), 500'000U);
  for (const char* name :
       {"", "probe-", "probe-0", "probe-01", "probe--1", "probe-1x", "probe-99999999999", "fovea-2", "fovea-1 "})
    EXPECT_FALSE(model::make_layout(name)) << name;
}

TEST(ModelState, HasTheSizeOfItsLayoutAndOnlyFiniteValues) {
  const model::ModelLayout layout = small_layout();
  EXPECT_TRUE(model::ModelState::create(layout, std::vector<float>(layout.size())));
  EXPECT_FALSE(model::ModelState::create(layout, std::vector<float>(layout.size() + 1)));
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> values(layout.size());
    values[13] = bad;
    const auto state = model::ModelState::create(layout, std::move(values));
    ASSERT_FALSE(state);
    EXPECT_NE(state.error().message.find("a.bias"), std::string::npos);
  }
}

TEST(ModelState, DigestCoversEveryValueNameAndShape) {
  const model::ModelLayout layout = small_layout();
  std::vector<float> values(layout.size(), 0.5F);
  const Digest first = model::ModelState::create(layout, values).value().digest();
  values.back() = std::nextafter(0.5F, 1.0F);
  const model::ModelState changed = model::ModelState::create(layout, values).value();
  EXPECT_NE(changed.digest(), first);
  EXPECT_EQ(changed.digest_of("a.").value(),
            model::ModelState::create(layout, std::vector<float>(layout.size(), 0.5F)).value().digest_of("a.").value());
  EXPECT_FALSE(changed.digest_of("none."));
  const model::ModelLayout other = model::ModelLayout::create("small", {{.name = "a.weight", .shape = {3, 4}},
                                                                        {.name = "a.bias", .shape = {4}},
                                                                        {.name = "b.weight", .shape = {2, 4}}})
                                       .value();
  EXPECT_NE(model::ModelState::create(other, std::vector<float>(other.size(), 0.5F)).value().digest(), first);
}

// The bytes that coordinator, sites and auditors must agree on, on every machine. The digests of this file were also
// computed by a separate program in another language.
TEST(InitialWeights, AreTheSameEverywhere) {
  const model::ModelState state = model::initial_model(small_layout(), 7).value();
  EXPECT_EQ(to_hex(state.digest()), "b7424d744bd35a56d33badb1d09e606b8865fbd11e3b0ccd37f7d451c574b4b9");
}

TEST(InitialWeights, StayWithinTheirBoundAndFillIt) {
  const model::ModelLayout layout =
      model::ModelLayout::create("wide",
                                 {{.name = "w", .shape = {400, 25}, .initial = model::InitialValue::kaiming_uniform},
                                  {.name = "c", .shape = {3}, .constant = -4}})
          .value();
  const model::ModelState state = model::initial_model(layout, 1).value();
  const double bound = std::sqrt(6.0 / 25);
  double low = 0, high = 0, sum = 0;
  for (std::size_t i = 0; i < 10'000; ++i) {
    const auto value = static_cast<double>(state.values()[i]);
    low = std::min(low, value);
    high = std::max(high, value);
    sum += value;
  }
  EXPECT_GE(low, -bound * 1.000001);
  EXPECT_LE(high, bound);
  EXPECT_LT(low, -0.99 * bound);
  EXPECT_GT(high, 0.99 * bound);
  EXPECT_NEAR(sum / 10'000, 0, 0.02);
  EXPECT_EQ(state.values()[10'001], -4);
  EXPECT_NE(state.digest(), model::initial_model(layout, 2).value().digest());
}

model::RoundSum sum_of(const std::vector<std::int32_t>& values, double scale, std::uint32_t weight_max,
                       std::uint64_t weight_sum) {
  return {.words = std::vector<std::uint32_t>(values.begin(), values.end()),
          .scale = scale,
          .weight_max = weight_max,
          .weight_sum = weight_sum};
}

TEST(FederatedAveraging, AddsTheWeightedMeanOfTheUpdates) {
  const model::ModelLayout layout = small_layout();
  const model::ModelState model = model::ModelState::create(layout, std::vector<float>(layout.size(), 1)).value();
  const std::vector<model::FlatRange> trained{{12, 4}};
  // Two sites, weights 10 and 30 of at most 100, updates +1 and −1, scale 1000.
  const double scale = 1000;
  const auto word = static_cast<std::int32_t>(std::lround(scale * 10 * 1 / 100) + std::lround(scale * 30 * -1 / 100));
  const std::vector<std::int32_t> sums(4, word);
  const model::ModelState next =
      model::apply_federated_averaging(model, trained, sum_of(sums, scale, 100, 40), 1).value();
  EXPECT_EQ(next.values()[11], 1);
  EXPECT_FLOAT_EQ(next.values()[12], 1 - 0.5F);
  EXPECT_FLOAT_EQ(next.values()[15], 1 - 0.5F);
  EXPECT_EQ(next.values()[16], 1);
  const model::ModelState further =
      model::apply_federated_averaging(model, trained, sum_of(sums, scale, 100, 40), 1.5).value();
  EXPECT_FLOAT_EQ(further.values()[12], 1 - 0.75F);
}

TEST(FederatedAveraging, GivesTheSameBytesEverywhere) {
  const model::ModelLayout layout = model::make_layout("probe-1000").value();
  const model::ModelState model = model::ModelState::create(layout, std::vector<float>(1000, 0.1F)).value();
  std::vector<std::int32_t> sums(1000);
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = static_cast<std::int32_t>(i * 2654435761U);
  const std::vector<model::FlatRange> trained{{0, 1000}};
  const model::ModelState next =
      model::apply_federated_averaging(model, trained, sum_of(sums, 1e8 / 3, 1000, 77), 1).value();
  EXPECT_EQ(to_hex(next.digest()), "75112295e81ff2a20299e0a04b48ebbf177e5455aaffce63d4199ce75ed36f56");
}

TEST(FederatedAveraging, RefusesWhatDoesNotFit) {
  const model::ModelLayout layout = small_layout();
  const model::ModelState model = model::ModelState::create(layout, std::vector<float>(layout.size())).value();
  const std::vector<model::FlatRange> trained{{12, 4}}, outside{{22, 4}};
  const std::vector<std::int32_t> four(4, 1), three(3, 1), huge(4, 0x7FFFFFFF);
  EXPECT_FALSE(model::apply_federated_averaging(model, trained, sum_of(three, 1, 1, 1), 1));
  EXPECT_FALSE(model::apply_federated_averaging(model, outside, sum_of(four, 1, 1, 1), 1));
  EXPECT_FALSE(model::apply_federated_averaging(model, trained, sum_of(four, 0, 1, 1), 1));
  EXPECT_FALSE(model::apply_federated_averaging(model, trained,
                                                sum_of(four, std::numeric_limits<double>::quiet_NaN(), 1, 1), 1));
  EXPECT_FALSE(model::apply_federated_averaging(model, trained, sum_of(four, 1, 0, 1), 1));
  EXPECT_FALSE(model::apply_federated_averaging(model, trained, sum_of(four, 1, 1, 0), 1));
  EXPECT_FALSE(model::apply_federated_averaging(model, trained, sum_of(four, 1, 1, 1), 0));
  EXPECT_FALSE(
      model::apply_federated_averaging(model, trained, sum_of(four, 1, 1, 1), std::numeric_limits<double>::infinity()));
  EXPECT_TRUE(model::apply_federated_averaging(model, trained, sum_of(four, 1, 1, 1), 1));
  EXPECT_FALSE(model::apply_federated_averaging(model, trained, sum_of(huge, 1e-35, 1, 1), 1));  // not finite as float
}

}  // namespace
}  // namespace fovea::federation

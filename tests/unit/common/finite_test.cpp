#include "common/finite.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <limits>
#include <vector>

namespace fovea {
namespace {

using Limits = std::numeric_limits<float>;

TEST(AllFinite, AcceptsEveryFiniteNumber) {
  EXPECT_TRUE(all_finite({}));
  EXPECT_TRUE(all_finite(std::vector<float>{1, -2, 0, -0.0F, Limits::max(), Limits::lowest(), Limits::denorm_min()}));
}

TEST(AllFinite, FindsOneNonFiniteValueAtAnyPosition) {
  for (const float bad : {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(), -Limits::quiet_NaN()})
    for (std::size_t at = 0; at < 37; ++at) {
      std::vector<float> values(37, 1);
      values[at] = bad;
      EXPECT_FALSE(all_finite(values)) << bad << " at " << at;
    }
}

}  // namespace
}  // namespace fovea

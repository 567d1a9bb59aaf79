// The sum of a round, taken apart (federation/secagg/fixed_point.h), as federated averaging applies it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "federation/model/local_update.h"

namespace fovea::federation::model {

struct RoundSum {
  std::vector<std::uint32_t> words;  // of the trained floats: Σ round(scale · w_i · Δ_i / w_max), two's complement
  double scale = 0;                  // finite and above 0
  std::uint32_t weight_max = 0;      // w_max, at least 1
  std::uint64_t weight_sum = 0;      // Σ w_i, at least 1
  std::array<double, kMetricCount> metric_sums{};
  std::uint32_t sites = 0;  // in the sum

  std::span<const std::int32_t> sums() const noexcept {
    return {reinterpret_cast<const std::int32_t*>(words.data()), words.size()};
  }
};

}  // namespace fovea::federation::model

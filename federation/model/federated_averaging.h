// FedAvg (McMahan et al. 2017) with a server learning rate η (Reddi et al. 2021) on an integer sum, as coordinator and
// every site apply it: double arithmetic in one fixed order, no contraction, so all get the same bytes.
//
// Site i sent x_i = round(scale · w_i · Δ_i / weight_max); the new model is old + η · Σ x_i · weight_max / (scale · Σ
// w_i).
#pragma once

#include <cstdint>
#include <span>

#include "federation/model/state.h"

namespace fovea::federation {

struct AggregatedUpdate {
  std::span<const std::int32_t> sums;  // ring words read as two's complement; trained tensors in layout order
  double scale = 0;                    // > 0, finite
  std::uint32_t weight_max = 0;        // ≥ 1
  std::uint64_t weight_sum = 0;        // ≥ 1
  double server_learning_rate = 0;     // η > 0, finite; 1 is plain FedAvg
};

// invalid_argument: a length, scale, weight or rate out of bounds, or a result that is not finite.
Result<ModelState> apply_federated_averaging(const ModelState& model, std::span<const FlatRange> trained,
                                             const AggregatedUpdate& update);

}  // namespace fovea::federation

// FedAvg (McMahan et al. 2017) with a server learning rate η (Reddi et al. 2021) on an integer sum, as coordinator and
// every site apply it: double arithmetic in one fixed order, no contraction, so all get the same bytes.
//
// Site i sent x_i = round(scale · w_i · Δ_i / w_max); the new model is old + η · Σ x_i · w_max / (scale · Σ w_i).
#pragma once

#include <span>

#include "common/result.h"
#include "federation/model/layout.h"
#include "federation/model/round_sum.h"
#include "federation/model/state.h"

namespace fovea::federation::model {

// `trained`: the ranges of the model that the sum's words belong to, in layout order. `server_learning_rate`: η, finite
// and above 0; 1 is plain FedAvg. invalid_argument: a length, scale, weight or rate out of bounds, or a result that is
// not finite.
Result<ModelState> apply_federated_averaging(const ModelState& model, std::span<const FlatRange> trained,
                                             const RoundSum& sum, double server_learning_rate);

}  // namespace fovea::federation::model

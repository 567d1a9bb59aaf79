// Applying a round's sum: the step from a verified sum to the next model, as the coordinator and every site take it.
#pragma once

#include "common/result.h"
#include "federation/membership/plan.h"
#include "federation/model/round_sum.h"
#include "federation/model/state.h"

namespace fovea::federation::model {

// Federated averaging (federation/model/federated_averaging.h) of the tensors that `stage` trains. invalid_argument:
// the model has no such tensors, the sum is not of them, or the result is not finite.
Result<ModelState> apply_sum(const ModelState& model, const membership::PlanStage& stage, const RoundSum& sum);

}  // namespace fovea::federation::model

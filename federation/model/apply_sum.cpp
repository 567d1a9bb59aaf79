#include "federation/model/apply_sum.h"

#include "federation/model/federated_averaging.h"

namespace fovea::federation::model {

Result<ModelState> apply_sum(const ModelState& model, const membership::PlanStage& stage, const RoundSum& sum) {
  FOVEA_TRY_ASSIGN(const auto ranges, model.layout().ranges(stage.trains));
  return apply_federated_averaging(model, ranges, sum, stage.server_learning_rate);
}

}  // namespace fovea::federation::model

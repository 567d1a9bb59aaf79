// The next model from what was published with a sum, where the model's own file was lost in a crash.
#pragma once

#include <vector>

#include "common/bytes.h"
#include "federation/membership/plan.h"
#include "federation/model/state.h"

namespace fovea::coordinator::store {

// `messages` are the coordinator's own stored messages: their signatures are not checked again, the caller compares the
// model's digest with the history. corruption: not a publication.
Result<federation::model::ModelState> apply_publication(const federation::model::ModelState& model,
                                                        const std::vector<Bytes>& messages,
                                                        const federation::membership::PlanStage& stage);

}  // namespace fovea::coordinator::store

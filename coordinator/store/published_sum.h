// The next model from what was published with a sum, where the model's own file was lost in a crash.
#pragma once

#include <vector>

#include "common/bytes.h"
#include "federation/membership/plan.h"
#include "federation/model/state.h"

namespace fovea::coordinator {

// `messages` are the coordinator's own stored messages: their signatures are not checked again, the caller compares the
// model's digest with the history. corruption: not a publication.
Result<federation::ModelState> apply_publication(const federation::ModelState& model,
                                                 const std::vector<Bytes>& messages,
                                                 const federation::PlanStage& stage);

}  // namespace fovea::coordinator

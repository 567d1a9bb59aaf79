// The model a run starts from, derived from the plan's architecture and seed by integer arithmetic over
// the AES-CTR mask stream (no libm, no torch), so that coordinator, sites and auditors get the same bytes.
// Bounds after He et al. 2015, "Delving deep into rectifiers": uniform in ±sqrt(6 / fan_in).
#pragma once

#include <cstdint>

#include "common/result.h"
#include "federation/model/layout.h"
#include "federation/model/state.h"

namespace fovea::federation::model {

Result<ModelState> initial_model(const ModelLayout& layout, std::uint64_t seed);

}  // namespace fovea::federation::model

// How a trained model is to be used: the plan's look and normalisation settings, carried as metadata of the
// model file, so that `predict` and `evaluate` look exactly as training did.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"
#include "federation/membership/plan.h"
#include "federation/model/safetensors.h"

namespace fovea::federation::model {

struct ModelUse {
  std::string finding_kind;
  std::string modality;
  std::string normalisation;  // "mr-foreground", "ct-soft-tissue", "ct-lung", "ct-brain" or "pet-suv"
  bool n4 = false;            // scans are divided by their bias field first
  std::uint32_t regions = 0;  // 1 to 256
  double exploration = 0;     // 0 to 1
  double nms_mm = 0;          // > 0, at most 1000
  std::uint64_t seed = 0;     // of the exploration
  std::string plan_hash;      // hex, of the plan that trained it
  bool operator==(const ModelUse&) const = default;
};

ModelUse model_use_of(const membership::Plan& plan);

// Metadata entries "fovea.…"; merge them with others freely. Numbers are written so that they read back equal.
ModelMetadata to_metadata(const ModelUse& use);
// invalid_argument names the entry that is missing or out of bounds.
Result<ModelUse> read_model_use(const ModelMetadata& metadata);

}  // namespace fovea::federation::model

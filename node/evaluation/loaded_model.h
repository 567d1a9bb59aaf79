// A model file ready for looking at scans: what `predict` and `evaluate` start from.
#pragma once

#include <filesystem>

#include "common/bytes.h"
#include "common/result.h"
#include "federation/model/model_use.h"
#include "node/evaluation/evaluate.h"
#include "node/network/network_blocks.h"

namespace fovea::node::evaluation {

struct LoadedModel {
  network::NetworkParameters parameters;
  federation::model::ModelUse use;
  EvaluationSettings settings;
  Digest digest{};
};

// invalid_argument: a normalisation that this program does not know.
Result<EvaluationSettings> evaluation_settings(const federation::model::ModelUse& use);

// Also prepares torch for one thread. Errors name the file: not_found, corruption, or invalid_argument when its model
// is of an architecture that does not look at scans.
Result<LoadedModel> load_model(const std::filesystem::path& path);

}  // namespace fovea::node::evaluation

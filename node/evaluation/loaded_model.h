// A model file made ready for looking: what `predict` and `evaluate` start from.
#pragma once

#include <filesystem>

#include "federation/model/model_use.h"
#include "node/network/network_blocks.h"
#include "node/saliency/regions.h"
#include "node/volume/intensity.h"

namespace fovea::node {

struct LoadedModel {
  NetworkParameters parameters;
  federation::ModelUse use;
  Normalisation normalisation;
  LookSettings look;
  Digest digest{};
};

// Also readies torch for one thread. Errors name the file: not_found, corruption, or invalid_argument when it holds
// no model of an architecture that can look.
Result<LoadedModel> load_model(const std::filesystem::path& path);

}  // namespace fovea::node

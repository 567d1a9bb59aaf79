#include "node/evaluation/loaded_model.h"

#include <utility>

#include "common/durable_file.h"
#include "federation/model/safetensors.h"
#include "node/volume/intensity.h"

namespace fovea::node::evaluation {

Result<EvaluationSettings> evaluation_settings(const federation::model::ModelUse& use) {
  FOVEA_TRY_ASSIGN(const volume::Normalisation normalisation, volume::parse_normalisation(use.normalisation));
  return EvaluationSettings{{normalisation, use.n4},
                            {.regions = use.regions, .exploration = use.exploration, .nms_mm = use.nms_mm},
                            use.seed};
}

Result<LoadedModel> load_model(const std::filesystem::path& path) {
  FOVEA_TRY_ASSIGN(const Bytes file, read_file(path, federation::model::kSafetensorsFileMax));
  auto stored = federation::model::read_safetensors(file);
  if (!stored) return stored.error().with_context(path.string());
  if (stored->state.layout().architecture() != "fovea-1")
    return invalid_argument(path.string() + ": the architecture " + stored->state.layout().architecture() +
                            " does not look at scans; use a model of fovea-1");
  auto use = federation::model::read_model_use(stored->metadata);
  if (!use) return use.error().with_context(path.string());
  FOVEA_TRY_ASSIGN(const EvaluationSettings settings, evaluation_settings(*use));

  network::prepare_torch(1);
  network::NetworkParameters parameters(stored->state.layout());
  FOVEA_TRY(parameters.load(stored->state.values()));
  return LoadedModel{std::move(parameters), std::move(*use), settings, stored->state.digest()};
}

}  // namespace fovea::node::evaluation

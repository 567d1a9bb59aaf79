// The trainer of "fovea-1" plans: this site's studies, opened, and its embeddings.
#include <memory>
#include <utility>

#include "common/clock.h"
#include "common/result.h"
#include "federation/model/layout.h"
#include "node/commands/trainer_choice.h"
#include "node/embedding/embedding_store.h"
#include "node/store/study_catalogue.h"
#include "node/training/torch_trainer.h"
#include "node/training/training_set.h"
#include "node/volume/intensity.h"

namespace fovea::node {

Result<std::unique_ptr<Trainer>> make_learning_trainer(const federation::Plan& plan, const SiteFolder& folder,
                                                       const NodeConfig& config) {
  static const SystemClock clock;  // outlives every embedding store
  FOVEA_TRY_ASSIGN(federation::ModelLayout layout, federation::make_layout(plan.architecture));
  FOVEA_TRY_ASSIGN(const Normalisation kind, parse_normalisation(plan.normalisation));
  FOVEA_TRY_ASSIGN(const StudyCatalogue catalogue, StudyCatalogue::open(folder.data(), false));
  FOVEA_TRY_ASSIGN(const auto train, catalogue.list_usable(Split::train));
  FOVEA_TRY_ASSIGN(const auto validation, catalogue.list_usable(Split::validation));
  if (train.empty())
    return failed_precondition("no usable studies of the split \"train\" at this site; see fovea-node data list");
  FOVEA_TRY_ASSIGN(EmbeddingStore embeddings, EmbeddingStore::open(folder.data() / "embeddings", clock));
  TorchTrainerSettings settings;
  settings.look = {.regions = plan.look.regions, .exploration = plan.look.exploration, .nms_mm = plan.look.nms_mm};
  settings.site_seed = site_seed(config.site);
  settings.threads = static_cast<int>(config.training.threads);
  const VoxelRule rule{kind, plan.n4};
  FOVEA_TRY_ASSIGN(LearningSet training, open_learning_set(train, rule));
  FOVEA_TRY_ASSIGN(LearningSet validating, open_learning_set(validation, rule));
  return std::unique_ptr<Trainer>(std::make_unique<TorchTrainer>(std::move(layout), settings, std::move(training),
                                                                 std::move(validating), std::move(embeddings)));
}

}  // namespace fovea::node

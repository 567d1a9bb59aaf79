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

namespace fovea::node::commands {

Result<std::unique_ptr<training::Trainer>> make_learning_trainer(const federation::membership::Plan& plan,
                                                                 const io::SiteFolder& folder,
                                                                 const io::NodeConfig& config) {
  static const SystemClock clock;  // outlives every embedding store
  FOVEA_TRY_ASSIGN(federation::model::ModelLayout layout, federation::model::make_layout(plan.architecture));
  FOVEA_TRY_ASSIGN(const volume::Normalisation kind, volume::parse_normalisation(plan.normalisation));
  FOVEA_TRY_ASSIGN(const store::StudyCatalogue catalogue, store::StudyCatalogue::open(folder.data(), false));
  FOVEA_TRY_ASSIGN(const auto train, catalogue.list_usable(store::Split::train));
  FOVEA_TRY_ASSIGN(const auto validation, catalogue.list_usable(store::Split::validation));
  if (train.empty())
    return failed_precondition("no usable studies of the split \"train\" at this site; see fovea-node data list");
  FOVEA_TRY_ASSIGN(const io::SiteKeys keys, folder.keys());
  FOVEA_TRY_ASSIGN(embedding::EmbeddingStore embeddings,
                   embedding::EmbeddingStore::open(folder.data() / "embeddings", clock));
  training::TorchTrainerSettings settings;
  settings.look = {.regions = plan.look.regions, .exploration = plan.look.exploration, .nms_mm = plan.look.nms_mm};
  settings.site_seed = site_seed(keys.identity);
  settings.threads = static_cast<int>(config.training.threads);
  // Hits and findings count what lies at one site: with equal weights they are not sent (counted_update.h).
  if (plan.strategy.weights == federation::membership::SiteWeights::equal) settings.validation_studies = 0;
  const training::VoxelRule rule{kind, plan.n4};
  FOVEA_TRY_ASSIGN(training::LearningSet training, training::open_learning_set(train, rule));
  FOVEA_TRY_ASSIGN(training::LearningSet validating, training::open_learning_set(validation, rule));
  return std::unique_ptr<training::Trainer>(std::make_unique<training::TorchTrainer>(
      std::move(layout), settings, std::move(training), std::move(validating), std::move(embeddings)));
}

}  // namespace fovea::node::commands

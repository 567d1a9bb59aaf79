#include "node/training/open_trainer.h"

#ifdef FOVEA_WITH_LEARNING
#include "node/training/torch_trainer.h"
#endif

namespace fovea::node {
namespace {

#ifdef FOVEA_WITH_LEARNING

Result<LearningSet> open_split(const StudyCatalogue& catalogue, Split split, Normalisation kind) {
  FOVEA_TRY_ASSIGN(const std::vector<StudyRecord> records, catalogue.list_usable(split));
  return open_learning_set(records, kind);
}

Result<std::unique_ptr<Trainer>> open_torch_trainer(const federation::Plan& plan, federation::ModelLayout layout,
                                                    const TrainerSource& source, const Clock& clock) {
  FOVEA_TRY_ASSIGN(const Normalisation kind, parse_normalisation(plan.normalisation));
  FOVEA_TRY_ASSIGN(const StudyCatalogue catalogue, StudyCatalogue::open(source.data_folder, false));
  FOVEA_TRY_ASSIGN(LearningSet training, open_split(catalogue, Split::train, kind));
  if (training.studies.empty())
    return failed_precondition("training: the catalogue has no usable study of the split train; run fovea-node data ingest");
  FOVEA_TRY_ASSIGN(LearningSet validation, open_split(catalogue, Split::validation, kind));
  FOVEA_TRY_ASSIGN(EmbeddingStore embeddings, EmbeddingStore::open(source.data_folder / "embeddings", clock));
  prepare_torch(1);
  TorchTrainerSettings settings;
  settings.look = {plan.look.regions, plan.look.exploration, plan.look.nms_mm};
  return std::unique_ptr<Trainer>(std::make_unique<TorchTrainer>(std::move(layout), settings, std::move(training),
                                                                 std::move(validation), std::move(embeddings)));
}

#else

Result<std::unique_ptr<Trainer>> open_torch_trainer(const federation::Plan&, federation::ModelLayout, const TrainerSource&,
                                                    const Clock&) {
  return failed_precondition("training: this program was built without the learning parts (FOVEA_WITH_LEARNING)");
}

#endif

}  // namespace

Result<std::unique_ptr<Trainer>> open_trainer(const federation::Plan& plan, const TrainerSource& source, const Clock& clock) {
  FOVEA_TRY_ASSIGN(federation::ModelLayout layout, federation::make_layout(plan.architecture));
  if (plan.probe_size) return std::unique_ptr<Trainer>(std::make_unique<ProbeTrainer>(std::move(layout), source.probe));
  return open_torch_trainer(plan, std::move(layout), source, clock);
}

}  // namespace fovea::node

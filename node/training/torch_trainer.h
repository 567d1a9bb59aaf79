// The learning Trainer for "fovea-1": one site's local steps in a plan's stages.
//   "intensity" no steps: mean and mean square of the body's voxels, which the round's sum makes those of all sites (CT)
//   "proposer"  crops of the coarse volume; heat map and radius
//   "encoder"   bags of regions where the proposer looks; region head and study heads with it
//   "study"     study heads on sealed embeddings, made once for the networks at hand
// A plan may train fewer tensors than a stage touches: the others keep their values.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "node/embedding/embedding_store.h"
#include "node/training/adamw.h"
#include "node/training/bag_sampler.h"
#include "node/training/proposer_sampler.h"
#include "node/training/trainer.h"
#include "node/training/training_set.h"

namespace fovea::node {

struct TorchTrainerSettings {
  LookSettings look;
  ProposerSampling proposer;
  BagSampling bags;
  AdamWSettings optimiser;
  int threads = 1;                 // of torch; more give another order of sums, hence other last bits
  std::uint64_t warm_up = 20;      // steps of a stage
  std::size_t candidates = 64;     // regions a study offers to the bags
  std::size_t studies_a_step = 4;  // in the stage "study"
  std::size_t validation_studies =
      2;                        // looked at before each round of the proposer, in turn, for the metrics; 0 for none
  std::uint64_t site_seed = 0;  // of this site's draws: noise that hospitals share is not averaged away
};

// One thread. Studies stay open and their coarse views in memory: some 2 MB a brain, so a node holds hundreds.
class TorchTrainer final : public Trainer {
 public:
  // `embeddings` may be absent: then the stage "study" keeps them in memory only.
  TorchTrainer(federation::ModelLayout layout, TorchTrainerSettings settings, LearningSet training,
               LearningSet validation, std::optional<EmbeddingStore> embeddings);
  ~TorchTrainer() override;

  Result<TrainingOutcome> train(const TrainingTask& task, const TrainingProgress& progress) override;

 private:
  struct Memory;  // what is carried from round to round
  struct Stage;   // the pieces of one round
  Result<void> measure_intensity(Stage& stage);
  Result<void> train_proposer(Stage& stage);
  Result<void> train_encoder(Stage& stage);
  Result<void> train_study(Stage& stage);
  Result<void> validate(Stage& stage);
  Result<void> refresh_candidates();
  Result<void> refresh_vectors(std::uint64_t seed);
  Result<StudyVectors> vectors_of(LearningStudy& study, const Digest& identity, std::uint64_t seed);

  TorchTrainerSettings settings_;
  LearningSet training_;
  LearningSet validation_;
  std::optional<EmbeddingStore> embeddings_;
  NetworkParameters parameters_;
  std::unique_ptr<Memory> memory_;
};

}  // namespace fovea::node

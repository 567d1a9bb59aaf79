// The learning Trainer for "fovea-1": one site's local steps in a plan's stages.
//   "intensity" no steps: mean and mean square of the body's voxels, which the round's sum makes those of all sites
//   "proposer"  crops of the coarse volume; heat map and radius
//   "encoder"   bags of regions where the proposer looks; region head and study heads with it
//   "study"     study heads on stored embeddings, made once for each pair of proposer and encoder
// A plan may train fewer tensors than a stage touches: the others keep their values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "common/bytes.h"
#include "common/result.h"
#include "federation/model/layout.h"
#include "federation/model/state.h"
#include "node/embedding/embedding_store.h"
#include "node/embedding/region_network.h"
#include "node/network/network_blocks.h"
#include "node/saliency/regions.h"
#include "node/training/adamw.h"
#include "node/training/bag_sampler.h"
#include "node/training/proposer_sampler.h"
#include "node/training/trainer.h"
#include "node/training/training_set.h"

namespace fovea::node::training {

struct TorchTrainerSettings {
  saliency::LookSettings look;
  ProposerSampling proposer;
  BagSampling bags;
  AdamWSettings optimiser;
  int threads = 1;                    // of torch; more give another order of sums, hence other last bits
  std::uint64_t warm_up = 20;         // steps of a stage
  std::size_t proposed_regions = 64;  // per study, from which the bags are drawn
  std::size_t studies_per_step = 4;   // in the stage "study"
  // Looked at before each round of the proposer, in turn, for the metrics; 0 for none.
  std::size_t validation_studies = 2;
  // Of this site's draws, and known to nobody else: whoever could foresee them could look for a plan whose sum holds
  // the gradient of one study. Another at each site, for noise that all share would not average out.
  std::uint64_t site_seed = 0;
};

// One thread. Studies stay open and their coarse views in memory, some 2 MB per brain. After an error it is as before.
class TorchTrainer final : public Trainer {
 public:
  // `embeddings` may be absent: then the stage "study" keeps them in memory only.
  TorchTrainer(federation::model::ModelLayout layout, TorchTrainerSettings settings, LearningSet training,
               LearningSet validation, std::optional<embedding::EmbeddingStore> embeddings);
  ~TorchTrainer() override;

  Result<TrainingOutcome> train(const TrainingTask& task, const TrainingProgress& progress) override;

 private:
  struct Memory;  // what is carried from sum to sum
  struct Stage;   // the pieces of one round
  Result<void> measure_intensity(Stage& stage);
  Result<void> train_proposer(Stage& stage);
  Result<void> train_encoder(Stage& stage);
  Result<void> train_study(Stage& stage);
  Result<void> validate(Stage& stage);
  template <class Accumulate>
  Result<void> run_steps(Stage& stage, Accumulate accumulate);
  Result<federation::model::ModelState> current_model();
  Result<void> refresh_proposals();
  Result<void> refresh_vectors();
  Result<embedding::StudyVectors> vectors_of(LearningStudy& study, const Digest& identity);

  TorchTrainerSettings settings_;
  LearningSet training_;
  LearningSet validation_;
  std::optional<embedding::EmbeddingStore> embeddings_;
  network::NetworkParameters parameters_;
  std::unique_ptr<Memory> memory_;
};

}  // namespace fovea::node::training

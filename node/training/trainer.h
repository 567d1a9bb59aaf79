// One round's local training, as the round's driver sees it. Torch-free: the driver links any Trainer.
//
// A Trainer is used by one thread at a time and may keep caches (crops, optimiser state) between calls.
// The same task on the same data gives the same outcome. `train` returns deadline_exceeded when the
// progress callback asked to stop; failed_precondition when there is nothing to train on;
// invalid_argument for a task that does not fit the trainer's model; internal when training failed or diverged.
// After an error the trainer is as before.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "common/result.h"
#include "federation/model/local_update.h"

namespace fovea::node::training {

// Without the round's number, which is the coordinator's to choose: what is drawn must not follow from it.
struct TrainingTask {
  std::uint32_t sum = 0;          // which of the plan's sums this is for, from 1
  std::string stage;              // "proposer", "encoder", "study"
  std::uint32_t stage_round = 1;  // position inside the stage, from 1, for schedules
  std::uint32_t stage_rounds = 1;
  std::uint32_t local_steps = 0;
  double learning_rate = 0;
  std::uint64_t seed = 0;
  std::span<const float> model;     // whole flat model, federation::ModelLayout order
  std::vector<std::string> trains;  // tensor-name prefixes this stage trains
};

// An update, whose weight has no upper bound yet and whose metric sums are not negative.
struct TrainingOutcome : federation::model::LocalUpdate {
  std::uint32_t studies_skipped = 0;
  // Where the delta is a statistic of studies that does not depend on the model: of which, ascending, each once. Two
  // sums of it over cohorts that differ by one site show that site's own value, so it is released once a study.
  std::vector<federation::model::StudyTag> measured{};
};

using TrainingProgress = std::function<bool(double fraction)>;  // fraction in [0, 1]; return false to cancel

class Trainer {
 public:
  virtual ~Trainer() = default;
  virtual Result<TrainingOutcome> train(const TrainingTask& task, const TrainingProgress& progress) = 0;
};

}  // namespace fovea::node::training

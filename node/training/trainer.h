// One round's local work, as the round's driver sees it. Torch-free: the driver links any Trainer.
//
// A Trainer is used by one thread at a time and may keep caches (crops, optimiser state) between calls.
// The same task on the same data gives the same outcome. `train` returns deadline_exceeded when the
// progress callback asked to stop; failed_precondition when there is nothing to train on;
// invalid_argument for a task that does not fit the trainer's model. After an error the trainer is as before.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/result.h"

namespace fovea::node {

inline constexpr std::size_t kMetricCount = 4;

// Positions in TrainingOutcome::metric_sums.
enum class TrainingMetric : std::size_t { loss_sum = 0, loss_count = 1, hits = 2, findings = 3 };

struct TrainingTask {
  RoundNumber round = 0;
  std::string stage;              // "proposer", "encoder", "study"
  std::uint32_t stage_round = 1;  // position inside the stage, from 1, for schedules
  std::uint32_t stage_rounds = 1;
  std::uint32_t local_steps = 0;
  double learning_rate = 0;
  std::uint64_t seed = 0;
  std::span<const float> model;     // whole flat model, federation::ModelLayout order
  std::vector<std::string> trains;  // tensor-name prefixes this stage trains
};

struct TrainingOutcome {
  std::vector<float> delta;  // trained tensors only, concatenated in layout order; finite
  std::uint32_t weight = 0;  // studies used
  std::uint32_t studies_skipped = 0;
  std::vector<double> metric_sums;  // kMetricCount values, finite, ≥ 0
};

using TrainingProgress = std::function<bool(double fraction)>;  // fraction in [0, 1]; return false to cancel

class Trainer {
 public:
  virtual ~Trainer() = default;
  virtual Result<TrainingOutcome> train(const TrainingTask& task, const TrainingProgress& progress) = 0;
};

}  // namespace fovea::node

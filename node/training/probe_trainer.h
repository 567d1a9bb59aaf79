// A Trainer that learns nothing: small deterministic updates for the architecture "probe-N", so that
// integration tests and the round-overhead benchmark run real rounds without torch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/result.h"
#include "federation/model/layout.h"
#include "node/training/trainer.h"

namespace fovea::node::training {

struct ProbeSettings {
  std::uint64_t site_seed = 0;  // sites with different seeds have different deltas
  std::uint32_t studies = 20;   // the weight it reports, ≥ 1
  std::uint32_t delay_ms = 0;   // how long one round's "training" lasts; progress is reported meanwhile
};

class ProbeTrainer final : public Trainer {
 public:
  ProbeTrainer(federation::model::ModelLayout layout, ProbeSettings settings);
  // delta[i] is probe_delta(settings.site_seed, task.sum, i); loss_sum and loss_count are 1, hits and findings 0.
  Result<TrainingOutcome> train(const TrainingTask& task, const TrainingProgress& progress) override;

 private:
  federation::model::ModelLayout layout_;
  ProbeSettings settings_;
};

// The delta of coordinate `index` towards a sum: a multiple of 2^-20 in (-2^-7, 2^-7), so tests can foresee every sum.
float probe_delta(std::uint64_t site_seed, std::uint32_t sum, std::size_t index) noexcept;

}  // namespace fovea::node::training

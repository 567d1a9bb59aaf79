#include "node/training/probe_trainer.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "node/network/random_draws.h"

namespace fovea::node::training {

float probe_delta(std::uint64_t site_seed, std::uint32_t sum, std::size_t index) noexcept {
  const std::uint64_t word = network::mixed_bits(site_seed * 0x9E3779B97F4A7C15U + sum * 0xD1B54A32D192ED03U + index);
  const auto step = static_cast<std::int64_t>(word & 0x3FFFU) - 0x2000;  // ±2^13 steps of 2^-20
  return static_cast<float>(std::max<std::int64_t>(step, -0x1FFF)) * 0x1p-20F;
}

ProbeTrainer::ProbeTrainer(federation::model::ModelLayout layout, ProbeSettings settings)
    : layout_(std::move(layout)), settings_(settings) {}

Result<TrainingOutcome> ProbeTrainer::train(const TrainingTask& task, const TrainingProgress& progress) {
  if (task.model.size() != layout_.size())
    return invalid_argument("training task: the model has " + std::to_string(task.model.size()) + " values, expected " +
                            std::to_string(layout_.size()));
  FOVEA_TRY_ASSIGN(const std::vector<federation::model::FlatRange> ranges, layout_.ranges(task.trains));
  const std::uint32_t slices = std::max(1U, settings_.delay_ms / 20);
  for (std::uint32_t s = 0; s < slices; ++s) {
    if (settings_.delay_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(settings_.delay_ms / slices));
    if (progress && !progress(static_cast<double>(s + 1) / slices)) return deadline_exceeded("training was cancelled");
  }
  TrainingOutcome outcome;
  outcome.delta.resize(federation::model::total_size(ranges));
  for (std::size_t i = 0; i < outcome.delta.size(); ++i)
    outcome.delta[i] = probe_delta(settings_.site_seed, task.sum, i);
  outcome.weight = settings_.studies;
  outcome.metric_sums = {1, 1, 0, 0};
  return outcome;
}

}  // namespace fovea::node::training

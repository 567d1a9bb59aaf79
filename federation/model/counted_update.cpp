#include "federation/model/counted_update.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace fovea::federation::model {

LocalUpdate counted_update(LocalUpdate update, const membership::PlanStrategy& strategy) {
  update.weight = std::min(update.weight, strategy.weight_max);
  if (strategy.weights == membership::SiteWeights::studies) return update;
  auto& metrics = update.metric_sums;
  const double losses = metrics[static_cast<std::size_t>(TrainingMetric::loss_count)];
  const double mean = losses > 0 ? metrics[static_cast<std::size_t>(TrainingMetric::loss_sum)] / losses : 0;
  metrics = {};
  metrics[static_cast<std::size_t>(TrainingMetric::loss_sum)] = mean;
  metrics[static_cast<std::size_t>(TrainingMetric::loss_count)] = losses > 0 ? 1 : 0;
  return update;
}

}  // namespace fovea::federation::model

#include "federation/model/federated_averaging.h"

#include <cmath>

namespace fovea::federation {

Result<ModelState> apply_federated_averaging(const ModelState& model, std::span<const FlatRange> trained,
                                             const AggregatedUpdate& update) {
  if (!(update.scale > 0) || !std::isfinite(update.scale))
    return invalid_argument("aggregate scale: must be finite and above 0");
  if (update.weight_max == 0) return invalid_argument("aggregate weight_max: must be at least 1");
  if (update.weight_sum == 0) return invalid_argument("aggregate weight_sum: no site counted in this round");
  if (!(update.server_learning_rate > 0) || !std::isfinite(update.server_learning_rate))
    return invalid_argument("aggregate server_learning_rate: must be finite and above 0");
  if (update.sums.size() != total_size(trained))
    return invalid_argument("aggregate: expected " + std::to_string(total_size(trained)) + " values, found " +
                            std::to_string(update.sums.size()));
  for (const FlatRange& range : trained)
    if (range.size > model.values().size() || range.offset > model.values().size() - range.size)
      return invalid_argument("aggregate: a range lies outside the model");

  const double unit = update.server_learning_rate * static_cast<double>(update.weight_max) /
                      (update.scale * static_cast<double>(update.weight_sum));
  std::vector<float> values(model.values().begin(), model.values().end());
  std::size_t next = 0;
  for (const FlatRange& range : trained) {
    for (std::size_t i = 0; i < range.size; ++i) {
      float& value = values[range.offset + i];
      value = static_cast<float>(static_cast<double>(value) + static_cast<double>(update.sums[next++]) * unit);
    }
  }
  return ModelState::create(model.layout(), std::move(values));
}

}  // namespace fovea::federation

#include "federation/model/federated_averaging.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace fovea::federation::model {

Result<ModelState> apply_federated_averaging(const ModelState& model, std::span<const FlatRange> trained,
                                             const RoundSum& sum, double server_learning_rate) {
  if (!(sum.scale > 0) || !std::isfinite(sum.scale)) return invalid_argument("sum.scale: must be finite and above 0");
  if (sum.weight_max == 0) return invalid_argument("sum.weight_max: must be at least 1");
  if (sum.weight_sum == 0) return invalid_argument("sum.weight_sum: no site counted in this round");
  if (!(server_learning_rate > 0) || !std::isfinite(server_learning_rate))
    return invalid_argument("server_learning_rate: must be finite and above 0");
  const std::span<const std::int32_t> sums = sum.sums();
  if (sums.size() != total_size(trained))
    return invalid_argument("sum: expected " + std::to_string(total_size(trained)) + " values, found " +
                            std::to_string(sums.size()));
  for (const FlatRange& range : trained)
    if (range.size > model.values().size() || range.offset > model.values().size() - range.size)
      return invalid_argument("sum: a range lies outside the model");

  const double unit =
      server_learning_rate * static_cast<double>(sum.weight_max) / (sum.scale * static_cast<double>(sum.weight_sum));
  std::vector<float> values(model.values().begin(), model.values().end());
  std::size_t next = 0;
  for (const FlatRange& range : trained) {
    for (std::size_t i = 0; i < range.size; ++i) {
      float& value = values[range.offset + i];
      value = static_cast<float>(static_cast<double>(value) + static_cast<double>(sums[next++]) * unit);
    }
  }
  return ModelState::create(model.layout(), std::move(values));
}

}  // namespace fovea::federation::model

#include "node/training/augmentation.h"

#include <algorithm>
#include <cstddef>

namespace fovea::node::training {

Flips draw_flips(network::RandomDraws& random) noexcept {
  Flips flips{};
  for (bool& axis : flips) axis = random.chance(0.5);
  return flips;
}

void flip_cube(std::span<float> cube, std::int64_t edge, const Flips& flips) noexcept {
  const auto length = static_cast<std::size_t>(edge);
  if (flips[0])
    for (std::size_t row = 0; row < length * length; ++row) {
      const std::span<float> voxels = cube.subspan(row * length, length);
      std::reverse(voxels.begin(), voxels.end());
    }
  const auto swap_voxels = [&](std::size_t a, std::size_t b, std::size_t count) {
    const std::span<float> first = cube.subspan(a, count);
    std::swap_ranges(first.begin(), first.end(), cube.subspan(b, count).begin());
  };
  if (flips[1])
    for (std::size_t k = 0; k < length; ++k)
      for (std::size_t j = 0; j < length / 2; ++j)
        swap_voxels((k * length + j) * length, (k * length + length - 1 - j) * length, length);
  if (flips[2])
    for (std::size_t k = 0; k < length / 2; ++k)
      swap_voxels(k * length * length, (length - 1 - k) * length * length, length * length);
}

void IntensityChange::apply(std::span<float> voxels) const noexcept {
  for (float& voxel : voxels) voxel = voxel * gain + offset;
}

IntensityChange draw_intensity_change(const IntensitySpread& spread, network::RandomDraws& random) noexcept {
  IntensityChange change;
  change.gain = static_cast<float>(1 + random.uniform(-spread.gain, spread.gain));
  change.offset = static_cast<float>(random.uniform(-spread.offset, spread.offset));
  return change;
}

}  // namespace fovea::node::training

// What the samplers do to a crop so that a network sees more than a site's own scans: mirrored along its axes,
// intensities scaled and shifted.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "node/network/random_draws.h"

namespace fovea::node::training {

using Flips = std::array<bool, 3>;  // along i, j, k
Flips draw_flips(network::RandomDraws& random) noexcept;

// Mirrors a cube of edge³ voxels, i fastest, in place.
void flip_cube(std::span<float> cube, std::int64_t edge, const Flips& flips) noexcept;

struct IntensitySpread {
  double gain = 0.2;    // intensities are scaled by 1 ± this …
  double offset = 0.2;  // … and shifted by ± this
};
struct IntensityChange {
  float gain = 1, offset = 0;
  void apply(std::span<float> voxels) const noexcept;
};
IntensityChange draw_intensity_change(const IntensitySpread& spread, network::RandomDraws& random) noexcept;

}  // namespace fovea::node::training

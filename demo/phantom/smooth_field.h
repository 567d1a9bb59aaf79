// Smooth random fields on a voxel grid: a cubic B-spline over a coarse lattice of normal values,
// tabulated every few voxels and interpolated linearly between.
#pragma once

#include <cstdint>
#include <vector>

#include "node/network/random_draws.h"
#include "node/volume/volume.h"

namespace fovea::demo {

class SmoothField {
 public:
  // Values have standard deviation near `amplitude`; structures are about `knot_mm` wide (1 mm voxels).
  SmoothField(const node::volume::Index3& size, double knot_mm, double amplitude, node::network::RandomDraws& random);

  // The row of values at (·, j, k), one per voxel, into out[0 … size[0]).
  void row(std::int64_t j, std::int64_t k, float* out) const noexcept;
  float at(double i, double j, double k) const noexcept;

 private:
  static constexpr std::int64_t kStep = 4;
  float table(std::int64_t i, std::int64_t j, std::int64_t k) const noexcept {
    return table_[static_cast<std::size_t>((k * size_[1] + j) * size_[0] + i)];
  }
  node::volume::Index3 voxels_{};
  node::volume::Index3 size_{};
  std::vector<float> table_;
};

}  // namespace fovea::demo

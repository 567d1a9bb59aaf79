// The grid of a DICOM series, computed from where each of its slices says it lies (PS3.3 C.7.6.2, image plane). Nothing
// is averaged: an even upright stack is used as it is; a tilted one (gantry tilt), or one of uneven distances whose
// slices are thick enough to leave no gap, is resampled; anything else is refused, and the message says where.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/result.h"
#include "node/volume/volume.h"

namespace fovea::node::intake {

struct SlicePlace {
  std::int64_t rows = 0, columns = 0;
  double row_spacing_mm = 0, column_spacing_mm = 0;            // between rows (along j), between columns (along i)
  Eigen::Vector3d row_direction = Eigen::Vector3d::Zero();     // along i
  Eigen::Vector3d column_direction = Eigen::Vector3d::Zero();  // along j
  volume::Point3 position_mm = volume::Point3::Zero();         // centre of the first voxel, LPS
  double thickness_mm = 0;                                     // as stated; 0 when not
};

// Where the slices of an uneven or tilted stack lie in the grid of the result. Slice s is the order[s]-th given.
struct SlicePositions {
  std::vector<double> along;                    // slices of the result along the normal, ascending from 0
  std::vector<std::array<double, 2>> in_plane;  // where its first voxel lies: columns and rows of the result
};

struct StackedSlices {
  volume::VolumeGeometry geometry;  // k along the normal row × column
  std::vector<std::size_t>
      order;  // along the normal; without resampling slice k of the volume is the order[k]-th given
  std::optional<SlicePositions> resampling;
};

// Tilted: in-plane rows and columns are added so that every slice fits in. Uneven: the result's distance is the tenth
// percentile of the slices' distances, so that the finely sliced part stays fine.
// invalid_argument: fewer than two slices; a position a kilometre away; mixed sizes, spacings or orientations;
// directions not of length 1 at right angles; two slices in one place; slices missing; uneven distances without a slice
// thickness, or wider than 1.25 times it; slices that jump sideways, or lean by more than 45°.
Result<StackedSlices> stack_slices(std::span<const SlicePlace> slices);

// Linear between the voxels of a slice and between slices; `from` holds the slices in `order`, `out` the result's
// voxels. NaN where no slice reaches, and where a voxel that is needed is NaN.
void resample_slices(const StackedSlices& stack, std::int64_t columns, std::int64_t rows, std::span<const float> from,
                     std::span<float> out);

}  // namespace fovea::node::intake

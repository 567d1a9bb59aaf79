// The grid of a DICOM series, computed from where each of its slices says it lies. Nothing is averaged: what is not
// one even stack is refused, and the message says where (PS3.3 C.7.6.2, image plane).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "common/result.h"
#include "node/intake/volume.h"

namespace fovea::node {

struct SlicePlace {
  std::int64_t rows = 0, columns = 0;
  double row_spacing_mm = 0, column_spacing_mm = 0;  // between rows (along j), between columns (along i)
  Point3 row_direction{};                            // along i
  Point3 column_direction{};                         // along j
  Point3 position_mm{};                              // centre of the first voxel, LPS
  double thickness_mm = 0;                           // as stated; 0 when not
};

struct StackedSlices {
  VolumeGeometry geometry;         // k along the normal row × column
  std::vector<std::size_t> order;  // slice k of the volume is the order[k]-th given
};

// invalid_argument: fewer than two slices; mixed sizes, spacings or orientations; directions that are no directions;
// two slices in one place; slices missing; uneven distances; a stack that leans (gantry tilt).
Result<StackedSlices> stack_slices(std::span<const SlicePlace> slices);

}  // namespace fovea::node

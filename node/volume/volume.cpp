#include "node/volume/volume.h"

namespace fovea {

Point3 VolumeGeometry::to_point(const Point3& index) const noexcept {
  Point3 out = origin_mm;
  for (std::size_t row = 0; row < 3; ++row)
    for (std::size_t axis = 0; axis < 3; ++axis) out[row] += direction[row * 3 + axis] * spacing_mm[axis] * index[axis];
  return out;
}

Point3 VolumeGeometry::to_index(const Point3& point) const noexcept {
  Point3 out{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    double along = 0;  // the direction matrix is orthonormal: its inverse is its transpose
    for (std::size_t row = 0; row < 3; ++row) along += direction[row * 3 + axis] * (point[row] - origin_mm[row]);
    out[axis] = along / spacing_mm[axis];
  }
  return out;
}

}  // namespace fovea

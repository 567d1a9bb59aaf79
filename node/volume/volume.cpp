#include "node/volume/volume.h"

namespace fovea::node::volume {

// Both maps add up column by column, as written: a matrix product may add in any order, and a stored grid must come out
// the same, to the last bit, on every machine.
Point3 VolumeGeometry::to_point(const Point3& index) const noexcept {
  Point3 out = origin_mm;
  for (unsigned axis = 0; axis < 3; ++axis) out += direction.col(axis) * spacing_mm[axis] * index[axis];
  return out;
}

Point3 VolumeGeometry::to_index(const Point3& point) const noexcept {
  // The direction matrix is orthonormal: its inverse is its transpose.
  Eigen::Vector3d along_mm = Eigen::Vector3d::Zero();
  for (unsigned row = 0; row < 3; ++row) along_mm += direction.row(row).transpose() * (point[row] - origin_mm[row]);
  return along_mm.cwiseQuotient(spacing_mm);
}

}  // namespace fovea::node::volume

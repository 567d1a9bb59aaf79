// A scan as voxels in patient space. ITK-free and torch-free: everything above intake sees this type.
//
// An index (i, j, k) is not a point: i runs fastest in memory, and
//   point_mm = origin_mm + direction · (spacing_mm ∘ index),  all in DICOM's LPS axes (x to the left,
// y to the back, z to the head). voxels are stored z-y-x (k slowest), as float in the scan's own units
// (HU, SUV, MR units). Canonical volumes have axes permuted and flipped so that the direction matrix is
// as near to the identity as the scan allows; `direction` keeps the rest of the obliqueness.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <Eigen/Core>

namespace fovea::node::volume {

using Index3 = std::array<std::int64_t, 3>;  // (i, j, k)
using Point3 = Eigen::Vector3d;              // a place: (x, y, z), LPS, mm, or a continuous index

struct VolumeGeometry {
  Index3 size{};                                            // voxels along i, j, k
  Eigen::Vector3d spacing_mm = Eigen::Vector3d::Ones();     // > 0
  Point3 origin_mm = Point3::Zero();                        // centre of voxel (0, 0, 0)
  Eigen::Matrix3d direction = Eigen::Matrix3d::Identity();  // column a is the direction of index axis a

  std::size_t voxel_count() const noexcept {
    return static_cast<std::size_t>(size[0]) * static_cast<std::size_t>(size[1]) * static_cast<std::size_t>(size[2]);
  }
  std::size_t offset(std::int64_t i, std::int64_t j, std::int64_t k) const noexcept {
    return static_cast<std::size_t>((k * size[1] + j) * size[0] + i);
  }
  Point3 to_point(const Point3& index) const noexcept;  // continuous index → mm
  Point3 to_index(const Point3& point) const noexcept;  // mm → continuous index
  bool operator==(const VolumeGeometry&) const = default;
};

struct Volume {
  VolumeGeometry geometry;
  std::vector<float> voxels;  // geometry.voxel_count() values, z-y-x
};

}  // namespace fovea::node::volume

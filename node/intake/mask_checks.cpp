#include "node/intake/mask_checks.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <variant>

#include "node/store/findings.h"

namespace fovea::node::intake {
namespace {

constexpr double kPlaceToleranceMm = 0.01;

// Axes along those of LPS, and the first or the last voxel of each at 0.
bool is_unplaced(const volume::VolumeGeometry& grid) {
  if (!(grid.direction - Eigen::Matrix3d::Identity()).isZero(1e-4)) return false;
  for (unsigned axis = 0; axis < 3; ++axis) {
    const double first = grid.origin_mm[axis],
                 last = first + static_cast<double>(grid.size[axis] - 1) * grid.spacing_mm[axis];
    if (std::min(std::abs(first), std::abs(last)) > kPlaceToleranceMm) return false;
  }
  return true;
}

volume::Index3 sorted(volume::Index3 size) {
  std::sort(size.begin(), size.end());
  return size;
}

}  // namespace

Result<std::string> check_mask_place(const volume::VolumeGeometry& mask, const volume::VolumeGeometry& scan) {
  const double voxel = scan.spacing_mm.minCoeff();
  if (store::same_grid(mask, scan, voxel / 2) || sorted(mask.size) != sorted(scan.size)) return std::string();
  if (is_unplaced(mask) || is_unplaced(scan))
    return invalid_argument(std::string("same size as the scan but another place: ") +
                            (is_unplaced(mask)
                                 ? "it was saved without the scan's affine (save it with that affine)"
                                 : "the scan was saved without the affine that its mask has (export the scan again)"));
  const bool alike = mask.size == scan.size && (mask.spacing_mm - scan.spacing_mm).isZero(1e-3);
  if (!alike) return std::string();
  char text[160];
  std::snprintf(text, sizeof text,
                "the mask has the scan's size and spacing, but its first voxel lies %.1f mm from the scan's; is it of "
                "this scan?",
                (mask.origin_mm - scan.origin_mm).norm());
  return std::string(text);
}

bool same_values(const volume::VoxelSpan& a, const volume::VoxelSpan& b) {
  return std::visit(
      [](const auto& left, const auto& right) {
        return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                          [](auto x, auto y) { return static_cast<float>(x) == static_cast<float>(y); });
      },
      a, b);
}

}  // namespace fovea::node::intake

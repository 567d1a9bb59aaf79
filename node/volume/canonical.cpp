#include "node/volume/canonical.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

namespace fovea::node::volume {
namespace {

constexpr std::string_view kAxisNames[3] = {"x", "y", "z"};

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

Result<void> check_sizes(const VolumeGeometry& geometry) {
  std::int64_t voxels = 1;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::int64_t size = geometry.size[axis];
    if (size < 2)
      return invalid_argument(
          "size along " + std::string(kAxisNames[axis]) + ": " + std::to_string(size) +
          " voxels; a 3D scan needs at least 2 (a single slice is not a volume: export the series)");
    if (size > kAxisVoxelsMax)
      return invalid_argument("size along " + std::string(kAxisNames[axis]) + ": " + std::to_string(size) +
                              " voxels; at most " + std::to_string(kAxisVoxelsMax) +
                              " are accepted (is the header damaged?)");
    voxels *= size;  // at most 2^36: no overflow
  }
  if (voxels > kVolumeVoxelsMax)
    return invalid_argument("size: " + std::to_string(voxels) + " voxels; at most " + std::to_string(kVolumeVoxelsMax) +
                            " are accepted (crop or resample the scan)");
  return {};
}

Result<void> check_direction(const Eigen::Matrix3d& direction) {
  constexpr double kTolerance = 1e-3;
  if (!direction.allFinite())
    return invalid_argument("direction matrix: holds a value that is not a number; export the scan again");
  for (unsigned a = 0; a < 3; ++a)
    if (std::abs(direction.col(a).norm() - 1) > kTolerance)
      return invalid_argument("direction matrix: column " + std::to_string(a + 1) + " has length " +
                              number(direction.col(a).norm()) + ", not 1 (singular or scaled); export the scan again");
  for (unsigned a = 0; a < 3; ++a) {
    const unsigned b = (a + 1) % 3;
    if (std::abs(direction.col(a).dot(direction.col(b))) > kTolerance)
      return invalid_argument(
          "direction matrix: columns " + std::to_string(a + 1) + " and " + std::to_string(b + 1) +
          " are not at right angles (sheared or singular); resample the scan to a rectangular grid");
  }
  return {};
}

// Gram-Schmidt: to_index() inverts by transposing, so rounding in a header must not remain.
void orthonormalise(Eigen::Matrix3d& m) {
  for (unsigned a = 0; a < 3; ++a) {
    for (unsigned b = 0; b < a; ++b) m.col(a) -= m.col(a).dot(m.col(b)) * m.col(b);
    m.col(a) /= m.col(a).norm();
  }
}

}  // namespace

Result<VolumeGeometry> checked_geometry(VolumeGeometry geometry) {
  FOVEA_TRY(check_sizes(geometry));
  for (unsigned axis = 0; axis < 3; ++axis) {
    const double spacing = geometry.spacing_mm[axis];
    if (!(spacing >= kSpacingMinMm && spacing <= kSpacingMaxMm))
      return invalid_argument("spacing along " + std::string(kAxisNames[axis]) + ": " + number(spacing) +
                              " mm; expected " + number(kSpacingMinMm) + "–" + number(kSpacingMaxMm) +
                              " mm (correct the header)");
    if (!std::isfinite(geometry.origin_mm[axis]) || std::abs(geometry.origin_mm[axis]) > 1e6)
      return invalid_argument("origin " + std::string(kAxisNames[axis]) + ": " + number(geometry.origin_mm[axis]) +
                              " mm; expected a number within ±1e6 (correct the header)");
  }
  FOVEA_TRY(check_direction(geometry.direction));
  orthonormalise(geometry.direction);
  return geometry;
}

CanonicalOrder canonical_order(const VolumeGeometry& source) noexcept {
  // Of the six assignments of source axes to patient axes, the one with the largest sum of |cosines|.
  static constexpr unsigned kAssignments[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  CanonicalOrder best;
  double best_sum = -1;
  for (const auto& axes : kAssignments) {
    double sum = 0;
    for (unsigned row = 0; row < 3; ++row) sum += std::abs(source.direction(row, axes[row]));
    if (sum <= best_sum + 1e-9) continue;
    best_sum = sum;
    for (unsigned row = 0; row < 3; ++row) {
      best.source_axis[row] = axes[row];
      best.flipped[row] = source.direction(row, axes[row]) < 0;
    }
  }
  return best;
}

VolumeGeometry reordered(const VolumeGeometry& source, const CanonicalOrder& order) noexcept {
  VolumeGeometry out;
  Point3 corner = Point3::Zero();
  for (unsigned axis = 0; axis < 3; ++axis) {
    const unsigned from = order.source_axis[axis];
    out.size[axis] = source.size[from];
    out.spacing_mm[axis] = source.spacing_mm[from];
    out.direction.col(axis) = source.direction.col(from);
    if (order.flipped[axis]) out.direction.col(axis) *= -1;
    if (order.flipped[axis]) corner[from] = static_cast<double>(source.size[from] - 1);
  }
  out.origin_mm = source.to_point(corner);
  return out;
}

bool only_flips(const CanonicalOrder& order) noexcept { return order.source_axis == std::array<unsigned, 3>{0, 1, 2}; }

SourceWalk source_walk(const VolumeGeometry& source, const CanonicalOrder& order) noexcept {
  const std::array<std::int64_t, 3> stride{1, source.size[0], source.size[0] * source.size[1]};
  SourceWalk walk;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::size_t from = order.source_axis[axis];
    walk.step[axis] = order.flipped[axis] ? -stride[from] : stride[from];
    if (order.flipped[axis]) walk.start += (source.size[from] - 1) * stride[from];
  }
  return walk;
}

}  // namespace fovea::node::volume

// Canonical orientation: the permutation and flips of a scan's axes that bring its direction matrix as near
// to the identity (LPS) as the scan allows. A point in mm stays where it was.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "common/result.h"
#include "node/intake/volume.h"

namespace fovea::node {

constexpr std::int64_t kAxisVoxelsMax = 4096;                    // along one axis
constexpr std::int64_t kVolumeVoxelsMax = 512ll * 1024 * 1024;   // in all
constexpr double kSpacingMinMm = 0.01;
constexpr double kSpacingMaxMm = 50;

// Checks a geometry that came from outside: at least 2 voxels along each axis, the limits above, finite
// positive spacing, finite origin, and a direction matrix that is orthonormal to 1e-3 (a left-handed one is
// accepted). invalid_argument names the field and the fix. On success the direction is made exactly orthonormal.
Result<VolumeGeometry> checked_geometry(VolumeGeometry geometry);

// For each canonical axis: which source axis it runs along, and whether against it.
struct CanonicalOrder {
  std::array<std::size_t, 3> source_axis{0, 1, 2};
  std::array<bool, 3> flipped{};
  bool is_identity() const noexcept { return *this == CanonicalOrder{}; }
  bool operator==(const CanonicalOrder&) const = default;
};

CanonicalOrder canonical_order(const VolumeGeometry& source) noexcept;
VolumeGeometry reordered(const VolumeGeometry& source, const CanonicalOrder& order) noexcept;

// Where canonical voxel (0,0,0) lies in the source array, and the source step along each canonical axis.
struct SourceWalk {
  std::int64_t start = 0;
  std::array<std::int64_t, 3> step{};
};
SourceWalk source_walk(const VolumeGeometry& source, const CanonicalOrder& order) noexcept;

// Copies a source array into canonical order, converting with `convert`.
template <class From, class To, class Convert>
void copy_canonical(const From* source, const VolumeGeometry& geometry, const CanonicalOrder& order, To* out,
                    Convert convert) {
  const SourceWalk walk = source_walk(geometry, order);
  const Index3 size = reordered(geometry, order).size;
  for (std::int64_t k = 0; k < size[2]; ++k)
    for (std::int64_t j = 0; j < size[1]; ++j) {
      const From* at = source + walk.start + k * walk.step[2] + j * walk.step[1];
      for (std::int64_t i = 0; i < size[0]; ++i, at += walk.step[0]) *out++ = convert(*at);
    }
}

}  // namespace fovea::node

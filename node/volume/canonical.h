// Canonical orientation: the permutation and flips of a scan's axes that bring its direction matrix as near
// to the identity (LPS) as the scan allows. A point in mm stays where it was.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "node/volume/volume.h"

namespace fovea::node::volume {

constexpr std::int64_t kAxisVoxelsMax = 4096;                   // along one axis
constexpr std::int64_t kVolumeVoxelsMax = 512ll * 1024 * 1024;  // in all
constexpr double kSpacingMinMm = 0.01;
constexpr double kSpacingMaxMm = 50;

// Checks a geometry that came from outside: at least 2 voxels along each axis, the limits above, finite
// positive spacing, finite origin, and a direction matrix that is orthonormal to 1e-3 (a left-handed one is
// accepted). invalid_argument names the field and the fix. On success the direction is made exactly orthonormal.
Result<VolumeGeometry> checked_geometry(VolumeGeometry geometry);

// For each canonical axis: which source axis it runs along, and whether against it.
struct CanonicalOrder {
  std::array<unsigned, 3> source_axis{0, 1, 2};
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

// Consecutive slices of the source along its last axis.
struct SliceRange {
  std::int64_t first = 0, count = 0;
};

// Copies source slices to their places in the canonical array `out`, converting with `convert`. `source` begins with
// the first of those slices.
template <class From, class To, class Convert>
void copy_canonical_slices(const From* source, const VolumeGeometry& geometry, const CanonicalOrder& order,
                           const SliceRange& slices, To* out, Convert convert) {
  const Index3 size = reordered(geometry, order).size;
  const SourceWalk walk = source_walk(geometry, order);
  // The canonical axis that runs through the slices, and the part of it they cover.
  std::size_t through = 0;
  while (order.source_axis[through] != 2) ++through;
  Index3 low{}, high = size;
  low[through] = order.flipped[through] ? geometry.size[2] - slices.first - slices.count : slices.first;
  high[through] = low[through] + slices.count;
  const std::int64_t skipped = slices.first * geometry.size[0] * geometry.size[1];
  for (std::int64_t k = low[2]; k < high[2]; ++k)
    for (std::int64_t j = low[1]; j < high[1]; ++j) {
      const From* at = source + (walk.start + k * walk.step[2] + j * walk.step[1] + low[0] * walk.step[0] - skipped);
      To* to = out + ((k * size[1] + j) * size[0] + low[0]);
      const std::int64_t row = high[0] - low[0];
      if (walk.step[0] == 1)  // two loops of their own, so that both are vectorised
        for (std::int64_t i = 0; i < row; ++i) to[i] = convert(at[i]);
      else if (walk.step[0] == -1)
        for (std::int64_t i = 0; i < row; ++i) to[i] = convert(*(at - i));
      else
        for (std::int64_t i = low[0]; i < high[0]; ++i, at += walk.step[0]) *to++ = convert(*at);
    }
}

// Whether the order only flips axes, so that flip_in_place can do it.
bool only_flips(const CanonicalOrder& order) noexcept;

// Exchanges two rows and reverses both when `reversed`; a row exchanged with itself is only reversed. `copy` has room
// for one row.
template <class T>
void exchange_rows(T* a, T* b, std::int64_t count, bool reversed, T* copy) {
  const auto bytes = static_cast<std::size_t>(count) * sizeof(T);
  std::memcpy(copy, a, bytes);
  if (a != b && !reversed) std::memcpy(a, b, bytes);
  if (a != b && reversed)
    for (std::int64_t i = 0; i < count; ++i) a[i] = b[count - 1 - i];
  if (!reversed) std::memcpy(b, copy, bytes);
  else
    for (std::int64_t i = 0; i < count; ++i) b[i] = copy[count - 1 - i];
}

// Flips a source array of that size in place, along the axes that `order` flips.
template <class T>
void flip_in_place(T* voxels, const Index3& size, const CanonicalOrder& order) {
  if (!order.flipped[0] && !order.flipped[1] && !order.flipped[2]) return;
  std::vector<T> copy(static_cast<std::size_t>(size[0]));
  for (std::int64_t k = 0; k < size[2]; ++k)
    for (std::int64_t j = 0; j < size[1]; ++j) {
      const std::int64_t row = k * size[1] + j;
      const std::int64_t other =
          (order.flipped[2] ? size[2] - 1 - k : k) * size[1] + (order.flipped[1] ? size[1] - 1 - j : j);
      if (other >= row)
        exchange_rows(voxels + row * size[0], voxels + other * size[0], size[0], order.flipped[0], copy.data());
    }
}

// Copies a whole source array into canonical order.
template <class From, class To, class Convert>
void copy_canonical(const From* source, const VolumeGeometry& geometry, const CanonicalOrder& order, To* out,
                    Convert convert) {
  copy_canonical_slices(source, geometry, order, {0, geometry.size[2]}, out, convert);
}

}  // namespace fovea::node::volume

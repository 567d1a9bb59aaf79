#include "node/store/pyramid.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <variant>
#include <vector>

#include "common/check.h"
#include "node/store/brick_volume.h"

namespace fovea::node::store {
namespace {

// One coarse sample along an axis: `weights` for the fine voxels from `first` on, adding up to 1.
struct Tap {
  std::int64_t first = 0;
  std::vector<float> weights;
};

// Averaging: coarse voxel c covers [c·t, (c+1)·t) mm from the volume's outer face, fine voxel v [v·s, (v+1)·s).
std::vector<Tap> averaging_taps(std::int64_t size, double voxel_mm, std::int64_t coarse, double target_mm) {
  std::vector<Tap> out(static_cast<std::size_t>(coarse));
  for (std::int64_t c = 0; c < coarse; ++c) {
    const double from = static_cast<double>(c) * target_mm / voxel_mm;
    const double to = std::min(static_cast<double>(c + 1) * target_mm / voxel_mm, static_cast<double>(size));
    Tap& tap = out[static_cast<std::size_t>(c)];
    tap.first = std::min(static_cast<std::int64_t>(std::floor(from + 1e-9)), size - 1);
    for (std::int64_t v = tap.first; v < size && static_cast<double>(v) < to - 1e-9; ++v) {
      const double overlap = std::min(to, static_cast<double>(v + 1)) - std::max(from, static_cast<double>(v));
      tap.weights.push_back(static_cast<float>(overlap / (to - from)));
    }
    if (tap.weights.empty()) tap.weights.push_back(1);
  }
  return out;
}

std::vector<Tap> linear_taps(std::int64_t size, double voxel_mm, std::int64_t coarse, double target_mm) {
  std::vector<Tap> out(static_cast<std::size_t>(coarse));
  for (std::int64_t c = 0; c < coarse; ++c) {
    const double middle = (static_cast<double>(c) + 0.5) * target_mm / voxel_mm - 0.5;
    const double at = std::clamp(middle, 0.0, static_cast<double>(size - 1));
    Tap& tap = out[static_cast<std::size_t>(c)];
    tap.first = std::min(static_cast<std::int64_t>(at), size - 1);
    const auto weight = static_cast<float>(at - static_cast<double>(tap.first));
    tap.weights = weight > 0 ? std::vector<float>{1 - weight, weight} : std::vector<float>{1};
  }
  return out;
}

std::int64_t coarse_size(std::int64_t size, double voxel_mm, double target_mm) {
  return std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::ceil(static_cast<double>(size) * voxel_mm / target_mm - 1e-6)));
}

// One tap per voxel: the axis stays as it is.
std::vector<Tap> identity_taps(std::int64_t size) {
  std::vector<Tap> out(static_cast<std::size_t>(size));
  for (std::int64_t v = 0; v < size; ++v) out[static_cast<std::size_t>(v)] = {v, {1}};
  return out;
}
std::vector<Tap> taps_along(std::int64_t size, double voxel_mm, double target_mm) {
  if (std::abs(voxel_mm / target_mm - 1) < 1e-9) return identity_taps(size);
  const std::int64_t coarse = coarse_size(size, voxel_mm, target_mm);
  return voxel_mm <= target_mm ? averaging_taps(size, voxel_mm, coarse, target_mm)
                               : linear_taps(size, voxel_mm, coarse, target_mm);
}

// Calls `take` with each row of the result, in order: the rows of the scan below it are added up, weighted, and the sum
// is resampled along i. One pass over the scan, whose inner loop is vectorised, and no memory but two rows.
template <class T, class Take>
void resample_rows(std::span<const T> in, const volume::Index3& size, const std::array<std::vector<Tap>, 3>& taps,
                   Take take) {
  std::vector<float> sum(static_cast<std::size_t>(size[0])), out(taps[0].size());
  const auto add_row = [&](std::int64_t j, std::int64_t k, float weight) {
    const T* row = in.data() + (k * size[1] + j) * size[0];
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += weight * static_cast<float>(row[i]);
  };
  for (const Tap& slices : taps[2])
    for (const Tap& rows : taps[1]) {
      std::fill(sum.begin(), sum.end(), 0.0f);
      for (std::size_t k = 0; k < slices.weights.size(); ++k)
        for (std::size_t j = 0; j < rows.weights.size(); ++j)
          add_row(rows.first + static_cast<std::int64_t>(j), slices.first + static_cast<std::int64_t>(k),
                  slices.weights[k] * rows.weights[j]);
      float* to = out.data();
      for (const Tap& tap : taps[0]) {
        const float* at = sum.data() + tap.first;
        float value = 0;
        for (const float weight : tap.weights) value += weight * *at++;
        *to++ = value;
      }
      take(std::span<const float>(out));
    }
}

// A grid with the scan's axes and lower outer faces, and how its voxels come from the scan's.
struct Resampling {
  volume::VolumeGeometry geometry;
  std::array<std::vector<Tap>, 3> taps;
};

// spacing_mm: that of the result, for each axis.
Resampling resampling_to(const volume::VolumeGeometry& geometry, const Eigen::Vector3d& spacing_mm) {
  Resampling out;
  for (unsigned axis = 0; axis < 3; ++axis) {
    out.taps[axis] = taps_along(geometry.size[axis], geometry.spacing_mm[axis], spacing_mm[axis]);
    out.geometry.size[axis] = static_cast<std::int64_t>(out.taps[axis].size());
  }
  out.geometry.spacing_mm = spacing_mm;
  out.geometry.direction = geometry.direction;
  // The lower outer faces coincide: half a voxel of the result below its first voxel's middle.
  const volume::Point3 first = (0.5 * spacing_mm).cwiseQuotient(geometry.spacing_mm).array() - 0.5;
  out.geometry.origin_mm = geometry.to_point(first);
  return out;
}

}  // namespace

volume::Volume coarse_level(const volume::VolumeGeometry& geometry, const volume::VoxelSpan& voxels,
                            double spacing_mm) {
  FOVEA_CHECK(spacing_mm > 0 && volume::voxel_count(voxels) == geometry.voxel_count());
  const Resampling to = resampling_to(geometry, Eigen::Vector3d::Constant(spacing_mm));
  volume::Volume out{to.geometry, {}};
  out.voxels.reserve(to.geometry.voxel_count());
  const auto keep = [&](std::span<const float> row) { out.voxels.insert(out.voxels.end(), row.begin(), row.end()); };
  std::visit([&](const auto& span) { resample_rows(span, geometry.size, to.taps, keep); }, voxels);
  return out;
}

bool has_axis_finer_than(const volume::VolumeGeometry& geometry, double spacing_mm) noexcept {
  return geometry.spacing_mm.minCoeff() < spacing_mm;
}

StoredLevel stored_level(const volume::VolumeGeometry& geometry, const volume::VoxelSpan& voxels, double spacing_mm,
                         const Bounds& bounds) {
  FOVEA_CHECK(volume::voxel_count(voxels) == geometry.voxel_count());
  const Resampling to = resampling_to(geometry, geometry.spacing_mm.cwiseMax(spacing_mm));
  // In double: the difference of two floats may be no float. A range too small to be cut into steps is one value.
  const auto slope = static_cast<float>((static_cast<double>(bounds.high) - static_cast<double>(bounds.low)) / 65534);
  StoredLevel out{to.geometry, {}, std::isnormal(slope) ? slope : 1.0f, 0};
  out.intercept = bounds.low + 32767.0f * out.slope;
  out.steps.reserve(to.geometry.voxel_count());
  std::vector<std::int16_t> steps(to.taps[0].size());
  const float scale = 1.0f / out.slope;
  // Rounded by adding a half and clamped as an integer: lrint, or clamping the float, would keep the loop from being
  // vectorised. No step lies further outside than rounding carries it, so the cast is defined.
  const auto keep = [&](std::span<const float> row) {
    std::transform(row.begin(), row.end(), steps.begin(), [&](float v) {
      const float step = (v - out.intercept) * scale;
      return static_cast<std::int16_t>(
          std::clamp(static_cast<std::int32_t>(step + std::copysign(0.5f, step)), -32767, 32767));
    });
    out.steps.insert(out.steps.end(), steps.begin(), steps.end());
  };
  std::visit([&](const auto& span) { resample_rows(span, geometry.size, to.taps, keep); }, voxels);
  return out;
}

Result<volume::Volume> read_level(const std::filesystem::path& path, const VolumeKey& key, double spacing_mm) {
  FOVEA_TRY_ASSIGN(BrickVolume stored, BrickVolume::open(path, key));
  FOVEA_TRY_ASSIGN(volume::Volume level, stored.read_all());
  if (level.geometry.spacing_mm == Eigen::Vector3d::Constant(spacing_mm)) return level;
  return coarse_level(level.geometry, std::span<const float>(level.voxels), spacing_mm);
}

}  // namespace fovea::node::store

#include "node/intake/pyramid.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "node/intake/brick_volume.h"

namespace fovea::node {
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
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(static_cast<double>(size) * voxel_mm / target_mm - 1e-6)));
}

// A tap a voxel: the axis stays as it is.
std::vector<Tap> identity_taps(std::int64_t size) {
  std::vector<Tap> out(static_cast<std::size_t>(size));
  for (std::int64_t v = 0; v < size; ++v) out[static_cast<std::size_t>(v)] = {v, {1}};
  return out;
}
bool is_identity(const std::vector<Tap>& taps, std::int64_t size) {
  if (taps.size() != static_cast<std::size_t>(size)) return false;
  for (std::size_t t = 0; t < taps.size(); ++t)
    if (taps[t].first != static_cast<std::int64_t>(t) || taps[t].weights.size() != 1) return false;
  return true;
}

std::vector<Tap> taps_along(std::int64_t size, double voxel_mm, double target_mm) {
  if (std::abs(voxel_mm / target_mm - 1) < 1e-9) return identity_taps(size);
  const std::int64_t coarse = coarse_size(size, voxel_mm, target_mm);
  return voxel_mm <= target_mm ? averaging_taps(size, voxel_mm, coarse, target_mm) : linear_taps(size, voxel_mm, coarse, target_mm);
}

// Rows along i: the only pass that reads the scan itself.
template <class T>
std::vector<float> resample_i(std::span<const T> in, const Index3& size, const std::vector<Tap>& taps) {
  if (is_identity(taps, size[0])) return std::vector<float>(in.begin(), in.end());
  const std::int64_t rows = size[1] * size[2];
  std::vector<float> out(static_cast<std::size_t>(rows) * taps.size());
  float* to = out.data();
  for (std::int64_t row = 0; row < rows; ++row) {
    const T* from = in.data() + row * size[0];
    for (const Tap& tap : taps) {
      float sum = 0;
      const T* at = from + tap.first;
      for (const float weight : tap.weights) sum += weight * static_cast<float>(*at++);
      *to++ = sum;
    }
  }
  return out;
}

// Planes of `inner` values, `size` of them, become taps.size() planes; repeated `outer` times.
std::vector<float> resample_planes(std::vector<float> in, std::int64_t inner, std::int64_t size, std::int64_t outer,
                                   const std::vector<Tap>& taps) {
  if (is_identity(taps, size)) return in;
  std::vector<float> out(static_cast<std::size_t>(inner * outer) * taps.size());
  float* to = out.data();
  for (std::int64_t o = 0; o < outer; ++o)
    for (const Tap& tap : taps) {
      const float* from = in.data() + (o * size + tap.first) * inner;
      for (const float weight : tap.weights) {
        for (std::int64_t v = 0; v < inner; ++v) to[v] += weight * from[v];
        from += inner;
      }
      to += inner;
    }
  return out;
}

// spacing_mm: that of the result, for each axis.
Volume resampled(const VolumeGeometry& geometry, const VoxelSpan& voxels, const Point3& spacing_mm) {
  FOVEA_CHECK(voxel_count(voxels) == geometry.voxel_count());
  std::array<std::vector<Tap>, 3> taps;
  Volume out;
  Point3 corner{};  // continuous index of the coarse origin
  for (std::size_t axis = 0; axis < 3; ++axis) {
    taps[axis] = taps_along(geometry.size[axis], geometry.spacing_mm[axis], spacing_mm[axis]);
    out.geometry.size[axis] = static_cast<std::int64_t>(taps[axis].size());
    out.geometry.spacing_mm[axis] = spacing_mm[axis];
    corner[axis] = 0.5 * spacing_mm[axis] / geometry.spacing_mm[axis] - 0.5;
  }
  out.geometry.direction = geometry.direction;
  out.geometry.origin_mm = geometry.to_point(corner);
  const Index3& size = geometry.size;
  const Index3& coarse = out.geometry.size;
  std::vector<float> along_i = std::visit([&](const auto& span) { return resample_i(span, size, taps[0]); }, voxels);
  std::vector<float> along_j = resample_planes(std::move(along_i), coarse[0], size[1], size[2], taps[1]);
  out.voxels = resample_planes(std::move(along_j), coarse[0] * coarse[1], size[2], 1, taps[2]);
  return out;
}

}  // namespace

Volume coarse_level(const VolumeGeometry& geometry, const VoxelSpan& voxels, double spacing_mm) {
  FOVEA_CHECK(spacing_mm > 0);
  return resampled(geometry, voxels, {spacing_mm, spacing_mm, spacing_mm});
}

bool has_axis_finer_than(const VolumeGeometry& geometry, double spacing_mm) noexcept {
  return std::any_of(geometry.spacing_mm.begin(), geometry.spacing_mm.end(), [&](double mm) { return mm < spacing_mm; });
}

Volume stored_level(const VolumeGeometry& geometry, const VoxelSpan& voxels, double spacing_mm) {
  Point3 spacing = geometry.spacing_mm;
  for (double& mm : spacing) mm = std::max(mm, spacing_mm);
  return resampled(geometry, voxels, spacing);
}

Result<Volume> read_level(const std::filesystem::path& path, const VolumeKey& key, double spacing_mm) {
  FOVEA_TRY_ASSIGN(BrickVolume stored, BrickVolume::open(path, key));
  FOVEA_TRY_ASSIGN(Volume level, stored.read_all());
  for (const double mm : level.geometry.spacing_mm)
    if (mm != spacing_mm) return coarse_level(level.geometry, std::span<const float>(level.voxels), spacing_mm);
  return level;
}

}  // namespace fovea::node

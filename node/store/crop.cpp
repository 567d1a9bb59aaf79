// BrickVolume's crops: snapping to the grid where that is exact enough, linear interpolation elsewhere.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/check.h"
#include "common/result.h"
#include "node/store/brick_volume.h"
#include "node/volume/volume.h"

namespace fovea::node::store {
namespace {

constexpr double kSnapTolerance = 0.01;

bool snaps(double voxel_mm, double sample_mm) { return std::abs(voxel_mm / sample_mm - 1) <= kSnapTolerance; }

// The samples of one axis as pairs of neighbouring voxels in a box that starts at `low`.
struct AxisSamples {
  std::int64_t low = 0, count = 0;        // voxels to read
  std::vector<std::int64_t> left, right;  // relative to low
  std::vector<float> weight;              // of the right neighbour
};

// Samples that fall beyond the first or last voxel's centre, yet inside its body, take that voxel's value.
AxisSamples samples_along(double first, double step, std::int64_t edge, std::int64_t size) {
  AxisSamples out;
  std::vector<double> at(static_cast<std::size_t>(edge));
  for (std::size_t s = 0; s < at.size(); ++s) {
    at[s] = first + step * static_cast<double>(s);
    const double last = static_cast<double>(size - 1);
    if (at[s] > -0.5 && at[s] < 0) at[s] = 0;
    if (at[s] > last && at[s] < last + 0.5) at[s] = last;
  }
  out.low = static_cast<std::int64_t>(std::floor(at.front()));
  std::int64_t high = out.low;
  for (const double position : at) {
    const double base = std::floor(position);
    const auto left = static_cast<std::int64_t>(base);
    const auto weight = static_cast<float>(position - base);
    const std::int64_t right = weight > 0 ? left + 1 : left;
    out.left.push_back(left - out.low);
    out.right.push_back(right - out.low);
    out.weight.push_back(weight);
    high = std::max(high, right);
  }
  out.count = high - out.low + 1;
  return out;
}

// Linear interpolation along one axis of a box, keeping the other two.
std::vector<float> interpolate_axis(const std::vector<float>& in, volume::Index3& size, std::size_t axis,
                                    const AxisSamples& samples) {
  volume::Index3 out_size = size;
  out_size[axis] = static_cast<std::int64_t>(samples.left.size());
  std::vector<float> out(static_cast<std::size_t>(out_size[0] * out_size[1] * out_size[2]));
  const std::int64_t inner = axis == 0 ? 1 : axis == 1 ? size[0] : size[0] * size[1];
  const std::int64_t outer = axis == 2 ? 1 : axis == 1 ? size[2] : size[1] * size[2];
  float* to = out.data();
  for (std::int64_t o = 0; o < outer; ++o) {
    const float* plane = in.data() + o * size[axis] * inner;
    for (std::size_t s = 0; s < samples.left.size(); ++s) {
      const float* left = plane + samples.left[s] * inner;
      const float* right = plane + samples.right[s] * inner;
      const float weight = samples.weight[s];
      for (std::int64_t v = 0; v < inner; ++v) *to++ = left[v] + weight * (right[v] - left[v]);
    }
  }
  size = out_size;
  return out;
}

}  // namespace

volume::Point3 BrickVolume::crop_origin(const volume::Point3& centre, std::int64_t edge,
                                        double spacing_mm) const noexcept {
  volume::Point3 out = volume::Point3::Zero();
  for (unsigned axis = 0; axis < 3; ++axis) {
    const double half = 0.5 * static_cast<double>(edge - 1);
    if (snaps(geometry_.spacing_mm[axis], spacing_mm)) out[axis] = std::round(centre[axis] - half);
    else out[axis] = centre[axis] - half * spacing_mm / geometry_.spacing_mm[axis];
  }
  return out;
}

Result<void> BrickVolume::read_crop(const volume::Point3& centre, std::int64_t edge, double spacing_mm,
                                    std::span<float> out, float outside) {
  FOVEA_CHECK(edge > 0 && spacing_mm > 0);
  FOVEA_CHECK(out.size() == static_cast<std::size_t>(edge * edge * edge));
  for (const double value : centre)
    if (!(std::abs(value) < 1e6)) return invalid_argument("crop centre: not a finite index near the volume");
  const volume::Point3 first = crop_origin(centre, edge, spacing_mm);
  volume::Index3 low{}, size{};
  std::array<AxisSamples, 3> samples;
  bool on_grid = true;
  for (unsigned axis = 0; axis < 3; ++axis) {
    low[axis] = static_cast<std::int64_t>(std::llround(first[axis]));
    size[axis] = edge;
    if (snaps(geometry_.spacing_mm[axis], spacing_mm)) continue;
    on_grid = false;
    samples[axis] = samples_along(first[axis], spacing_mm / geometry_.spacing_mm[axis], edge, geometry_.size[axis]);
    low[axis] = samples[axis].low;
    size[axis] = samples[axis].count;
  }
  if (on_grid) return read_box(low, size, out, outside);

  std::vector<float> box(static_cast<std::size_t>(size[0] * size[1] * size[2]));
  FOVEA_TRY(read_box(low, size, box, outside));
  for (std::size_t axis = 0; axis < 3; ++axis)
    if (!samples[axis].left.empty()) box = interpolate_axis(box, size, axis, samples[axis]);
  std::copy(box.begin(), box.end(), out.begin());
  return {};
}

}  // namespace fovea::node::store

#include "node/scan_view/coarse_view.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace fovea::node::scan_view {
namespace {

constexpr float kSteps = 32'767;

float largest_of(const volume::Volume& volume, float air) {
  float largest = std::abs(air);
  for (const float value : volume.voxels) largest = std::max(largest, std::abs(value));
  return largest;
}

}  // namespace

CoarseView::CoarseView(const volume::Volume& volume, float air) : geometry_(volume.geometry), air_(air) {
  step_ = std::max(largest_of(volume, air), 1e-6F) / kSteps;
  volume::Index3 low = geometry_.size, high{};
  std::size_t at = 0;
  for (std::int64_t k = 0; k < geometry_.size[2]; ++k)
    for (std::int64_t j = 0; j < geometry_.size[1]; ++j)
      for (std::int64_t i = 0; i < geometry_.size[0]; ++i, ++at) {
        if (std::abs(volume.voxels[at] - air) < step_) continue;
        const volume::Index3 index{i, j, k};
        for (std::size_t axis = 0; axis < 3; ++axis) {
          low[axis] = std::min(low[axis], index[axis]);
          high[axis] = std::max(high[axis], index[axis] + 1);
        }
      }
  if (high[0] == 0) return;  // nothing but air
  begin_ = low;
  for (std::size_t axis = 0; axis < 3; ++axis) size_[axis] = high[axis] - low[axis];
  steps_.resize(static_cast<std::size_t>(size_[0] * size_[1] * size_[2]));
  auto to = steps_.begin();
  for (std::int64_t k = 0; k < size_[2]; ++k)
    for (std::int64_t j = 0; j < size_[1]; ++j) {
      const float* row = volume.voxels.data() + geometry_.offset(begin_[0], begin_[1] + j, begin_[2] + k);
      to = std::transform(row, row + size_[0], to,
                          [&](float value) { return static_cast<std::int16_t>(std::lround(value / step_)); });
    }
}

void CoarseView::copy_row(const volume::Index3& from, std::span<float> out) const noexcept {
  std::fill(out.begin(), out.end(), air_);
  const std::int64_t j = from[1] - begin_[1], k = from[2] - begin_[2];
  if (j < 0 || k < 0 || j >= size_[1] || k >= size_[2]) return;
  const std::int64_t first = std::max(from[0], begin_[0]);
  const std::int64_t last = std::min(from[0] + static_cast<std::int64_t>(out.size()), begin_[0] + size_[0]);
  if (first >= last) return;
  const std::int16_t* row = steps_.data() + (k * size_[1] + j) * size_[0] + (first - begin_[0]);
  std::transform(row, row + (last - first), out.begin() + (first - from[0]),
                 [this](std::int16_t steps) { return static_cast<float>(steps) * step_; });
}

void CoarseView::copy_box(const volume::Index3& from, const volume::Index3& size, std::span<float> out) const noexcept {
  const auto length = static_cast<std::size_t>(size[0]);
  for (std::int64_t k = 0; k < size[2]; ++k)
    for (std::int64_t j = 0; j < size[1]; ++j)
      copy_row({from[0], from[1] + j, from[2] + k},
               out.subspan(static_cast<std::size_t>(k * size[1] + j) * length, length));
}

}  // namespace fovea::node::scan_view

// The coarse view of a scan: all of it in cubes of 2 mm, in memory; a node holds one of every study it trains on. It is
// all that node/saliency sees of a scan. Normalised values in 16-bit steps of 1/32767 of the largest, within the box
// that holds anything but air; everywhere else is air.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "node/volume/volume.h"

namespace fovea::node::scan_view {

// Normalised values with a meaning of their own.
struct IntensityLevels {
  float air = 0;   // what lies outside the scan
  float body = 0;  // voxels above it belong to the patient, roughly
};

// Immutable once made: any number of threads may read it.
class CoarseView {
 public:
  CoarseView() = default;
  // `air`: the value outside the scan, and of the margins that are left out.
  CoarseView(const volume::Volume& volume, float air);

  const volume::VolumeGeometry& geometry() const noexcept { return geometry_; }  // of the whole volume

  // Values at (i, j, k), (i + 1, j, k), …; indices outside the volume read as air.
  void copy_row(const volume::Index3& from, std::span<float> out) const noexcept;
  // The box of `size` voxels from index `from`, i fastest; `out` has that many values.
  void copy_box(const volume::Index3& from, const volume::Index3& size, std::span<float> out) const noexcept;

  std::size_t bytes() const noexcept { return steps_.size() * sizeof(std::int16_t); }

 private:
  volume::VolumeGeometry geometry_;
  volume::Index3 begin_{}, size_{};  // of the box that is kept
  float air_ = 0, step_ = 1;
  std::vector<std::int16_t> steps_;
};

}  // namespace fovea::node::scan_view

// Findings of a study: connected components of a mask.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "node/volume/intensity.h"
#include "node/volume/volume.h"

namespace fovea::node::store {

struct Finding {
  volume::Point3 center_mm = volume::Point3::Zero();  // centroid of its voxels, LPS
  double diameter_mm = 0;                             // of the sphere of equal volume
  std::int32_t label = 0;                             // the mask's value
  std::uint64_t voxels = 0;
  bool operator==(const Finding&) const = default;
};

constexpr std::size_t kFindingsMax = 4096;  // a mask with more is noise, not annotation

// "1,3,4" → {1, 3, 4}; empty text means every label above zero. invalid_argument names the bad part; at most 512.
Result<std::vector<std::int32_t>> parse_finding_labels(std::string_view text);

// The 26-connected components of the chosen labels (each label for itself; an empty list chooses every value
// above zero), in order of their first voxel. A value within a thousandth of a whole number is that label.
// invalid_argument: a mask that holds other fractions, or more than kFindingsMax components.
Result<std::vector<Finding>> find_components(const volume::VolumeGeometry& geometry, const volume::VoxelSpan& mask,
                                             std::span<const std::int32_t> labels);

// Whether two grids put their voxels at the same places: equal sizes, every corner within `tolerance_mm`.
bool same_grid(const volume::VolumeGeometry& a, const volume::VolumeGeometry& b, double tolerance_mm);

}  // namespace fovea::node::store

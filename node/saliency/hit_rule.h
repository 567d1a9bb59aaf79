// When a region hits a finding: its centre lies within max(radius, 4 mm) + 2 mm of the finding's.
#pragma once

#include <algorithm>

#include "node/store/findings.h"
#include "node/volume/volume.h"

namespace fovea::node::saliency {

inline double hit_distance_mm(const store::Finding& finding) noexcept {
  return std::max(finding.diameter_mm / 2, 4.0) + 2;
}

inline bool is_hit(const volume::Point3& region_centre_mm, const store::Finding& finding) noexcept {
  return (region_centre_mm - finding.center_mm).norm() <= hit_distance_mm(finding);
}

}  // namespace fovea::node::saliency

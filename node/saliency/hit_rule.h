// When a region has found a finding: its centre lies within max(radius, 4 mm) + 2 mm of the finding's (design 03).
#pragma once

#include <algorithm>
#include <cmath>

#include "node/store/findings.h"

namespace fovea::node {

inline double distance_mm(const Point3& a, const Point3& b) noexcept {
  const double x = a[0] - b[0], y = a[1] - b[1], z = a[2] - b[2];
  return std::sqrt(x * x + y * y + z * z);
}

inline double hit_distance_mm(const Finding& finding) noexcept { return std::max(finding.diameter_mm / 2, 4.0) + 2; }

inline bool is_hit(const Point3& region_centre_mm, const Finding& finding) noexcept {
  return distance_mm(region_centre_mm, finding.center_mm) <= hit_distance_mm(finding);
}

}  // namespace fovea::node

// Stage 1: where in the scan the patient is. It masks generously and never proposes.
#pragma once

#include <vector>

#include "node/scan_view/scan_source.h"

namespace fovea::node {

// A grid of cells over a coarse volume, each kCellVoxels³ coarse voxels: 4 mm cubes of a 2 mm volume.
inline constexpr std::int64_t kCellVoxels = 2;

struct CellGrid {
  VolumeGeometry geometry;  // spacing and origin are those of the cells' centres
  static CellGrid over(const VolumeGeometry& coarse);
};

// Relative chance of a finding in each cell: 1 in the body, kMarginPrior in a margin of two cells around it, 0 outside.
struct Prior {
  CellGrid grid;
  std::vector<float> weights;
};
inline constexpr float kMarginPrior = 0.25F;

// Everything above the body level, its largest part, holes filled. A scan without a body gets 1 everywhere.
Prior body_prior(const CoarseView& coarse, const IntensityLevels& levels);

}  // namespace fovea::node

// Stage 1: where in the scan the patient is. It leaves out what is surely air, and proposes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "node/scan_view/coarse_view.h"
#include "node/volume/volume.h"

namespace fovea::node::saliency {

// A grid of cells over a coarse volume, each kCellVoxels³ coarse voxels: 4 mm cubes of a 2 mm volume.
inline constexpr std::int64_t kCellVoxels = 2;

struct CellGrid {
  volume::VolumeGeometry geometry;  // spacing and origin are those of the cells' centres
  static CellGrid over(const volume::VolumeGeometry& coarse);
};

// Relative chance of a finding in each cell: 1 in the body, kMarginPrior in a margin of two cells around it, 0 outside.
struct Prior {
  CellGrid grid;
  std::vector<float> weights;
};
inline constexpr float kMarginPrior = 0.25F;

// The largest connected part above the body level, holes filled. A scan without a body gets 1 everywhere.
Prior body_prior(const scan_view::CoarseView& coarse, const scan_view::IntensityLevels& levels);

// The index of the cell at an offset of a grid's values; inverse of VolumeGeometry::offset.
volume::Index3 cell_index(const volume::Index3& size, std::size_t offset) noexcept;

// The smallest box around all cells whose weight is above `weight`; empty() where there is none.
struct CellBox {
  volume::Index3 low{}, high{};  // cells; high is one past the end
  bool empty() const noexcept { return high[0] <= low[0]; }
};
CellBox box_of_cells_above(const Prior& prior, float weight) noexcept;

}  // namespace fovea::node::saliency

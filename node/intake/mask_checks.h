// Whether a mask was made for the scan that a table names it for: slips that put findings in the wrong place, or that
// make findings of the scan itself, without anything being out of bounds.
#pragma once

#include <string>

#include "common/result.h"
#include "node/volume/intensity.h"
#include "node/volume/volume.h"

namespace fovea::node::intake {

// A mask that was saved without the scan's affine, or the reverse: as many voxels along each axis, in any order, but
// one of them placed from the origin of the axes, as a library does without an affine. invalid_argument says so. What
// is returned is a note for a mask that has the scan's size and spacing and lies beside it, which may be right; else
// nothing.
Result<std::string> check_mask_place(const volume::VolumeGeometry& mask, const volume::VolumeGeometry& scan);

// Whether both hold the same values, whatever type they are stored as.
bool same_values(const volume::VoxelSpan& a, const volume::VoxelSpan& b);

}  // namespace fovea::node::intake

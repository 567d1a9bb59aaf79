// Coarse isotropic levels of a scan, made once at intake and stored beside its bricks. Making them reads every
// voxel; reading them later is not counted as reading the scan at full resolution.
#pragma once

#include <filesystem>

#include "common/result.h"
#include "node/intake/intensity.h"
#include "node/intake/volume.h"

namespace fovea::node {

// The canonical volume resampled to cubes of `spacing_mm`, same axes, its lower outer faces aligned. An axis finer
// than the target is averaged over the area each coarse voxel covers; a coarser one is interpolated linearly.
Volume coarse_level(const VolumeGeometry& geometry, const VoxelSpan& voxels, double spacing_mm);

// A stored level as a Volume, in the scan's units. not_found or corruption as BrickVolume::open.
Result<Volume> read_level(const std::filesystem::path& path);

}  // namespace fovea::node

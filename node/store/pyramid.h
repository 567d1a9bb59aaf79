// The coarse isotropic level of a scan. Making the stored part of it reads every voxel once, at ingest; reading the
// level later does not count as reading the scan at full resolution.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "common/result.h"
#include "node/store/volume_key.h"
#include "node/volume/intensity.h"
#include "node/volume/volume.h"

namespace fovea::node::store {

constexpr double kCoarseSpacingMm = 2;  // of the level that every study is stored with

// The canonical volume resampled to cubes of `spacing_mm`, same axes, its lower outer faces aligned. An axis finer
// than the target is averaged over the area each coarse voxel covers; a coarser one is interpolated linearly.
volume::Volume coarse_level(const volume::VolumeGeometry& geometry, const volume::VoxelSpan& voxels, double spacing_mm);

// The part of that level that is worth storing: axes finer than `spacing_mm` are averaged, the others left as they are,
// since interpolating them again costs less than reading the result. coarse_level() of it is coarse_level() of the scan
// up to rounding: 16-bit steps between the scan's bounds halve the bytes at 1/65534 of its range.
struct StoredLevel {
  volume::VolumeGeometry geometry;
  std::vector<std::int16_t> steps;  // a value is step · slope + intercept
  float slope = 1, intercept = 0;
};
struct Bounds {
  float low = 0, high = 0;
};
bool has_axis_finer_than(const volume::VolumeGeometry& geometry, double spacing_mm) noexcept;
StoredLevel stored_level(const volume::VolumeGeometry& geometry, const volume::VoxelSpan& voxels, double spacing_mm,
                         const Bounds& bounds);

// A stored level as cubes of `spacing_mm`, in the scan's units. Errors as BrickVolume::open.
Result<volume::Volume> read_level(const std::filesystem::path& path, const VolumeKey& key, double spacing_mm);

}  // namespace fovea::node::store

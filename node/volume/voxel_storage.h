// The type in which a reader delivers voxels, and where it gets the memory for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "common/result.h"
#include "node/volume/volume.h"

namespace fovea::node::volume {

enum class VoxelStorage : std::uint32_t { int16 = 1, float32 = 2 };
constexpr std::size_t bytes_per_voxel(VoxelStorage storage) noexcept { return storage == VoxelStorage::int16 ? 2 : 4; }

// Provides the memory for the canonical voxels. Called once, after the header has passed every check.
using VoxelAllocator = std::function<Result<std::byte*>(const VolumeGeometry& geometry, VoxelStorage storage)>;

}  // namespace fovea::node::volume

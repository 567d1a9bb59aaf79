// How voxels leave a reader, and who gives the memory for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "common/result.h"
#include "node/volume/volume.h"

namespace fovea::node {

enum class VoxelStorage : std::uint32_t { int16 = 1, float32 = 2 };
constexpr std::size_t bytes_per_voxel(VoxelStorage storage) noexcept { return storage == VoxelStorage::int16 ? 2 : 4; }

// Gives memory for that many bytes of canonical voxels, once, after every check of the header passed.
using VoxelAllocator = std::function<Result<std::byte*>(const VolumeGeometry& geometry, VoxelStorage storage)>;

}  // namespace fovea::node

// Writes a Volume as a NIfTI-1 file. For the phantom program and for tests; a node writes none.
#pragma once

#include <filesystem>

#include "common/result.h"
#include "node/volume/volume.h"

namespace fovea::node::volume_files {

enum class VoxelType { uint8, int16, float32 };

// Writes `volume` (LPS, mm) to `path`: ".nii", or ".nii.gz" with `gzip` (zlib level 1). Integer types round to
// nearest and clip to the type's range. Geometry goes into both qform and sform, in NIfTI's RAS axes.
// invalid_argument: a file ending that contradicts `gzip`, or voxels that do not fill the geometry;
// unavailable: the file cannot be written.
Result<void> write_nifti(const std::filesystem::path& path, const volume::Volume& volume, VoxelType type, bool gzip);

}  // namespace fovea::node::volume_files

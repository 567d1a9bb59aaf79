// Reads one volume file through ITK, in the calling process, into canonical order: for the sandboxed parser (NRRD and
// MHA; NIfTI is nifti_voxels.h) and for programs that read files they trust.
#pragma once

#include <filesystem>

#include "common/result.h"
#include "node/intake/formats/file_format.h"
#include "node/volume/volume.h"
#include "node/volume/voxel_storage.h"

namespace fovea::node::intake {

// The voxels become int16 where that loses nothing, else float. The geometry of a NIfTI file comes from its own
// header (nifti_header.h), since readers differ in which of its two transforms they believe; that of an NRRD likewise
// (nrrd_geometry.h); of the others, from ITK. invalid_argument: anything the file does wrong.
struct VolumeSource {
  std::filesystem::path path;
  FileFormat format = FileFormat::nifti;
  const volume::VolumeGeometry* geometry = nullptr;  // overrides ITK's when given
};
Result<void> read_volume_file(const VolumeSource& source, const volume::VoxelAllocator& allocate);

}  // namespace fovea::node::intake

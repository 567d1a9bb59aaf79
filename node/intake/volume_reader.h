// Reads one volume file through ITK, in the calling process, into canonical order. Shared by the trusted reader
// and by the sandboxed parser, which alone meets the files of patients.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string_view>

#include "common/bytes.h"
#include "common/result.h"
#include "node/intake/volume.h"

namespace fovea::node {

enum class FileFormat { nifti, nrrd, metaimage };

enum class VoxelStorage : std::uint32_t { int16 = 1, float32 = 2 };
constexpr std::size_t bytes_per_voxel(VoxelStorage storage) noexcept { return storage == VoxelStorage::int16 ? 2 : 4; }

// Gives memory for that many bytes of canonical voxels, once, after every check of the header passed.
using VoxelAllocator = std::function<Result<std::byte*>(const VolumeGeometry& geometry, VoxelStorage storage)>;

// The voxels become int16 where that loses nothing, else float. The geometry of a NIfTI file comes from its own
// header (nifti_header.h), since readers differ in which of its two transforms they believe; of the others, from
// ITK. invalid_argument: anything the file does wrong.
struct VolumeSource {
  std::filesystem::path path;
  FileFormat format = FileFormat::nifti;
  const VolumeGeometry* geometry = nullptr;  // overrides ITK's when given
};
Result<void> read_volume_file(const VolumeSource& source, const VoxelAllocator& allocate);

}  // namespace fovea::node

#include "node/volume_files/trusted_reader.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <zlib.h>

#include "common/bytes.h"
#include "node/intake/formats/file_format.h"
#include "node/intake/formats/nifti_header.h"
#include "node/intake/formats/volume_reader.h"
#include "node/volume/voxel_storage.h"

namespace fovea::node::volume_files {
namespace {

// zlib reads a plain file as it is.
Result<intake::NiftiHeader> nifti_header_of(const std::filesystem::path& path) {
  const gzFile in = gzopen(path.c_str(), "rb");
  if (in == nullptr) return not_found(path.string() + ": cannot be opened");
  Bytes head(intake::kNiftiHeaderBytesMax);
  const int got = gzread(in, head.data(), static_cast<unsigned>(head.size()));
  gzclose(in);
  if (got < 0) return invalid_argument("gzip data is damaged");
  head.resize(static_cast<std::size_t>(got));
  return intake::inspect_nifti(head);
}

struct Received {
  volume::VolumeGeometry geometry;
  volume::VoxelStorage storage = volume::VoxelStorage::float32;
  std::vector<std::byte> bytes;
};

volume::Volume to_volume(const Received& received) {
  volume::Volume out{received.geometry, std::vector<float>(received.geometry.voxel_count())};
  if (received.storage == volume::VoxelStorage::int16) {
    const auto* from = reinterpret_cast<const std::int16_t*>(received.bytes.data());
    for (std::size_t v = 0; v < out.voxels.size(); ++v) out.voxels[v] = from[v];
  } else {
    const auto* from = reinterpret_cast<const float*>(received.bytes.data());
    std::copy(from, from + out.voxels.size(), out.voxels.begin());
  }
  return out;
}

}  // namespace

Result<volume::Volume> read_trusted_volume(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return not_found(path.string() + ": no such file");
  const std::optional<intake::FileFormat> format = intake::format_of_name(path);
  if (!format) return invalid_argument(path.string() + ": expected a file ending in .nii, .nii.gz, .nrrd or .mha");
  intake::VolumeSource source{.path = path, .format = *format};
  intake::NiftiHeader header;
  if (source.format == intake::FileFormat::nifti) {
    Result<intake::NiftiHeader> inspected = nifti_header_of(path);
    if (!inspected) return inspected.error().with_context(path.string());
    header = *inspected;
    source.geometry = &header.geometry;
  }
  Received received;
  Result<void> read = intake::read_volume_file(
      source, [&](const volume::VolumeGeometry& geometry, volume::VoxelStorage storage) -> Result<std::byte*> {
        received.geometry = geometry;
        received.storage = storage;
        received.bytes.resize(geometry.voxel_count() * volume::bytes_per_voxel(storage));
        return received.bytes.data();
      });
  if (!read) return read.error().with_context(path.string());
  return to_volume(received);
}

}  // namespace fovea::node::volume_files

#include "node/volume_files/nrrd_writer.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "node/intake/formats/file_format.h"

namespace fovea::node::volume_files {
namespace {

std::string vector_text(const Eigen::Vector3d& mm) {
  char text[96];
  std::snprintf(text, sizeof text, "(%.17g,%.17g,%.17g)", mm[0], mm[1], mm[2]);
  return text;
}

std::string header_of(const volume::VolumeGeometry& geometry) {
  std::string directions;
  for (unsigned axis = 0; axis < 3; ++axis)
    directions += " " + vector_text(geometry.direction.col(axis) * geometry.spacing_mm[axis]);
  std::string out = "NRRD0004\ntype: float\ndimension: 3\nspace: left-posterior-superior\nsizes:";
  for (const std::int64_t size : geometry.size) out += " " + std::to_string(size);
  out += "\nspace directions:" + directions + "\nspace origin: " + vector_text(geometry.origin_mm);
  return out + "\nkinds: domain domain domain\nendian: little\nencoding: raw\n\n";
}

}  // namespace

Result<void> write_nrrd(const std::filesystem::path& path, const volume::Volume& volume) {
  static_assert(std::endian::native == std::endian::little);
  if (intake::format_of_name(path) != intake::FileFormat::nrrd)
    return invalid_argument(path.string() + ": expected the ending .nrrd");
  if (volume.voxels.size() != volume.geometry.voxel_count())
    return invalid_argument("volume: " + std::to_string(volume.voxels.size()) + " voxels for a grid of " +
                            std::to_string(volume.geometry.voxel_count()));
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored))
    return failed_precondition(path.string() + ": already exists; give another name, nothing is overwritten");
  const std::string header = header_of(volume.geometry);
  const auto voxels = std::as_bytes(std::span(volume.voxels));
  Bytes bytes(header.begin(), header.end());
  bytes.insert(bytes.end(), reinterpret_cast<const std::uint8_t*>(voxels.data()),
               reinterpret_cast<const std::uint8_t*>(voxels.data()) + voxels.size());
  return write_file_durably(path, bytes, FileMode::secret);
}

}  // namespace fovea::node::volume_files

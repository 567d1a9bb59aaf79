#include "node/volume_files/nifti_writer.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <itkNiftiImageIO.h>
#include <zlib.h>

namespace fovea::node::volume_files {
namespace {

template <class T>
std::vector<std::byte> encode(const std::vector<float>& voxels) {
  std::vector<std::byte> out(voxels.size() * sizeof(T));
  T* to = reinterpret_cast<T*>(out.data());
  for (const float voxel : voxels) {
    if constexpr (std::numeric_limits<T>::is_integer) {
      const float low = static_cast<float>(std::numeric_limits<T>::min());
      const float high = static_cast<float>(std::numeric_limits<T>::max());
      *to++ = static_cast<T>(std::lround(std::clamp(voxel, low, high)));
    } else {
      *to++ = voxel;
    }
  }
  return out;
}

std::vector<std::byte> encode(const std::vector<float>& voxels, VoxelType type) {
  switch (type) {
    case VoxelType::uint8: return encode<std::uint8_t>(voxels);
    case VoxelType::int16: return encode<std::int16_t>(voxels);
    case VoxelType::float32: break;
  }
  return encode<float>(voxels);
}

itk::IOComponentEnum component_of(VoxelType type) {
  switch (type) {
    case VoxelType::uint8: return itk::IOComponentEnum::UCHAR;
    case VoxelType::int16: return itk::IOComponentEnum::SHORT;
    case VoxelType::float32: break;
  }
  return itk::IOComponentEnum::FLOAT;
}

// The bytes of voxels the file must hold. ITK only prints when it cannot write, so the caller compares sizes.
std::size_t write_through_itk(const std::filesystem::path& path, const volume::Volume& volume, VoxelType type) {
  const volume::VolumeGeometry& geometry = volume.geometry;
  const auto io = itk::NiftiImageIO::New();
  io->SetFileName(path.string());
  io->SetNumberOfDimensions(3);
  io->SetNumberOfComponents(1);
  io->SetPixelType(itk::IOPixelEnum::SCALAR);
  io->SetComponentType(component_of(type));
  itk::ImageIORegion region(3);
  for (unsigned axis = 0; axis < 3; ++axis) {
    io->SetDimensions(axis, static_cast<itk::SizeValueType>(geometry.size[axis]));
    io->SetSpacing(axis, geometry.spacing_mm[axis]);
    io->SetOrigin(axis, geometry.origin_mm[axis]);
    const Eigen::Vector3d along = geometry.direction.col(axis);
    io->SetDirection(axis, std::vector<double>(along.begin(), along.end()));
    region.SetSize(axis, static_cast<itk::SizeValueType>(geometry.size[axis]));
  }
  io->SetIORegion(region);
  const std::vector<std::byte> raw = encode(volume.voxels, type);
  io->Write(raw.data());
  return raw.size();
}

// Level 1: phantoms are noise in their low bits, and level 6 takes four times as long for a few percent.
Result<void> compress_file(const std::filesystem::path& plain, const std::filesystem::path& packed) {
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Close> in(std::fopen(plain.c_str(), "rb"));
  if (!in) return unavailable("cannot read back " + plain.string());
  const gzFile out = gzopen(packed.c_str(), "wb1");
  if (out == nullptr) return unavailable("cannot write " + packed.string());
  std::vector<unsigned char> block(1 << 20);
  bool good = true;
  for (std::size_t got = 0; good && (got = std::fread(block.data(), 1, block.size(), in.get())) > 0;)
    good = gzwrite(out, block.data(), static_cast<unsigned>(got)) == static_cast<int>(got);
  good = gzclose(out) == Z_OK && good && std::ferror(in.get()) == 0;
  if (!good) return unavailable("cannot write " + packed.string() + " (is the disk full?)");
  return {};
}

}  // namespace

Result<void> write_nifti(const std::filesystem::path& path, const volume::Volume& volume, VoxelType type, bool gzip) {
  if (path.extension() != (gzip ? ".gz" : ".nii"))
    return invalid_argument(path.string() + ": expected the ending " + (gzip ? ".nii.gz" : ".nii"));
  if (volume.voxels.size() != volume.geometry.voxel_count())
    return invalid_argument("volume: " + std::to_string(volume.voxels.size()) + " voxels for a grid of " +
                            std::to_string(volume.geometry.voxel_count()));
  std::filesystem::path plain = path;
  if (gzip) plain.replace_extension(".tmp.nii");
  std::error_code failed;
  std::filesystem::remove(plain, failed);
  bool written = false;
  try {
    const std::size_t voxel_bytes = write_through_itk(plain, volume, type);
    const std::uintmax_t file_bytes = std::filesystem::file_size(plain, failed);
    written = !failed && file_bytes >= voxel_bytes + 348;
  } catch (const std::exception&) {
    written = false;
  }
  if (!written) return unavailable("cannot write " + plain.string() + " (does the folder exist, is the disk full?)");
  if (!gzip) return {};
  Result<void> packed = compress_file(plain, path);
  std::error_code ignored;
  std::filesystem::remove(plain, ignored);
  return packed;
}

}  // namespace fovea::node::volume_files

#include "node/intake/volume_reader.h"

#include <cmath>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <itkMetaImageIO.h>
#include <itkNiftiImageIO.h>
#include <itkNrrdImageIO.h>

#include "node/intake/canonical.h"

namespace fovea::node {
namespace {

using Component = itk::ImageIOBase;

itk::ImageIOBase::Pointer reader_of(FileFormat format) {
  switch (format) {
    case FileFormat::nifti: return itk::NiftiImageIO::New().GetPointer();
    case FileFormat::nrrd: return itk::NrrdImageIO::New().GetPointer();
    case FileFormat::metaimage: return itk::MetaImageIO::New().GetPointer();
  }
  return nullptr;
}

Result<VolumeGeometry> geometry_of(const itk::ImageIOBase& io) {
  const unsigned dimensions = io.GetNumberOfDimensions();
  if (dimensions < 3) return invalid_argument("dimensions: " + std::to_string(dimensions) + "; a 2D image is no scan: export the whole series");
  for (unsigned axis = 3; axis < dimensions; ++axis)
    if (io.GetDimensions(axis) != 1)
      return invalid_argument("dimensions: more than 3; expected one 3D volume (split a time series first)");
  if (io.GetNumberOfComponents() != 1)
    return invalid_argument("components: " + std::to_string(io.GetNumberOfComponents()) + " a voxel; expected one number a voxel");
  VolumeGeometry out;
  for (unsigned axis = 0; axis < 3; ++axis) {
    if (io.GetDimensions(axis) > static_cast<std::size_t>(kAxisVoxelsMax))
      return invalid_argument("size: an axis has more than " + std::to_string(kAxisVoxelsMax) + " voxels (is the header damaged?)");
    out.size[axis] = static_cast<std::int64_t>(io.GetDimensions(axis));
    out.spacing_mm[axis] = io.GetSpacing(axis);
    out.origin_mm[axis] = io.GetOrigin(axis);
    const std::vector<double> column = io.GetDirection(axis);
    for (std::size_t row = 0; row < 3; ++row) out.direction[row * 3 + axis] = column.at(row);
  }
  return checked_geometry(out);
}

template <class T>
bool fits_int16(const std::vector<std::byte>& raw, std::size_t voxels) {
  const T* values = reinterpret_cast<const T*>(raw.data());
  constexpr T kHigh = static_cast<T>(std::numeric_limits<std::int16_t>::max());
  for (std::size_t v = 0; v < voxels; ++v) {
    if constexpr (std::numeric_limits<T>::is_signed)
      if (values[v] < static_cast<T>(std::numeric_limits<std::int16_t>::min())) return false;
    if (values[v] > kHigh) return false;
    if constexpr (!std::numeric_limits<T>::is_integer)
      if (values[v] != std::trunc(values[v])) return false;
  }
  return true;
}

template <class T>
bool all_finite(const std::vector<std::byte>& raw, std::size_t voxels) {
  if constexpr (!std::numeric_limits<T>::is_integer) {
    const T* values = reinterpret_cast<const T*>(raw.data());
    for (std::size_t v = 0; v < voxels; ++v)
      if (!(std::abs(values[v]) <= static_cast<T>(std::numeric_limits<float>::max()))) return false;
  }
  return true;
}

template <class T>
Result<void> deliver(const std::vector<std::byte>& raw, const VolumeGeometry& geometry, const VoxelAllocator& allocate) {
  const std::size_t voxels = geometry.voxel_count();
  if (!all_finite<T>(raw, voxels))
    return invalid_argument("voxels: some are not numbers (NaN or infinite); replace them, e.g. by 0, and export again");
  constexpr bool kAlwaysFits = std::numeric_limits<T>::is_integer && sizeof(T) <= 2 && (sizeof(T) == 1 || std::numeric_limits<T>::is_signed);
  const bool small = kAlwaysFits || fits_int16<T>(raw, voxels);
  const CanonicalOrder order = canonical_order(geometry);
  const T* source = reinterpret_cast<const T*>(raw.data());
  FOVEA_TRY_ASSIGN(std::byte* const out,
                   allocate(reordered(geometry, order), small ? VoxelStorage::int16 : VoxelStorage::float32));
  if (small)
    copy_canonical(source, geometry, order, reinterpret_cast<std::int16_t*>(out), [](T v) { return static_cast<std::int16_t>(v); });
  else
    copy_canonical(source, geometry, order, reinterpret_cast<float*>(out), [](T v) { return static_cast<float>(v); });
  return {};
}

Result<void> deliver_as(itk::IOComponentEnum type, const std::vector<std::byte>& raw, const VolumeGeometry& geometry,
                        const VoxelAllocator& allocate) {
  switch (type) {
    case itk::IOComponentEnum::UCHAR: return deliver<unsigned char>(raw, geometry, allocate);
    case itk::IOComponentEnum::CHAR: return deliver<signed char>(raw, geometry, allocate);
    case itk::IOComponentEnum::USHORT: return deliver<unsigned short>(raw, geometry, allocate);
    case itk::IOComponentEnum::SHORT: return deliver<short>(raw, geometry, allocate);
    case itk::IOComponentEnum::UINT: return deliver<unsigned int>(raw, geometry, allocate);
    case itk::IOComponentEnum::INT: return deliver<int>(raw, geometry, allocate);
    case itk::IOComponentEnum::ULONG: return deliver<unsigned long>(raw, geometry, allocate);
    case itk::IOComponentEnum::LONG: return deliver<long>(raw, geometry, allocate);
    case itk::IOComponentEnum::ULONGLONG: return deliver<unsigned long long>(raw, geometry, allocate);
    case itk::IOComponentEnum::LONGLONG: return deliver<long long>(raw, geometry, allocate);
    case itk::IOComponentEnum::FLOAT: return deliver<float>(raw, geometry, allocate);
    case itk::IOComponentEnum::DOUBLE: return deliver<double>(raw, geometry, allocate);
    case itk::IOComponentEnum::LDOUBLE:
    case itk::IOComponentEnum::UNKNOWNCOMPONENTTYPE: break;
  }
  return invalid_argument("voxel type: expected a plain integer or float type");
}

Result<void> read_through_itk(const VolumeSource& source, const VoxelAllocator& allocate) {
  const itk::ImageIOBase::Pointer io = reader_of(source.format);
  io->SetFileName(source.path.string());
  io->ReadImageInformation();
  VolumeGeometry geometry;
  if (source.geometry != nullptr) {
    geometry = *source.geometry;
    std::size_t voxels = 1;
    for (unsigned axis = 0; axis < io->GetNumberOfDimensions(); ++axis) voxels *= io->GetDimensions(axis);
    if (voxels != geometry.voxel_count() || io->GetNumberOfComponents() != 1)
      return invalid_argument("size: the file's header contradicts itself (is it damaged?)");
  } else {
    FOVEA_TRY_ASSIGN(geometry, geometry_of(*io));
  }
  itk::ImageIORegion region(3);
  for (unsigned axis = 0; axis < 3; ++axis) {
    region.SetIndex(axis, 0);
    region.SetSize(axis, static_cast<itk::SizeValueType>(geometry.size[axis]));
  }
  io->SetIORegion(region);
  std::vector<std::byte> raw(geometry.voxel_count() * static_cast<std::size_t>(io->GetComponentSize()));
  io->Read(raw.data());
  return deliver_as(io->GetComponentType(), raw, geometry, allocate);
}

}  // namespace

Result<void> read_volume_file(const VolumeSource& source, const VoxelAllocator& allocate) {
  try {
    return read_through_itk(source, allocate);
  } catch (const std::bad_alloc&) {
    return invalid_argument("memory: the file needs more than the parser may use");
  } catch (const itk::ExceptionObject&) {
    // ITK's own text may quote the path and parts of the file.
    return invalid_argument("contents: the file cannot be decoded in its format (damaged or cut off; copy or export it again)");
  } catch (const std::exception&) {
    return invalid_argument("contents: the file cannot be decoded in its format (damaged or cut off; copy or export it again)");
  }
}

}  // namespace fovea::node

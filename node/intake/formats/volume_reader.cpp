#include "node/intake/formats/volume_reader.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <itkMetaImageIO.h>
#include <itkNiftiImageIO.h>
#include <itkNrrdImageIO.h>

#include "common/check.h"
#include "node/intake/formats/mapped_file.h"
#include "node/intake/formats/stored_bytes.h"
#include "node/volume/canonical.h"

namespace fovea::node::intake {
namespace {

using Component = itk::ImageIOBase;

itk::ImageIOBase::Pointer reader_of(FileFormat format) {
  switch (format) {
    case FileFormat::nifti: return itk::NiftiImageIO::New().GetPointer();
    case FileFormat::nrrd: return itk::NrrdImageIO::New().GetPointer();
    case FileFormat::metaimage: return itk::MetaImageIO::New().GetPointer();
    case FileFormat::dicom: break;
  }
  return nullptr;
}

Result<volume::VolumeGeometry> geometry_of(const itk::ImageIOBase& io) {
  const unsigned dimensions = io.GetNumberOfDimensions();
  if (dimensions < 3)
    return invalid_argument("dimensions: " + std::to_string(dimensions) +
                            "; a 2D image is not a scan: export the whole series");
  for (unsigned axis = 3; axis < dimensions; ++axis)
    if (io.GetDimensions(axis) != 1)
      return invalid_argument("dimensions: more than 3; expected one 3D volume (split a time series first)");
  if (io.GetNumberOfComponents() != 1)
    return invalid_argument("components: " + std::to_string(io.GetNumberOfComponents()) +
                            " per voxel; expected one number per voxel");
  volume::VolumeGeometry out;
  for (unsigned axis = 0; axis < 3; ++axis) {
    if (io.GetDimensions(axis) > static_cast<std::size_t>(volume::kAxisVoxelsMax))
      return invalid_argument("size: an axis has more than " + std::to_string(volume::kAxisVoxelsMax) +
                              " voxels (is the header damaged?)");
    out.size[axis] = static_cast<std::int64_t>(io.GetDimensions(axis));
    out.spacing_mm[axis] = io.GetSpacing(axis);
    out.origin_mm[axis] = io.GetOrigin(axis);
    const std::vector<double> column = io.GetDirection(axis);
    for (unsigned row = 0; row < 3; ++row) out.direction(row, axis) = column.at(row);
  }
  return volume::checked_geometry(out);
}

// A NIfTI volume above this is read slice by slice, so that it is never in memory twice; below, one read is faster.
constexpr std::size_t kWholeReadBytesMax = 48u << 20;

// The stored voxels, in pieces of whole slices. ITK's other readers decode the whole file whatever is asked for.
class SliceSource {
 public:
  SliceSource(itk::ImageIOBase& io, const volume::VolumeGeometry& geometry, bool in_slices)
      : io_(io), size_(geometry.size) {
    slice_voxels_ = static_cast<std::size_t>(size_[0] * size_[1]);
    const std::size_t bytes = geometry.voxel_count() * io.GetComponentSize();
    step_ = in_slices && bytes > kWholeReadBytesMax ? 1 : size_[2];
  }

  // Everything at once into the caller's memory, when that is how it is read.
  bool is_one_piece() const noexcept { return step_ == size_[2]; }
  void read_all(void* out) { read_slices(0, size_[2], out); }

  // visit(voxels, first slice, slices) for each piece in turn; stops when it returns false.
  template <class T, class Visit>
  void each(Visit visit) {
    for (std::int64_t k = 0; k < size_[2]; k += step_) {
      if (loaded_ != k) load(k);
      if (!visit(std::span(reinterpret_cast<const T*>(raw_.get()), static_cast<std::size_t>(step_) * slice_voxels_), k,
                 step_))
        return;
    }
  }

 private:
  void load(std::int64_t k) {
    if (!raw_)
      raw_ = std::make_unique_for_overwrite<std::byte[]>(static_cast<std::size_t>(step_) * slice_voxels_ *
                                                         io_.GetComponentSize());
    read_slices(k, step_, raw_.get());
    loaded_ = k;
  }

  void read_slices(std::int64_t k, std::int64_t count, void* out) {
    itk::ImageIORegion region(io_.GetNumberOfDimensions());
    for (unsigned axis = 0; axis < io_.GetNumberOfDimensions(); ++axis) {
      region.SetIndex(axis, axis == 2 ? k : 0);
      region.SetSize(axis, axis == 2  ? static_cast<itk::SizeValueType>(count)
                           : axis < 2 ? static_cast<itk::SizeValueType>(size_[axis])
                                      : 1);
    }
    io_.SetIORegion(region);
    io_.Read(out);
  }

  itk::ImageIOBase& io_;
  volume::Index3 size_;
  std::size_t slice_voxels_ = 0;
  std::int64_t step_ = 1, loaded_ = -1;
  std::unique_ptr<std::byte[]> raw_;
};

template <class T>
bool fits_int16(std::span<const T> values) {
  constexpr T kHigh = static_cast<T>(std::numeric_limits<std::int16_t>::max());
  for (const T value : values) {
    if constexpr (std::numeric_limits<T>::is_signed)
      if (value < static_cast<T>(std::numeric_limits<std::int16_t>::min())) return false;
    if (value > kHigh) return false;
    if constexpr (!std::numeric_limits<T>::is_integer)
      if (value != std::trunc(value)) return false;
  }
  return true;
}

template <class T>
bool all_finite(std::span<const T> values) {
  if constexpr (!std::numeric_limits<T>::is_integer)
    for (const T value : values)
      if (!(std::abs(value) <= static_cast<T>(std::numeric_limits<float>::max()))) return false;
  return true;
}

template <class T, class To>
void copy_all(SliceSource& source, const volume::VolumeGeometry& geometry, const volume::CanonicalOrder& order,
              To* out) {
  source.each<T>([&](std::span<const T> voxels, std::int64_t k, std::int64_t slices) {
    volume::copy_canonical_slices(voxels.data(), geometry, order, {k, slices}, out,
                                  [](T v) { return static_cast<To>(v); });
    return true;
  });
}

template <class T>
Result<void> deliver(SliceSource& source, const volume::VolumeGeometry& geometry,
                     const volume::VoxelAllocator& allocate) {
  constexpr bool kAlwaysFits = std::numeric_limits<T>::is_integer && sizeof(T) <= 2 &&
                               (sizeof(T) == 1 || std::numeric_limits<T>::is_signed);
  bool finite = true, small = true;
  if constexpr (!kAlwaysFits)
    source.each<T>([&](std::span<const T> voxels, std::int64_t, std::int64_t) {
      finite = all_finite(voxels);
      small = small && finite && fits_int16(voxels);
      return finite;
    });
  if (!finite)
    return invalid_argument(
        "voxels: some are not numbers (NaN or infinite); replace them, e.g. by 0, and export again");
  const volume::CanonicalOrder order = volume::canonical_order(geometry);
  FOVEA_TRY_ASSIGN(std::byte* const out, allocate(volume::reordered(geometry, order),
                                                  small ? volume::VoxelStorage::int16 : volume::VoxelStorage::float32));
  if constexpr (std::is_same_v<T, short>)
    if (source.is_one_piece() && volume::only_flips(order)) {
      auto* voxels = reinterpret_cast<std::int16_t*>(out);
      source.read_all(voxels);
      volume::flip_in_place(voxels, geometry.size, order);
      return {};
    }
  if (small) copy_all<T>(source, geometry, order, reinterpret_cast<std::int16_t*>(out));
  else copy_all<T>(source, geometry, order, reinterpret_cast<float*>(out));
  return {};
}

Result<void> deliver_as(itk::IOComponentEnum type, SliceSource& source, const volume::VolumeGeometry& geometry,
                        const volume::VoxelAllocator& allocate) {
  switch (type) {
    case itk::IOComponentEnum::UCHAR: return deliver<unsigned char>(source, geometry, allocate);
    case itk::IOComponentEnum::CHAR: return deliver<signed char>(source, geometry, allocate);
    case itk::IOComponentEnum::USHORT: return deliver<unsigned short>(source, geometry, allocate);
    case itk::IOComponentEnum::SHORT: return deliver<short>(source, geometry, allocate);
    case itk::IOComponentEnum::UINT: return deliver<unsigned int>(source, geometry, allocate);
    case itk::IOComponentEnum::INT: return deliver<int>(source, geometry, allocate);
    case itk::IOComponentEnum::ULONG: return deliver<unsigned long>(source, geometry, allocate);
    case itk::IOComponentEnum::LONG: return deliver<long>(source, geometry, allocate);
    case itk::IOComponentEnum::ULONGLONG: return deliver<unsigned long long>(source, geometry, allocate);
    case itk::IOComponentEnum::LONGLONG: return deliver<long long>(source, geometry, allocate);
    case itk::IOComponentEnum::FLOAT: return deliver<float>(source, geometry, allocate);
    case itk::IOComponentEnum::DOUBLE: return deliver<double>(source, geometry, allocate);
    case itk::IOComponentEnum::LDOUBLE:
    case itk::IOComponentEnum::UNKNOWNCOMPONENTTYPE: break;
  }
  return invalid_argument("voxel type: expected a plain integer or float type");
}

Result<void> read_through_itk(const VolumeSource& source, const volume::VoxelAllocator& allocate) {
  const itk::ImageIOBase::Pointer io = reader_of(source.format);
  FOVEA_CHECK(io.IsNotNull() && "DICOM is for dicom_series.h");
  io->SetFileName(source.path.string());
  io->ReadImageInformation();
  volume::VolumeGeometry geometry;
  if (source.geometry != nullptr) {
    geometry = *source.geometry;
    std::size_t voxels = 1;
    for (unsigned axis = 0; axis < io->GetNumberOfDimensions(); ++axis) voxels *= io->GetDimensions(axis);
    if (voxels != geometry.voxel_count() || io->GetNumberOfComponents() != 1)
      return invalid_argument("size: the file's header contradicts itself (is it damaged?)");
    for (unsigned axis = 0; axis < 3; ++axis)
      if (io->GetNumberOfDimensions() < 3 || io->GetDimensions(axis) != static_cast<std::size_t>(geometry.size[axis]))
        return invalid_argument("size: the file's header contradicts itself (is it damaged?)");
  } else {
    FOVEA_TRY_ASSIGN(geometry, geometry_of(*io));
  }
  if (source.format != FileFormat::nifti) {
    FOVEA_TRY_ASSIGN(const MappedFile file, MappedFile::open(source.path));
    FOVEA_TRY(check_stored_voxels(source.format, file.bytes(), geometry.voxel_count(), io->GetComponentSize()));
  }
  SliceSource slices(*io, geometry, source.format == FileFormat::nifti);
  return deliver_as(io->GetComponentType(), slices, geometry, allocate);
}

}  // namespace

Result<void> read_volume_file(const VolumeSource& source, const volume::VoxelAllocator& allocate) {
  try {
    return read_through_itk(source, allocate);
  } catch (const std::bad_alloc&) {
    return invalid_argument("memory: the file needs more than the parser may use");
  } catch (const itk::ExceptionObject&) {
    // ITK's own text may quote the path and parts of the file.
    return invalid_argument(
        "contents: the file cannot be decoded in its format (damaged or cut off; copy or export it again)");
  } catch (const std::exception&) {
    return invalid_argument(
        "contents: the file cannot be decoded in its format (damaged or cut off; copy or export it again)");
  }
}

}  // namespace fovea::node::intake

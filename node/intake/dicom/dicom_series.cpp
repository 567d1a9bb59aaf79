#include "node/intake/dicom/dicom_series.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <utility>

#include <gdcmImageReader.h>
#include <Eigen/Geometry>

#include "node/intake/dicom/dicom_header.h"
#include "node/intake/dicom/dicom_labels.h"
#include "node/intake/dicom/unreadable_file.h"
#include "node/intake/dicom/whole_file.h"
#include "node/volume/canonical.h"
#include "node/volume/volume.h"

namespace fovea::node::intake {
namespace {

constexpr float kAirHu = -1000;

constexpr std::size_t kUnused = static_cast<std::size_t>(-1);

struct Slice {
  std::size_t file = 0, frame = 0;  // in `headers`, and within that file
};

struct Series {
  std::vector<std::filesystem::path> files;
  std::vector<DicomHeader> headers;
  std::vector<Slice> slices;  // as given
  StackedSlices stack;        // of the volume that is asked for
  std::string note;
};

using SliceList = std::vector<std::size_t>;  // in Series::slices

// A file that is not all there, and what it would have been. No reason: it is whole, as far as can be told.
struct Damage {
  std::string reason, series;
  bool is_label = false, is_other_kind = false;
  bool is_foreign = false;  // nothing of DICOM is in it, as far as can be told without reading it
};

Damage damage_of(const std::filesystem::path& file) {
  const Result<DicomExtent> extent = extent_of_file(file);
  if (!extent) return {};
  Damage out;
  out.is_label = is_label_class(extent->sop_class);
  out.is_other_kind = !extent->sop_class.empty() && !out.is_label && !is_image_class(extent->sop_class);
  const bool is_known = !extent->sop_class.empty() || !extent->series.empty();
  out.is_foreign = !extent->has_preamble && !is_known;
  if (!out.is_foreign) out.reason = extent->cut;
  // Behind a preamble comes something: what, a reader has to say.
  if (extent->has_preamble && !is_known && out.reason.empty())
    if (const auto identity = read_dicom_identity(file); !identity && identity.error().message == kUnreadable)
      out.reason = "header: it cannot be read (damaged; copy the file again)";
  if (extent->is_blank) out.reason = "the file holds nothing but zeros (damaged, or still being copied; copy it again)";
  if (!out.is_label) out.series = extent->series;
  return out;
}

Result<Series> gather(std::span<const std::filesystem::path> files) {
  Series out;
  SeriesIdentity known;
  Error last = invalid_argument("no file");
  for (const std::filesystem::path& file : files) {
    // A file of another kind beside the slices is left out; a slice that lacks a field, or is damaged, is not.
    const Damage damage = damage_of(file);
    if (!damage.reason.empty() && (damage.is_label || damage.is_other_kind)) continue;
    if (!damage.reason.empty())
      return files.size() == 1 ? invalid_argument(damage.reason)
                               : invalid_argument(damage.reason).with_context("a damaged file of this series");
    Result<DicomHeader> header = read_dicom_header(file);
    if (!header) {
      if (read_dicom_identity(file)) return std::move(header).error();
      last = std::move(header).error();
      continue;
    }
    if (header->colour) return invalid_argument("Samples per Pixel: a colour image is not a scan");
    if (!out.headers.empty() && header->series != out.headers.front().series)
      return invalid_argument(
          "several series in one study: ingest the folder itself, which sorts them, or name one series' folder");
    if (out.headers.empty()) known = *header;
    if (const std::string mixed = join_series(known, *header); !mixed.empty()) return invalid_argument(mixed);
    for (std::size_t frame = 0; frame < header->frames.size(); ++frame)
      out.slices.push_back({out.headers.size(), frame});
    out.headers.push_back(std::move(header).value());
    out.files.push_back(file);
  }
  if (out.headers.empty()) return last;
  static_cast<SeriesIdentity&>(out.headers.front()) = known;  // what any of them states holds for all
  return out;
}

const DicomFrame& frame_at(const Series& series, std::size_t slice) {
  const Slice& s = series.slices[slice];
  return series.headers[s.file].frames[s.frame];
}

Result<StackedSlices> stack_of(const Series& series, const SliceList& chosen) {
  std::vector<SlicePlace> places;
  for (const std::size_t slice : chosen) places.push_back(frame_at(series, slice).place);
  Result<StackedSlices> out = stack_slices(places);
  if (out)
    for (std::size_t& at : out->order) at = chosen[at];
  return out;
}

// The slices grouped by `key`, in order of appearance, if that gives several whole volumes of equally many slices.
template <class Key>
std::vector<SliceList> split_by(const Series& series, Key key) {
  std::map<std::string, std::size_t> number;
  std::vector<SliceList> out;
  for (std::size_t slice = 0; slice < series.slices.size(); ++slice) {
    const auto [at, fresh] = number.emplace(key(slice), out.size());
    if (fresh) out.emplace_back();
    out[at->second].push_back(slice);
  }
  const auto whole = [&](const SliceList& volume) {
    return volume.size() == out.front().size() && stack_of(series, volume);
  };
  if (out.size() < 2 || !std::all_of(out.begin(), out.end(), whole)) out.clear();
  return out;
}

bool lie_alike(const SlicePlace& a, const SlicePlace& b) {
  constexpr double kTolerance = 1e-2;
  return (a.row_direction - b.row_direction).norm() <= kTolerance &&
         (a.column_direction - b.column_direction).norm() <= kTolerance;
}

// A scout or two that the scanner filed among the slices of a volume: few, and across its slices. They are taken out of
// `slices`, and what is left must be a sound volume; otherwise nothing is.
std::size_t leave_scouts_out(const Series& series, SliceList& slices) {
  constexpr std::size_t kSlicesForEachScout = 8, kScoutsMax = 4;
  if (slices.empty()) return 0;
  std::size_t most = 0;
  SliceList main;
  for (std::size_t first = 0; first <= std::min(kScoutsMax, slices.size() - 1); ++first) {
    SliceList alike;
    for (const std::size_t slice : slices)
      if (lie_alike(frame_at(series, slices[first]).place, frame_at(series, slice).place)) alike.push_back(slice);
    if (alike.size() > most) most = alike.size(), main = std::move(alike);
  }
  const std::size_t scouts = slices.size() - main.size();
  if (scouts == 0 || scouts > kScoutsMax || main.size() < kSlicesForEachScout * scouts || !stack_of(series, main))
    return 0;
  slices = std::move(main);
  return scouts;
}

// Acquisitions that each cover the same place without gaps are volumes of their own (phases of contrast), even where
// their slices would fit between each other; so are two that overlap and cannot be one. Those that follow each other
// along a scan, or leave each other's places open, are one volume.
std::vector<SliceList> acquisitions_of(const Series& series, const SliceList& all) {
  constexpr double kCovered = 1.25, kSamePlace = 0.5;
  std::map<std::string, SliceList> by_number;
  for (const std::size_t slice : all) by_number[frame_at(series, slice).keys[kAcquisitionKey]].push_back(slice);
  if (by_number.size() < 2 || by_number.size() > kSeriesVolumesMax) return {};
  std::vector<SliceList> out;
  double low = -1e9, high = 1e9, longest = 0;  // what all of them cover
  for (auto& [number, slices] : by_number) {
    const Result<StackedSlices> stack = stack_of(series, slices);
    const SlicePlace& any = frame_at(series, slices.front()).place;
    if (number.empty() || !stack || stack->resampling ||
        !(any.thickness_mm > 0 && stack->geometry.spacing_mm[2] <= kCovered * any.thickness_mm))
      return {};
    const SlicePlace& first = frame_at(series, all.front()).place;
    const Eigen::Vector3d normal = first.row_direction.cross(first.column_direction);
    const auto at = [&](std::size_t k) { return frame_at(series, stack->order[k]).place.position_mm.dot(normal); };
    const double a = at(0), b = at(stack->order.size() - 1);
    low = std::max(low, std::min(a, b)), high = std::min(high, std::max(a, b));
    longest = std::max(longest, std::abs(b - a));
    out.push_back(std::move(slices));
  }
  const double share = stack_of(series, all) ? kSamePlace : 1e-6;
  if (!(high - low >= share * longest)) out.clear();
  return out;
}

struct Volumes {
  std::vector<SliceList> all;
  std::size_t scouts = 0;  // slices that belong to none of them
};

// The volumes of a series: one, or as many as one of the keys tells apart.
Volumes volumes_of(const Series& series) {
  SliceList all(series.slices.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  Volumes found;
  if (!stack_of(series, all)) found.scouts = leave_scouts_out(series, all);
  std::vector<SliceList>& out = found.all;
  out = acquisitions_of(series, all);
  if (!out.empty()) return found;
  if (stack_of(series, all)) {
    out.push_back(std::move(all));
    return found;
  }
  out = split_by(series, [&](std::size_t slice) { return std::to_string(series.slices[slice].file); });
  for (std::size_t key = 0; key < kVolumeKeys && out.empty(); ++key)
    out = split_by(series, [&](std::size_t slice) { return frame_at(series, slice).keys[key]; });
  if (out.empty())
    out = split_by(series, [&](std::size_t slice) {
      std::string joined;
      for (std::size_t key = 0; key + 1 < kVolumeKeys; ++key) joined += frame_at(series, slice).keys[key] + '\x1f';
      return joined;
    });
  if (out.empty()) out.push_back(std::move(all));
  return found;
}

Result<Series> collect(std::span<const std::filesystem::path> files, std::uint32_t part) {
  FOVEA_TRY_ASSIGN(Series out, gather(files));
  const auto [volumes, scouts] = volumes_of(out);
  if (part == kOnlyVolume && volumes.size() > 1)
    return invalid_argument("a series of " + std::to_string(volumes.size()) +
                            " volumes (echoes, time points, weightings, acquisitions): ingest its folder without a "
                            "table, which ingests each of them");
  const std::size_t wanted = part == kOnlyVolume ? 0 : part;
  if (wanted >= volumes.size()) return invalid_argument("series: no such volume");
  FOVEA_TRY_ASSIGN(out.stack, stack_of(out, volumes[wanted]));
  if (scouts > 0)
    out.note = std::to_string(scouts) + (scouts == 1 ? " slice" : " slices") + " across the others (" +
               (scouts == 1 ? "a localizer" : "localizers") + ") left out";
  return out;
}

// Stored value → number: bits above BitsStored may hold old overlays, and a sign sits at the top stored bit.
template <class T>
double stored_value(T raw, unsigned bits) {
  if constexpr (!std::numeric_limits<T>::is_integer) {
    return static_cast<double>(raw);
  } else {
    constexpr unsigned kWidth = 8 * sizeof(T);
    if (bits == 0 || bits >= kWidth) return static_cast<double>(raw);
    const auto mask = (std::uint64_t{1} << bits) - 1;
    std::uint64_t value = static_cast<std::uint64_t>(raw) & mask;
    if (std::numeric_limits<T>::is_signed && (value >> (bits - 1) & 1) != 0) value |= ~mask;
    return static_cast<double>(static_cast<std::int64_t>(value));
  }
}

struct SliceValues {
  const DicomHeader& header;
  const DicomFrame& frame;
  double factor = 1;        // SUV
  double invert_about = 0;  // MONOCHROME1: value → invert_about − value, when `inverted`
  bool inverted = false;
};

bool is_padding(const DicomHeader& header, double value) {
  return header.padding && value >= header.padding->first && value <= header.padding->second;
}

// Padding becomes NaN here, and air once the volume's own values are known. It may use bits that no value has.
template <class T>
void convert(const char* raw, std::size_t voxels, const SliceValues& how, float* out) {
  const auto* source = reinterpret_cast<const T*>(raw);
  for (std::size_t v = 0; v < voxels; ++v) {
    double value = stored_value(source[v], how.header.bits_stored);
    if (is_padding(how.header, value) || is_padding(how.header, static_cast<double>(source[v]))) {
      out[v] = std::numeric_limits<float>::quiet_NaN();
      continue;
    }
    if (how.inverted) value = how.invert_about - value;
    out[v] = static_cast<float>((value * how.frame.slope + how.frame.intercept) * how.factor);
  }
}

struct Converter {
  void (*run)(const char*, std::size_t, const SliceValues&, float*);
};

Result<Converter> converter_for(const gdcm::PixelFormat& format) {
  switch (format.GetScalarType()) {
    case gdcm::PixelFormat::UINT8: return Converter{&convert<std::uint8_t>};
    case gdcm::PixelFormat::INT8: return Converter{&convert<std::int8_t>};
    case gdcm::PixelFormat::UINT12:
    case gdcm::PixelFormat::UINT16: return Converter{&convert<std::uint16_t>};
    case gdcm::PixelFormat::INT12:
    case gdcm::PixelFormat::INT16: return Converter{&convert<std::int16_t>};
    case gdcm::PixelFormat::UINT32: return Converter{&convert<std::uint32_t>};
    case gdcm::PixelFormat::INT32: return Converter{&convert<std::int32_t>};
    case gdcm::PixelFormat::FLOAT32: return Converter{&convert<float>};
    case gdcm::PixelFormat::FLOAT64: return Converter{&convert<double>};
    case gdcm::PixelFormat::UINT64:
    case gdcm::PixelFormat::INT64:
    case gdcm::PixelFormat::FLOAT16:
    case gdcm::PixelFormat::SINGLEBIT:
    case gdcm::PixelFormat::UNKNOWN: break;
  }
  return invalid_argument("pixels: unsupported pixel type");
}

// The tiles of a mosaic one after the other, as if they were frames.
std::vector<char> untiled(const std::vector<char>& picture, const DicomHeader& header, std::size_t pixel_bytes) {
  const SlicePlace& tile = header.frames.front().place;
  const auto row_bytes = static_cast<std::size_t>(tile.columns) * pixel_bytes,
             rows = static_cast<std::size_t>(tile.rows), across = static_cast<std::size_t>(header.tiles_across);
  std::vector<char> out;
  out.reserve(header.frames.size() * rows * row_bytes);
  for (std::size_t t = 0; t < header.frames.size(); ++t)
    for (std::size_t row = 0; row < rows; ++row) {
      const char* at = picture.data() + ((t / across * rows + row) * across + t % across) * row_bytes;
      out.insert(out.end(), at, at + row_bytes);
    }
  return out;
}

// The frames of one file into their slices of the stack; slice_of_frame says kUnused for those of other volumes.
Result<void> read_pixels(const Series& series, std::size_t file, const std::vector<std::size_t>& slice_of_frame,
                         double factor, std::vector<float>& out) {
  gdcm::ImageReader reader;
  reader.SetFileName(series.files[file].c_str());
  if (!reader.Read())
    return invalid_argument("pixels: missing, damaged, or in a transfer syntax that cannot be decoded");
  const gdcm::Image& image = reader.GetImage();
  const DicomHeader& header = series.headers[file];
  const std::size_t voxels =
      static_cast<std::size_t>(header.frames.front().place.rows * header.frames.front().place.columns);
  const gdcm::PixelFormat& format = image.GetPixelFormat();
  FOVEA_TRY_ASSIGN(const Converter converter, converter_for(format));
  const auto across = static_cast<std::size_t>(header.tiles_across);
  const std::size_t stored_frames = across > 0 ? across * across : header.frames.size();
  const std::size_t bytes = voxels * stored_frames * format.GetPixelSize();
  if (image.GetBufferLength() != bytes)
    return invalid_argument("pixels: not as many as rows, columns and frames say (cut off?)");
  // The picture as it is stored: of a mosaic, all tiles are one frame.
  const std::uint64_t tiles = across > 0 ? across : 1;
  FOVEA_TRY(check_stored_pixels(
      image.GetDataElement(), image.GetTransferSyntax(),
      {static_cast<std::uint64_t>(header.frames.front().place.rows) * tiles,
       static_cast<std::uint64_t>(header.frames.front().place.columns) * tiles, format.GetPixelSize()},
      across > 0 ? 1 : stored_frames));
  std::vector<char> raw(bytes);
  if (!image.GetBuffer(raw.data())) return invalid_argument("pixels: damaged or cut off, they cannot be decoded");
  if (across > 0) raw = untiled(raw, header, format.GetPixelSize());
  const unsigned bits = std::min<unsigned>(header.bits_stored, format.GetBitsAllocated());
  const bool is_signed = format.GetPixelRepresentation() == 1;
  SliceValues how{.header = header, .frame = header.frames.front(), .factor = factor};
  how.inverted = header.inverted && header.modality == "MR";
  how.invert_about = is_signed ? -1 : std::exp2(bits) - 1;  // lowest + highest storable value
  for (std::size_t frame = 0; frame < header.frames.size(); ++frame)
    if (slice_of_frame[frame] != kUnused)
      converter.run(raw.data() + frame * voxels * format.GetPixelSize(), voxels,
                    {header, header.frames[frame], how.factor, how.invert_about, how.inverted},
                    out.data() + slice_of_frame[frame] * voxels);
  return {};
}

Result<double> factor_of(const Series& series) {
  const DicomHeader& first = series.headers[series.slices[series.stack.order.front()].file];
  if (first.modality != "PT") return 1.0;
  std::vector<PetFields> images;
  for (const DicomHeader& header : series.headers)
    if (header.modality == "PT") images.push_back(header.pet);
  return suv_factor(images);
}

// Every slice of the stack, in its order, then in the grid of the result.
Result<std::vector<float>> read_values(const Series& series, double factor) {
  std::vector<std::vector<std::size_t>> slice_of_frame(series.files.size());
  for (std::size_t file = 0; file < series.files.size(); ++file)
    slice_of_frame[file].assign(series.headers[file].frames.size(), kUnused);
  for (std::size_t k = 0; k < series.stack.order.size(); ++k) {
    const Slice& slice = series.slices[series.stack.order[k]];
    slice_of_frame[slice.file][slice.frame] = k;
  }
  const SlicePlace& place = frame_at(series, series.stack.order.front()).place;
  std::vector<float> slices(static_cast<std::size_t>(place.columns * place.rows) * series.stack.order.size());
  for (std::size_t file = 0; file < series.files.size(); ++file)
    if (std::any_of(slice_of_frame[file].begin(), slice_of_frame[file].end(),
                    [](std::size_t slice) { return slice != kUnused; }))
      FOVEA_TRY(read_pixels(series, file, slice_of_frame[file], factor, slices));
  if (!series.stack.resampling) return slices;
  std::vector<float> out(series.stack.geometry.voxel_count());
  resample_slices(series.stack, place.columns, place.rows, slices, out);
  return out;
}

// NaN marks padding. Everything else must be a number.
Result<void> fill_padding(std::vector<float>& voxels, bool is_ct) {
  float lowest = std::numeric_limits<float>::max();
  for (const float v : voxels) {
    if (std::isinf(v)) return invalid_argument("voxels: some are not numbers after rescaling");
    if (!std::isnan(v)) lowest = std::min(lowest, v);
  }
  if (lowest == std::numeric_limits<float>::max()) return invalid_argument("voxels: nothing but padding");
  const float air = is_ct ? std::max(lowest, kAirHu) : lowest;
  for (float& v : voxels)
    if (std::isnan(v)) v = air;
  return {};
}

Result<void> deliver(const volume::VolumeGeometry& geometry, const std::vector<float>& voxels,
                     const volume::VoxelAllocator& allocate) {
  const bool whole = std::all_of(voxels.begin(), voxels.end(),
                                 [](float v) { return v == std::trunc(v) && v >= -32768 && v <= 32767; });
  const volume::CanonicalOrder order = volume::canonical_order(geometry);
  FOVEA_TRY_ASSIGN(std::byte* const out, allocate(volume::reordered(geometry, order),
                                                  whole ? volume::VoxelStorage::int16 : volume::VoxelStorage::float32));
  if (whole)
    volume::copy_canonical(voxels.data(), geometry, order, reinterpret_cast<std::int16_t*>(out),
                           [](float v) { return static_cast<std::int16_t>(v); });
  else volume::copy_canonical(voxels.data(), geometry, order, reinterpret_cast<float*>(out), [](float v) { return v; });
  return {};
}

}  // namespace

DicomFile describe_dicom(const std::filesystem::path& file) {
  DicomFile out;
  Damage damage = damage_of(file);
  if (!damage.reason.empty()) {
    out.is_damaged = !damage.is_other_kind;
    out.reason = damage.is_other_kind ? "a DICOM object of another kind, cut off" : std::move(damage.reason);
    out.is_label = damage.is_label;
    out.series = std::move(damage.series);
    // Labels that are whole up to their pixels say which series is refused for them.
    if (damage.is_label && out.reason.starts_with("pixels")) {
      out.series = describe_labels(file).series;
      out.is_damaged = out.series.empty();
    }
    return out;
  }
  const Result<DicomIdentity> identity = read_dicom_identity(file);
  out.is_image = static_cast<bool>(identity);
  if (!identity) {
    out.reason = identity.error().message;
    LabelObject labels = describe_labels(file);
    out.is_label = labels.is_label;
    out.series = std::move(labels.series);
    out.is_foreign = damage.is_foreign && identity.error().message == kUnreadable;
    return out;
  }
  static_cast<SeriesIdentity&>(out) = *identity;
  out.instance = identity->instance;
  out.position = identity->position;
  out.acquisition = identity->acquisition;
  return out;
}

Result<std::uint32_t> count_dicom_volumes(std::span<const std::filesystem::path> files) {
  FOVEA_TRY_ASSIGN(const Series series, gather(files));
  return static_cast<std::uint32_t>(volumes_of(series).all.size());
}

Result<SeriesFacts> read_dicom_series(std::span<const std::filesystem::path> files, std::uint32_t part,
                                      const volume::VoxelAllocator& allocate) {
  FOVEA_TRY_ASSIGN(const Series series, collect(files, part));
  FOVEA_TRY_ASSIGN(const double factor, factor_of(series));
  FOVEA_TRY_ASSIGN(std::vector<float> voxels, read_values(series, factor));
  const DicomHeader& first = series.headers.front();
  FOVEA_TRY(fill_padding(voxels, first.modality == "CT"));
  FOVEA_TRY(deliver(series.stack.geometry, voxels, allocate));
  return SeriesFacts{first.modality, first.patient, first.frame_of_reference, series.note};
}

}  // namespace fovea::node::intake

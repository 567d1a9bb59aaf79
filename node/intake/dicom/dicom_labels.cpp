#include "node/intake/dicom/dicom_labels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include <gdcmImageReader.h>
#include <gdcmReader.h>
#include <Eigen/Geometry>

#include "node/intake/dicom/contours.h"
#include "node/intake/dicom/dicom_fields.h"
#include "node/intake/dicom/label_layers.h"
#include "node/intake/dicom/unreadable_file.h"
#include "node/intake/dicom/whole_file.h"
#include "node/intake/formats/stored_amount.h"
#include "node/volume/canonical.h"
#include "node/volume/volume.h"

namespace fovea::node::intake {
namespace {

using gdcm::DataSet;
using gdcm::Tag;

constexpr std::string_view kSegmentation = "1.2.840.10008.5.1.4.1.1.66.4";
constexpr std::string_view kLabelMap = "1.2.840.10008.5.1.4.1.1.66.7";
constexpr std::string_view kStructureSet = "1.2.840.10008.5.1.4.1.1.481.3";
constexpr std::size_t kFramesMax = 65536;
constexpr std::size_t kCornersMax = 20'000'000;
constexpr double kSamePlaneMm = 0.01;
constexpr double kSameSpotMm = 0.1;
constexpr double kWholeTolerance = 0.05;

struct SegmentFrame {
  int segment = 0;  // 0 in a label map, whose voxels name their segments
  SlicePlace place;
};

struct Segmentation {
  std::vector<SegmentFrame> frames;
  double slice_distance_mm = 0;  // as stated, or 0
  unsigned bits = 0;             // of a voxel: 1, 8 or 16
  double threshold = 1;          // what counts as marked
  bool is_label_map = false;
  Bytes voxels;  // of all frames
};

Result<std::vector<SegmentFrame>> frames_of(const DataSet& data, bool is_label_map, double& slice_distance_mm) {
  const auto rows = short_of(data, Tag(0x0028, 0x0010)), columns = short_of(data, Tag(0x0028, 0x0011));
  if (!rows || !columns || *rows < 2 || *columns < 2 || *rows > volume::kAxisVoxelsMax ||
      *columns > volume::kAxisVoxelsMax)
    return invalid_argument("Rows or Columns: missing, or outside 2–4096");
  const std::vector<DataSet> own = items_of(data, Tag(0x5200, 0x9230));
  FOVEA_TRY_ASSIGN(const std::optional<std::int64_t> stated, integer_of(data, Tag(0x0028, 0x0008)));
  if (own.empty() || own.size() > kFramesMax || stated.value_or(1) != static_cast<std::int64_t>(own.size()))
    return invalid_argument("Per-frame Functional Groups: not one for each of the frames");
  const DataSet shared = first_item(data, Tag(0x5200, 0x9229)).value_or(DataSet());
  std::vector<SegmentFrame> out;
  for (std::size_t f = 0; f < own.size(); ++f) {
    const FrameFields fields({&own[f], &shared, &data});
    SegmentFrame frame;
    Result<SlicePlace> place = place_of(fields, *rows, *columns);
    if (!place) return place.error().with_context("frame " + std::to_string(f + 1));
    frame.place = *place;
    if (!is_label_map) frame.segment = fields.short_number(Tag(0x0062, 0x000a), Tag(0x0062, 0x000b)).value_or(0);
    if (!is_label_map && frame.segment < 1)
      return invalid_argument("frame " + std::to_string(f + 1) + ": Referenced Segment Number: missing, or not from 1");
    out.push_back(frame);
    FOVEA_TRY_ASSIGN(const std::vector<double> distance, fields.numbers(Tag(0x0028, 0x9110), Tag(0x0018, 0x0088)));
    if (distance.size() == 1 && distance[0] > 0) slice_distance_mm = distance[0];
  }
  return out;
}

Result<Bytes> decoded_voxels(const std::filesystem::path& file, const FramePixels& frame, std::size_t frames) {
  gdcm::ImageReader reader;
  reader.SetFileName(file.c_str());
  const std::size_t bytes = frame.rows * frame.columns * frame.pixel_bytes * frames;
  if (!reader.Read() || reader.GetImage().GetBufferLength() != bytes)
    return invalid_argument("pixels: missing, damaged, or in a transfer syntax that cannot be decoded");
  FOVEA_TRY(
      check_stored_pixels(reader.GetImage().GetDataElement(), reader.GetImage().GetTransferSyntax(), frame, frames));
  Bytes out(bytes);
  if (!reader.GetImage().GetBuffer(reinterpret_cast<char*>(out.data())))
    return invalid_argument("pixels: damaged or cut off, they cannot be decoded");
  return out;
}

// One bit a voxel is packed across frames without a gap, the lowest bit first (PS3.5 8.1.1).
Result<Bytes> stored_voxels(const std::filesystem::path& file, const gdcm::File& dicom, const SlicePlace& place,
                            std::size_t frames, unsigned bits) {
  const gdcm::TransferSyntax& syntax = dicom.GetHeader().GetDataSetTransferSyntax();
  const auto rows = static_cast<std::uint64_t>(place.rows), columns = static_cast<std::uint64_t>(place.columns);
  const std::size_t bytes = (rows * columns * frames * bits + 7) / 8;
  if (syntax == gdcm::TransferSyntax::ExplicitVRBigEndian)
    return invalid_argument(
        "Transfer Syntax: a big-endian segmentation; convert it to little endian (gdcmconv --explicit)");
  if (syntax.IsEncapsulated()) {
    if (bits == 1)
      return invalid_argument(
          "Transfer Syntax: compressed single bits; convert the segmentation to an uncompressed one (gdcmconv --raw)");
    return decoded_voxels(file, {rows, columns, bits / 8}, frames);
  }
  const Tag pixels(0x7fe0, 0x0010);
  const gdcm::ByteValue* stored =
      dicom.GetDataSet().FindDataElement(pixels) ? dicom.GetDataSet().GetDataElement(pixels).GetByteValue() : nullptr;
  if (stored == nullptr || stored->GetPointer() == nullptr) return invalid_argument("pixels: missing");
  FOVEA_TRY(check_stored("pixels", stored->GetLength(), bytes));
  const auto* at = reinterpret_cast<const std::uint8_t*>(stored->GetPointer());
  return Bytes(at, at + bytes);
}

// Segments are declared and no frame is stored: somebody looked and marked nothing. It has to say so itself: an object
// that lost its frames on the way still counts them.
bool is_empty(const DataSet& data) {
  const Result<std::optional<std::int64_t>> frames = integer_of(data, Tag(0x0028, 0x0008));
  return frames && *frames == 0 && items_of(data, Tag(0x5200, 0x9230)).empty() &&
         !items_of(data, Tag(0x0062, 0x0002)).empty() && !data.FindDataElement(Tag(0x7fe0, 0x0010));
}

// An empty list chooses every label.
bool is_chosen(const LabelGrid& grid, int label) {
  return grid.chosen.empty() || std::find(grid.chosen.begin(), grid.chosen.end(), label) != grid.chosen.end();
}

Result<Segmentation> segmentation_of(const std::filesystem::path& file, const gdcm::File& dicom, bool is_label_map) {
  const DataSet& data = dicom.GetDataSet();
  Segmentation out;
  out.is_label_map = is_label_map;
  if (is_empty(data)) return out;
  FOVEA_TRY_ASSIGN(out.frames, frames_of(data, is_label_map, out.slice_distance_mm));
  out.bits = static_cast<unsigned>(short_of(data, Tag(0x0028, 0x0100)).value_or(0));
  const std::string kind = text_of(data, Tag(0x0062, 0x0001));
  if (kind == "FRACTIONAL") out.threshold = 0.5 * short_of(data, Tag(0x0062, 0x000e)).value_or(255);
  const bool fits = kind == "BINARY"       ? out.bits == 1 || out.bits == 8
                    : kind == "FRACTIONAL" ? out.bits == 8
                                           : is_label_map && (out.bits == 8 || out.bits == 16);
  if (!fits)
    return invalid_argument("Segmentation Type: expected BINARY of 1 bit, FRACTIONAL of 8, or LABELMAP of 8 or 16");
  const SlicePlace& any = out.frames.front().place;
  const auto voxels = static_cast<std::uint64_t>(any.rows * any.columns) * out.frames.size();
  if (voxels > static_cast<std::uint64_t>(volume::kVolumeVoxelsMax) * kLabelLayersMax)
    return invalid_argument("segmentation: more voxels than are accepted");
  FOVEA_TRY_ASSIGN(out.voxels, stored_voxels(file, dicom, any, out.frames.size(), out.bits));
  return out;
}

// The planes of a segmentation, with those that were left out because nothing lies in them.
struct SegmentGrid {
  volume::VolumeGeometry geometry;
  std::vector<std::size_t> plane_of_frame;
};

Result<void> check_frames(const std::vector<SegmentFrame>& frames) {
  const SlicePlace& first = frames.front().place;
  const auto is_near = [](const Eigen::Vector3d& a, const Eigen::Vector3d& b) {
    return ((a - b).array().abs() <= 1e-3).all();
  };
  for (const SegmentFrame& frame : frames) {
    if (!frame.place.position_mm.allFinite()) return invalid_argument("slice position or orientation: not a number");
    if (!is_near(frame.place.row_direction, first.row_direction) ||
        !is_near(frame.place.column_direction, first.column_direction))
      return invalid_argument("segmentation: frames of different orientation; store each as an object of its own");
  }
  return {};
}

// The distance of which every gap between planes is a whole multiple.
Result<double> plane_distance(const std::vector<double>& gaps, double stated_mm) {
  const double least = *std::min_element(gaps.begin(), gaps.end());
  const auto whole = [](double times) {
    return times >= 0.5 && std::abs(times - std::round(times)) <= kWholeTolerance;
  };
  double out = least;
  if (stated_mm > kSamePlaneMm && whole(least / stated_mm)) out = least / std::round(least / stated_mm);
  for (const double gap : gaps)
    if (!whole(gap / out))
      return invalid_argument(
          "segmentation: its planes lie at uneven distances; store it on the grid of an even series");
  return out;
}

Result<SegmentGrid> segment_grid(const Segmentation& segmentation, const volume::VolumeGeometry& image) {
  const std::vector<SegmentFrame>& frames = segmentation.frames;
  FOVEA_TRY(check_frames(frames));
  const SlicePlace& any = frames.front().place;
  const Eigen::Vector3d normal = any.row_direction.cross(any.column_direction);
  const auto height = [&](std::size_t f) { return frames[f].place.position_mm.dot(normal); };
  std::vector<std::size_t> order(frames.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return height(a) < height(b); });
  std::vector<double> gaps;
  for (std::size_t f = 1; f < order.size(); ++f) {
    const double gap = height(order[f]) - height(order[f - 1]);
    if (gap > kSamePlaneMm) gaps.push_back(gap);
  }
  double distance = any.thickness_mm > 0 ? any.thickness_mm : image.spacing_mm.minCoeff();
  if (!gaps.empty()) {
    FOVEA_TRY_ASSIGN(distance, plane_distance(gaps, segmentation.slice_distance_mm));
  }
  SegmentGrid out{{}, std::vector<std::size_t>(frames.size())};
  const volume::Point3 origin = frames[order.front()].place.position_mm;
  std::size_t planes = 2;  // a single marked plane still has a thickness
  for (const std::size_t f : order) {
    const double along = (height(f) - height(order.front())) / distance;
    if (!(along < static_cast<double>(volume::kAxisVoxelsMax) - 1))
      return invalid_argument("segmentation: planes too far apart for one volume");
    out.plane_of_frame[f] = static_cast<std::size_t>(std::llround(along));
    planes = std::max(planes, out.plane_of_frame[f] + 1);
  }
  std::vector<SlicePlace> all(planes, frames[order.front()].place);
  const auto last = static_cast<double>(out.plane_of_frame[order.back()]);
  Eigen::Vector3d step = normal * distance;
  if (last > 0) step = (frames[order.back()].place.position_mm - origin) / last;
  for (std::size_t p = 0; p < planes; ++p) all[p].position_mm = origin + step * static_cast<double>(p);
  FOVEA_TRY_ASSIGN(const StackedSlices stack, stack_slices(all));
  const double tolerance_mm = kSameSpotMm + kWholeTolerance * distance;
  for (std::size_t f = 0; f < frames.size(); ++f) {
    const Eigen::Vector3d off = frames[f].place.position_mm - all[out.plane_of_frame[f]].position_mm;
    if (!(off.array().abs() <= tolerance_mm).all())
      return invalid_argument("segmentation: a frame lies beside the others, not above them (tiles of a slide?)");
  }
  out.geometry = stack.geometry;
  return out;
}

// Which of a frame's voxels hold a value, through `use(pixel, value)`.
template <class Use>
void each_marked(const Segmentation& from, std::size_t frame, std::size_t pixels, Use use) {
  for (std::size_t p = 0, at = frame * pixels; p < pixels; ++p, ++at) {
    unsigned value = 0;
    if (from.bits == 1) value = from.voxels[at / 8] >> (at % 8) & 1u;
    else if (from.bits == 8) value = from.voxels[at];
    else value = from.voxels[2 * at] | static_cast<unsigned>(from.voxels[2 * at + 1]) << 8;
    if (value > 0 && static_cast<double>(value) >= from.threshold) use(p, static_cast<int>(value));
  }
}

Result<LabelLayers> draw_segments(const Segmentation& from, const SegmentGrid& grid, const LabelGrid& wanted) {
  const auto pixels = static_cast<std::size_t>(grid.geometry.size[0] * grid.geometry.size[1]);
  std::map<int, std::vector<std::size_t>> frames_of_segment;
  for (std::size_t f = 0; f < from.frames.size(); ++f) frames_of_segment[from.frames[f].segment].push_back(f);
  LabelLayers out(grid.geometry.voxel_count(), wanted.layer);
  for (const auto& [segment, frames] : frames_of_segment) {
    std::map<int, std::vector<std::uint32_t>> marked;  // a label map names its segments voxel by voxel
    for (const std::size_t f : frames)
      each_marked(from, f, pixels, [&, number = segment](std::size_t p, int value) {
        marked[from.is_label_map ? value : number].push_back(
            static_cast<std::uint32_t>(grid.plane_of_frame[f] * pixels + p));
      });
    for (const auto& [label, voxels] : marked)
      if (is_chosen(wanted, label)) FOVEA_TRY(out.add(label, voxels));
  }
  return out;
}

Result<void> deliver(const volume::VolumeGeometry& geometry, const std::vector<std::int16_t>& labels,
                     const volume::VoxelAllocator& allocate) {
  const volume::CanonicalOrder order = volume::canonical_order(geometry);
  FOVEA_TRY_ASSIGN(std::byte* const out, allocate(volume::reordered(geometry, order), volume::VoxelStorage::int16));
  volume::copy_canonical(labels.data(), geometry, order, reinterpret_cast<std::int16_t*>(out),
                         [](std::int16_t v) { return v; });
  return {};
}

Result<LabelFacts> finish(const LabelLayers& layers, const volume::VolumeGeometry& geometry, const LabelGrid& grid,
                          std::string frame, const volume::VoxelAllocator& allocate) {
  if (grid.layer >= std::max(layers.count(), 1u)) return invalid_argument("labels: no such layer");
  FOVEA_TRY(deliver(geometry, layers.kept(), allocate));
  return LabelFacts{std::max(layers.count(), 1u), std::move(frame), {}};
}

Result<LabelFacts> read_segmentation(const std::filesystem::path& file, const gdcm::File& dicom, bool is_label_map,
                                     const LabelGrid& grid, const volume::VoxelAllocator& allocate) {
  FOVEA_TRY_ASSIGN(const Segmentation segmentation, segmentation_of(file, dicom, is_label_map));
  std::string frame = text_of(dicom.GetDataSet(), Tag(0x0020, 0x0052));
  if (segmentation.frames.empty())
    return finish(LabelLayers(grid.image.voxel_count(), 0), grid.image, grid, std::move(frame), allocate);
  FOVEA_TRY_ASSIGN(const SegmentGrid own, segment_grid(segmentation, grid.image));
  FOVEA_TRY_ASSIGN(const LabelLayers layers, draw_segments(segmentation, own, grid));
  return finish(layers, own.geometry, grid, std::move(frame), allocate);
}

struct Region {
  std::string frame_of_reference;
  bool is_no_finding = false;
};

Result<std::optional<int>> region_number(const DataSet& data, const Tag& tag) {
  FOVEA_TRY_ASSIGN(const std::optional<std::int64_t> value, integer_of(data, tag));
  if (!value || *value < -1'000'000'000 || *value > 1'000'000'000) return std::optional<int>();
  return std::optional<int>(static_cast<int>(*value));
}

using Regions = std::map<int, Region>;

Result<Regions> regions_of(const DataSet& data) {
  Regions out;
  for (const DataSet& item : items_of(data, Tag(0x3006, 0x0020))) {
    FOVEA_TRY_ASSIGN(const std::optional<int> number, region_number(item, Tag(0x3006, 0x0022)));
    if (number) out[*number].frame_of_reference = text_of(item, Tag(0x3006, 0x0024));
  }
  for (const DataSet& item : items_of(data, Tag(0x3006, 0x0080))) {
    const std::string kind = text_of(item, Tag(0x3006, 0x00a4));
    FOVEA_TRY_ASSIGN(const std::optional<int> number, region_number(item, Tag(0x3006, 0x0084)));
    if (number && (kind == "EXTERNAL" || kind == "SUPPORT" || kind == "FIXATION" || kind == "BOLUS"))
      out[*number].is_no_finding = true;
  }
  return out;
}

Result<std::vector<Contour>> contours_of(const DataSet& region, std::size_t& corners) {
  std::vector<Contour> out;
  for (const DataSet& item : items_of(region, Tag(0x3006, 0x0040))) {
    const std::string kind = text_of(item, Tag(0x3006, 0x0042));
    if (kind != "CLOSED_PLANAR" && kind != "CLOSEDPLANAR_XOR") continue;
    FOVEA_TRY_ASSIGN(const std::vector<double> numbers,
                     numbers_of(item, Tag(0x3006, 0x0050), 3 * (kCornersMax - corners)));
    if (numbers.empty() || numbers.size() % 3 != 0)
      return invalid_argument("Contour Data: missing, or no triples of numbers");
    corners += numbers.size() / 3;
    Contour contour;
    for (std::size_t n = 0; n < numbers.size(); n += 3) contour.push_back({numbers[n], numbers[n + 1], numbers[n + 2]});
    out.push_back(std::move(contour));
  }
  return out;
}

// The regions of a structure set, drawn one after the other.
class RegionDrawing {
 public:
  RegionDrawing(Regions regions, const LabelGrid& grid)
      : regions_(std::move(regions)), grid_(grid), layers_(grid.image.voxel_count(), grid.layer) {}

  // One item of the ROI Contour Sequence. A region that nobody asked for cannot be at fault.
  Result<void> add(const DataSet& item) {
    FOVEA_TRY_ASSIGN(const std::optional<int> number, region_number(item, Tag(0x3006, 0x0084)));
    if (!number || !regions_.contains(*number))
      return invalid_argument("ROI Contour: Referenced ROI Number: missing, or names no region");
    if (regions_[*number].is_no_finding) return {};
    if (!is_chosen(grid_, *number)) {
      ++not_asked_for_;
      return {};
    }
    const Result<void> drawn = draw(item, *number);
    return drawn ? drawn : drawn.error().with_context("region " + std::to_string(*number));
  }

  Result<LabelFacts> finished(const volume::VoxelAllocator& allocate) {
    if (drawn_ == 0 && not_asked_for_ == 0)
      return invalid_argument(too_small_ > 0 ? "structure set: no region encloses a voxel of this scan"
                                             : "structure set: no region with a closed contour");
    if (drawn_ == 0)
      add_note(note_, "the structure set holds none of the chosen regions, but " + std::to_string(not_asked_for_) +
                          " others: the study counts as one without findings");
    FOVEA_TRY_ASSIGN(LabelFacts out, finish(layers_, grid_.image, grid_, frame_, allocate));
    out.note = std::move(note_);
    return out;
  }

 private:
  Result<void> draw(const DataSet& item, int number) {
    FOVEA_TRY_ASSIGN(const std::vector<Contour> contours, contours_of(item, corners_));
    if (contours.empty()) return {};
    const std::string& frame = regions_[number].frame_of_reference;
    if (drawn_ > 0 && frame != frame_)
      return invalid_argument(
          "Referenced Frame of Reference: differs from another region's; keep one scan's regions in an object");
    frame_ = frame;
    const Result<std::vector<std::uint32_t>> voxels = voxels_inside(grid_.image, contours);
    // A marker or a point of a plan, drawn as a tiny contour; one that was asked for by number is not left out.
    const bool none_inside = !voxels && voxels.error().code == ErrorCode::not_found;
    if (none_inside && grid_.chosen.empty() && lie_within(grid_.image, contours)) {
      add_note(note_, "region " + std::to_string(number) + " is smaller than a voxel and was left out");
      ++too_small_;
      return {};
    }
    if (!voxels) return voxels.error();
    ++drawn_;
    return layers_.add(number, *voxels);
  }

  Regions regions_;
  const LabelGrid& grid_;
  LabelLayers layers_;
  std::string frame_, note_;
  std::size_t corners_ = 0, drawn_ = 0, too_small_ = 0, not_asked_for_ = 0;
};

Result<LabelFacts> read_structure_set(const DataSet& data, const LabelGrid& grid,
                                      const volume::VoxelAllocator& allocate) {
  FOVEA_TRY_ASSIGN(Regions regions, regions_of(data));
  RegionDrawing drawing(std::move(regions), grid);
  for (const DataSet& item : items_of(data, Tag(0x3006, 0x0039))) FOVEA_TRY(drawing.add(item));
  return drawing.finished(allocate);
}

// The one series that the object refers to.
std::string referenced_series(const DataSet& data) {
  std::set<std::string> out;
  for (const DataSet& item : items_of(data, Tag(0x0008, 0x1115))) out.insert(text_of(item, Tag(0x0020, 0x000e)));
  for (const DataSet& frame : items_of(data, Tag(0x3006, 0x0010)))
    for (const DataSet& study : items_of(frame, Tag(0x3006, 0x0012)))
      for (const DataSet& series : items_of(study, Tag(0x3006, 0x0014)))
        out.insert(text_of(series, Tag(0x0020, 0x000e)));
  out.erase("");
  return out.size() == 1 ? *out.begin() : "";
}

}  // namespace

bool is_label_class(std::string_view uid) { return uid == kSegmentation || uid == kLabelMap || uid == kStructureSet; }

LabelObject describe_labels(const std::filesystem::path& file) {
  try {
    gdcm::Reader reader;
    reader.SetFileName(file.c_str());
    if (!reader.ReadUpToTag(Tag(0x7fe0, 0x0010), std::set<Tag>())) return {};
    const DataSet& data = reader.GetFile().GetDataSet();
    if (!is_label_class(text_of(data, Tag(0x0008, 0x0016)))) return {};
    return {true, referenced_series(data)};
  } catch (const std::exception&) {
    return {};
  }
}

Result<LabelFacts> read_dicom_labels(const std::filesystem::path& file, const LabelGrid& grid,
                                     const volume::VoxelAllocator& allocate) {
  FOVEA_TRY(check_whole_file(file));
  gdcm::Reader reader;
  reader.SetFileName(file.c_str());
  if (!reader.Read()) return unreadable_dicom(file);
  const DataSet& data = reader.GetFile().GetDataSet();
  const std::string kind = text_of(data, Tag(0x0008, 0x0016));
  if (kind == kStructureSet) return read_structure_set(data, grid, allocate);
  if (!is_label_class(kind))
    return invalid_argument("SOP Class UID: no segmentation and no structure set; expected DICOM SEG or RTSTRUCT");
  return read_segmentation(file, reader.GetFile(), kind == kLabelMap, grid, allocate);
}

}  // namespace fovea::node::intake

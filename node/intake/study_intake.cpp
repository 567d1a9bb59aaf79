#include "node/intake/study_intake.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "common/codec.h"
#include "common/descriptor.h"
#include "node/intake/csv_reader.h"
#include "node/intake/formats/scan_facts.h"
#include "node/intake/label_tables.h"
#include "node/intake/mask_checks.h"
#include "node/intake/parser/memory_budget.h"
#include "node/intake/scan_walk.h"
#include "node/store/brick_volume.h"
#include "node/store/findings.h"
#include "node/store/pyramid.h"
#include "node/volume/geometry_codec.h"
#include "node/volume/intensity.h"
#include "node/volume/modality.h"
#include "node/volume/volume.h"

namespace fovea::node::intake {
namespace {

constexpr double kFindingToleranceMm = 1;

Result<std::uint64_t> tag_file(const ScanFiles& scan_files, const std::filesystem::path& path, crypto::Gmac& mac) {
  FOVEA_TRY_ASSIGN(const std::optional<MemoryBudget::Share> opened_in, memory_for(scan_files, {&path, 1}));
  FOVEA_TRY_ASSIGN(const Descriptor file, scan_files.open(path));
  posix_fadvise(file.number(), 0, 0, POSIX_FADV_SEQUENTIAL);
  constexpr std::size_t kBlockBytes = 256 * 1024;
  const auto block = std::make_unique_for_overwrite<std::uint8_t[]>(kBlockBytes);
  std::uint64_t total = 0;
  for (;;) {
    const ssize_t got = ::read(file.number(), block.get(), kBlockBytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return invalid_argument("the file cannot be read (a damaged disk?)");
    if (got == 0) return total;
    mac.update({block.get(), static_cast<std::size_t>(got)});
    total += static_cast<std::uint64_t>(got);
  }
}

// Adds the offset: as the store's intercept where voxels are int16, else to a copy of the voxels.
struct ShiftedVoxels {
  volume::VoxelSpan span;
  float intercept = 0;
  std::vector<float> copy;  // of float voxels, when they had to be changed
};
ShiftedVoxels shifted(const volume::VoxelSpan& voxels, float offset) {
  ShiftedVoxels out{voxels, offset, {}};
  const auto* real = std::get_if<std::span<const float>>(&voxels);
  if (offset == 0 || real == nullptr) return out;
  out.copy.assign(real->begin(), real->end());
  for (float& v : out.copy) v += offset;
  out.span = std::span<const float>(out.copy);
  out.intercept = 0;
  return out;
}

void shift(volume::IntensityStatistics& s, float offset) {
  for (float* value : {&s.minimum, &s.maximum, &s.mean, &s.p99, &s.foreground_threshold, &s.median, &s.p16, &s.p84})
    *value += offset;
}

bool inside(const volume::VolumeGeometry& geometry, const volume::Point3& point) {
  const volume::Point3 index = geometry.to_index(point);
  for (unsigned axis = 0; axis < 3; ++axis) {
    const double slack = 0.5 + kFindingToleranceMm / geometry.spacing_mm[axis];
    if (!(index[axis] >= -slack && index[axis] <= static_cast<double>(geometry.size[axis] - 1) + slack)) return false;
  }
  return true;
}

// A table of points, of which those with the chosen labels count.
Result<std::vector<store::Finding>> points_in(const StudySource& source, const volume::VolumeGeometry& image,
                                              const std::vector<std::int32_t>& labels) {
  FOVEA_TRY_ASSIGN(const std::vector<PointRow> rows, read_points(*source.mask));
  std::optional<std::vector<store::Finding>> out = points_of(rows, source, image.spacing_mm.prod());
  if (!out)
    return invalid_argument(
        "the table of points does not name this study; give it a row with empty coordinates if it holds nothing");
  if (!labels.empty())
    std::erase_if(*out, [&](const store::Finding& f) {
      return std::find(labels.begin(), labels.end(), f.label) == labels.end();
    });
  if (out->size() > store::kFindingsMax)
    return invalid_argument("more than " + std::to_string(store::kFindingsMax) + " points");
  return std::move(*out);
}

struct Findings {
  std::vector<store::Finding> all;
  std::string note;
};

// Findings made of the scan's own voxels, or put elsewhere in it, would pass every check of numbers.
Result<std::string> check_mask(const ParsedVolume& mask, const ParsedVolume& scan) {
  FOVEA_TRY_ASSIGN(std::string note, check_mask_place(mask.geometry(), scan.geometry()));
  if (mask.geometry().size == scan.geometry().size && same_values(mask.voxels(), scan.voxels()))
    return invalid_argument("its voxels are those of the scan itself (give the mask made for this scan)");
  return note;
}

// A mask, segmentation or structure set: structures that overlap come in separate layers.
Result<Findings> structures_in(ScanParser& parser, const std::filesystem::path& file, const ParsedVolume& scan,
                               const std::vector<std::int32_t>& labels) {
  if (const std::string why = header_of_voxels(file); !why.empty()) return invalid_argument(why);
  Findings found;
  std::vector<store::Finding>& out = found.all;
  for (std::uint32_t layer = 0, layers = 1; layer < layers; ++layer) {
    FOVEA_TRY_ASSIGN(const ParsedVolume parsed, parser.read_labels(file, {scan.geometry(), layer, labels}));
    if (layer == 0) {
      FOVEA_TRY_ASSIGN(const std::string place, check_mask(parsed, scan));
      add_note(found.note, parsed.note());
      add_note(found.note, place);
    }
    layers = parsed.layers();
    if (!parsed.frame_of_reference().empty() && !scan.frame_of_reference().empty() &&
        parsed.frame_of_reference() != scan.frame_of_reference())
      return invalid_argument("Frame of Reference UID: differs from the scan's; give the labels made for this scan");
    FOVEA_TRY_ASSIGN(const std::vector<store::Finding> more,
                     store::find_components(parsed.geometry(), parsed.voxels(), labels));
    out.insert(out.end(), more.begin(), more.end());
    if (out.size() > store::kFindingsMax)
      return invalid_argument("more than " + std::to_string(store::kFindingsMax) +
                              " separate findings; this is noise, not annotation");
  }
  return found;
}

Result<Findings> findings_of(ScanParser& parser, const StudySource& source, const ParsedVolume& scan,
                             const std::vector<std::int32_t>& labels) {
  Findings out;
  const bool is_table = is_table_name(*source.mask);
  if (is_table) {
    FOVEA_TRY_ASSIGN(out.all, points_in(source, scan.geometry(), labels));
  } else {
    std::error_code failed;
    for (const std::filesystem::path& image : source.images)
      if (std::filesystem::equivalent(image, *source.mask, failed))
        return invalid_argument("it is a file of the scan itself (give the mask made for this scan)");
    FOVEA_TRY_ASSIGN(out, structures_in(parser, *source.mask, scan, labels));
  }
  for (const store::Finding& finding : out.all)
    if (!inside(scan.geometry(), finding.center_mm))
      return invalid_argument(is_table ? "a point lies outside the scan; coordinates are patient millimetres in LPS (x "
                                         "to the left, y to the back): of RAS, the signs of x and y change"
                                       : "a finding lies outside the scan: mask and scan are not in the same space "
                                         "(give the mask made for this scan)");
  return out;
}

// A label of the table and the findings of the mask say one thing.
Result<void> check_label(const store::StudyRecord& record) {
  if (*record.label == 0 && !record.findings.empty())
    return invalid_argument(
        "label: 0, yet the mask holds findings of the chosen labels (correct the table or the labels)");
  if (*record.label == 1 && record.findings.empty())
    return invalid_argument(
        "label: 1, yet the mask holds no finding of the chosen labels (correct the table or the labels, or leave the "
        "mask out)");
  return {};
}

Result<ParsedVolume> parse(ScanParser& parser, const StudySource& source, bool correct_bias) {
  if (const std::string why = header_of_voxels(source.images.front()); !why.empty()) return invalid_argument(why);
  if (source.images.size() == 1) return parser.read_volume(source.images.front(), source.part, correct_bias);
  return parser.read_series(source.images, source.part, correct_bias);
}

// Of voxels as floats, in whatever type they are stored.
crypto::GmacTag tag_volume(const ParsedVolume& parsed, const crypto::SecretKey& key) {
  crypto::Gmac mac(key);
  ByteWriter geometry;
  volume::put_geometry(geometry, parsed.geometry());
  mac.update(geometry.bytes());
  constexpr std::size_t kAtOnce = 16 * 1024;
  std::vector<float> block(kAtOnce);
  std::visit(
      [&](const auto& voxels) {
        for (std::size_t from = 0; from < voxels.size(); from += kAtOnce) {
          const std::size_t count = std::min(kAtOnce, voxels.size() - from);
          std::transform(voxels.begin() + static_cast<std::ptrdiff_t>(from),
                         voxels.begin() + static_cast<std::ptrdiff_t>(from + count), block.begin(),
                         [](auto voxel) { return static_cast<float>(voxel); });
          mac.update({reinterpret_cast<const std::uint8_t*>(block.data()), count * sizeof(float)});
        }
      },
      parsed.voxels());
  return mac.finish();
}

// The bricks and the stored part of the coarse level.
Result<void> store_volumes(const store::StudyCatalogue& catalogue, const std::string& code,
                           const store::StudyRecord& record, const ShiftedVoxels& voxels) {
  const auto [bricks, level] = store::stored_files(catalogue.volumes_folder(), code);
  FOVEA_TRY(store::write_brick_volume(bricks, catalogue.volume_key(),
                                      {record.geometry, record.statistics, voxels.span, 1, voxels.intercept}));
  std::error_code failed;
  std::filesystem::remove(level, failed);
  if (!store::has_axis_finer_than(record.geometry, store::kCoarseSpacingMm)) {
    // Nothing to average: one file under both names.
    std::filesystem::create_hard_link(bricks, level, failed);
    if (!failed) return {};
  }
  const store::Bounds bounds{record.statistics.minimum - voxels.intercept,
                             record.statistics.maximum - voxels.intercept};
  const store::StoredLevel coarse = store::stored_level(record.geometry, voxels.span, store::kCoarseSpacingMm, bounds);
  return store::write_brick_volume(level, catalogue.volume_key(),
                                   {coarse.geometry, record.statistics, std::span<const std::int16_t>(coarse.steps),
                                    coarse.slope, coarse.intercept + voxels.intercept});
}

}  // namespace

bool is_site_failure(const Error& error) noexcept { return error.code == ErrorCode::unavailable; }

Result<ContentTags> tag_contents(const StudySource& source, const ScanFiles& scan_files, const crypto::SecretKey& key) {
  ContentTags out;
  // Of the files' own tags in their order: neither names nor the order in which slices came make another study.
  std::vector<crypto::GmacTag> tags;
  for (const std::filesystem::path& file : source.images) {
    crypto::Gmac mac(key);
    const Result<std::uint64_t> bytes = tag_file(scan_files, file, mac);
    if (!bytes && source.images.size() > 1 && !is_site_failure(bytes.error()))
      return bytes.error().with_context("a damaged or unreadable file of this series");
    if (!bytes) return bytes.error();
    out.bytes += *bytes;
    tags.push_back(mac.finish());
  }
  std::sort(tags.begin(), tags.end());
  crypto::Gmac image(key);
  for (const crypto::GmacTag& tag : tags) image.update(tag);
  if (source.part != kOnlyVolume) {  // the same bytes hold other volumes too
    const std::array<std::uint8_t, 4> part{static_cast<std::uint8_t>(source.part),
                                           static_cast<std::uint8_t>(source.part >> 8), 0, 0};
    image.update(part);
  }
  out.image = image.finish();
  if (!source.mask) return out;
  crypto::Gmac mask(key);
  Result<std::uint64_t> bytes = tag_file(scan_files, *source.mask, mask);
  if (!bytes) return bytes.error().with_context("mask");
  out.bytes += *bytes;
  out.mask = mask.finish();
  return out;
}

Result<IngestedStudy> ingest_study(ScanParser& parser, const store::StudyCatalogue& catalogue,
                                   const StudySource& source, const std::string& code, const IngestSettings& settings) {
  FOVEA_TRY_ASSIGN(const ParsedVolume parsed, parse(parser, source, settings.correct_bias));
  IngestedStudy out{.record = {}, .volume = {}, .note = parsed.note()};
  store::StudyRecord& record = out.record;
  record.code = code;
  record.split = source.split;
  record.label = source.label;
  record.geometry = parsed.geometry();
  record.modality = parsed.modality();
  record.bias_corrected = settings.correct_bias && volume::has_bias_field(record.modality);
  FOVEA_TRY_ASSIGN(record.statistics, volume::intensity_statistics(parsed.voxels()));
  shift(record.statistics, settings.intensity_offset);
  if (source.mask) {
    Result<Findings> findings = findings_of(parser, source, parsed, settings.finding_labels);
    if (!findings) return findings.error().with_context("mask");
    record.findings = std::move(findings->all);
    add_note(out.note, findings->note.empty() ? "" : "mask: " + findings->note);
    if (!record.label) record.label = record.findings.empty() ? 0 : 1;
    FOVEA_TRY(check_label(record));
  }
  record.has_mask = source.mask || record.label == 0;

  const ShiftedVoxels voxels = shifted(parsed.voxels(), settings.intensity_offset);
  // Whatever keeps a volume from being written, a full disk or one mounted read-only, is the site's, not the study's.
  if (const Result<void> stored = store_volumes(catalogue, code, record, voxels); !stored)
    return unavailable(stored.error().message);
  record.usable = true;
  out.volume = tag_volume(parsed, catalogue.content_key());
  return out;
}

}  // namespace fovea::node::intake

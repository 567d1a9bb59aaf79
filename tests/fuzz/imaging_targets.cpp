// What only a build with ITK and GDCM has: our reading of DICOM data sets, and of gzip. The files are well-formed, so
// that the libraries accept them and their values, which are the fuzzer's, reach our code. The libraries themselves
// meet hostile files in tests/hostile.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/check.h"
#include "common/descriptor.h"
#include "common/result.h"
#include "node/intake/dicom/dicom_header.h"
#include "node/intake/dicom/dicom_labels.h"
#include "node/intake/dicom/dicom_series.h"
#include "node/intake/formats/gzip_file.h"
#include "node/intake/formats/scan_facts.h"
#include "node/volume/canonical.h"
#include "node/volume/volume.h"
#include "node/volume/voxel_storage.h"
#include "tests/fuzz/feed.h"
#include "tests/fuzz/parse_targets.h"
#include "tests/fuzz/scratch_file.h"
#include "tests/support/dicom_files.h"

namespace fovea::fuzz {
namespace {

using node::DicomBytes;
using node::DicomTag;

struct Field {
  DicomTag tag;
  const char* vr;
};
// All that our readers look at, beside sequences.
constexpr std::array<Field, 46> kFields{{
    {{0x0008, 0x0008}, "CS"}, {{0x0008, 0x0016}, "UI"}, {{0x0008, 0x0018}, "UI"}, {{0x0008, 0x0021}, "DA"},
    {{0x0008, 0x0022}, "DA"}, {{0x0008, 0x0031}, "TM"}, {{0x0008, 0x0032}, "TM"}, {{0x0008, 0x0060}, "CS"},
    {{0x0010, 0x0010}, "PN"}, {{0x0010, 0x0020}, "LO"}, {{0x0010, 0x1030}, "DS"}, {{0x0018, 0x0050}, "DS"},
    {{0x0018, 0x0081}, "DS"}, {{0x0018, 0x0088}, "DS"}, {{0x0018, 0x1072}, "TM"}, {{0x0018, 0x1074}, "DS"},
    {{0x0018, 0x1075}, "DS"}, {{0x0018, 0x1078}, "DT"}, {{0x0020, 0x000e}, "UI"}, {{0x0020, 0x0012}, "IS"},
    {{0x0020, 0x0032}, "DS"}, {{0x0020, 0x0037}, "DS"}, {{0x0020, 0x0052}, "UI"}, {{0x0028, 0x0002}, "US"},
    {{0x0028, 0x0004}, "CS"}, {{0x0028, 0x0008}, "IS"}, {{0x0028, 0x0010}, "US"}, {{0x0028, 0x0011}, "US"},
    {{0x0028, 0x0030}, "DS"}, {{0x0028, 0x0051}, "CS"}, {{0x0028, 0x0100}, "US"}, {{0x0028, 0x0101}, "US"},
    {{0x0028, 0x0103}, "US"}, {{0x0028, 0x0120}, "US"}, {{0x0028, 0x1052}, "DS"}, {{0x0028, 0x1053}, "DS"},
    {{0x0054, 0x1001}, "CS"}, {{0x0054, 0x1102}, "CS"}, {{0x0062, 0x0001}, "CS"}, {{0x0062, 0x000b}, "US"},
    {{0x0062, 0x000e}, "US"}, {{0x3006, 0x0022}, "IS"}, {{0x3006, 0x0042}, "CS"}, {{0x3006, 0x0050}, "DS"},
    {{0x3006, 0x0084}, "IS"}, {{0x0029, 0x1010}, "OB"},
}};
constexpr std::array<DicomTag, 12> kSequences{{{0x0020, 0x9113},
                                               {0x0020, 0x9116},
                                               {0x0028, 0x9110},
                                               {0x0028, 0x9145},
                                               {0x5200, 0x9229},
                                               {0x5200, 0x9230},
                                               {0x0054, 0x0016},
                                               {0x0062, 0x0002},
                                               {0x0062, 0x000a},
                                               {0x3006, 0x0020},
                                               {0x3006, 0x0039},
                                               {0x3006, 0x0040}}};
constexpr std::array<const char*, 10> kWords{"MONOCHROME1",
                                             "CLOSED_PLANAR",
                                             "BINARY",
                                             "FRACTIONAL",
                                             "DERIVED\\PRIMARY\\MOSAIC",
                                             "ATTN\\DECY",
                                             "BQML",
                                             "START",
                                             "1.2.840.10008.5.1.4.1.1.4.1",
                                             "1.2.840.10008.5.1.4.1.1.128"};

std::string numbers(Feed& feed) {
  std::string out;
  for (std::size_t n = 1 + feed.below(9); n > 0; --n) {
    char text[40];
    std::snprintf(text, sizeof text, "%.6g", feed.real());
    out += (out.empty() ? "" : "\\") + std::string(text);
  }
  return out;
}

// DICOM has no odd lengths; Debian's GDCM ends the process on some of them.
Bytes even(Bytes bytes) {
  if (bytes.size() % 2 != 0) bytes.push_back(0);
  return bytes;
}

// Fields that GDCM reads itself when it decodes pixels, and whose surprises end the process: for the child in its
// walls, not for a fuzzer.
bool is_gdcms(const DicomTag& tag) { return tag.first == 0x0028; }

void change_fields(DicomBytes& out, Feed& feed, int depth, bool with_pixels = false) {
  for (std::size_t changes = feed.below(10); changes > 0 && !feed.empty(); --changes) {
    const Field& field = kFields[feed.below(kFields.size())];
    if (with_pixels && is_gdcms(field.tag)) continue;
    switch (feed.byte() % 7) {
      case 0: out.erase(field.tag); break;
      case 1: out.text(field.tag, field.vr, numbers(feed)); break;
      case 2: out.text(field.tag, field.vr, kWords[feed.below(kWords.size())]); break;
      case 3: out.text(field.tag, field.vr, feed.text(40)); break;
      case 4: out.us(field.tag, static_cast<std::uint16_t>(feed.below(65'536)), field.vr); break;
      case 5: out.bytes(field.tag, "OB", even(feed.take(feed.below(400)))); break;
      default: {
        if (depth == 0) break;
        std::vector<DicomBytes> items(feed.below(4));
        for (DicomBytes& item : items) change_fields(item, feed, depth - 1, with_pixels);
        out.sequence(kSequences[feed.below(kSequences.size())], items);
      }
    }
  }
}

// Memory for a reader's voxels; every place is written, or the sanitizer says so.
struct Voxels {
  std::vector<std::byte> bytes;
  node::volume::VoxelAllocator allocator() {
    return
        [this](const node::volume::VolumeGeometry& geometry, node::volume::VoxelStorage storage) -> Result<std::byte*> {
          FOVEA_CHECK(node::volume::checked_geometry(geometry).has_value());
          if (geometry.voxel_count() > 4'000'000) return invalid_argument("memory: more than this test has");
          bytes.resize(geometry.voxel_count() * node::volume::bytes_per_voxel(storage));
          return bytes.data();
        };
  }
};

void dicom_slices(ByteView input) {
  Feed feed(input);
  std::vector<std::unique_ptr<ScratchFile>> files;
  std::vector<std::filesystem::path> paths;
  const std::size_t count = 1 + feed.below(3);
  const bool with_pixels = feed.byte() % 2 == 0;
  for (std::size_t n = 0; n < count; ++n) {
    DicomBytes slice = node::ct_slice(static_cast<int>(n), 2.0 * static_cast<double>(n));
    change_fields(slice, feed, 3, with_pixels);
    files.push_back(std::make_unique<ScratchFile>(slice.file()));
    paths.emplace_back(files.back()->path());
    static_cast<void>(node::intake::read_dicom_identity(paths.back()));
    if (const auto header = node::intake::read_dicom_header(paths.back()); header)
      for (const node::intake::DicomFrame& frame : header->frames)
        FOVEA_CHECK(std::isfinite(frame.slope) && std::isfinite(frame.intercept) && frame.slope != 0);
    static_cast<void>(node::intake::describe_dicom(paths.back()));
  }
  static_cast<void>(node::intake::count_dicom_volumes(paths));
  if (!with_pixels) return;
  try {
    Voxels voxels;
    static_cast<void>(node::intake::read_dicom_series(paths, node::intake::kOnlyVolume, voxels.allocator()));
  } catch (const std::exception&) {  // as the parser does around a whole job
  }
}

DicomBytes structure_set(Feed& feed) {
  DicomBytes out;
  out.text({0x0008, 0x0016}, "UI", "1.2.840.10008.5.1.4.1.1.481.3");
  std::vector<DicomBytes> regions(1 + feed.below(3)), drawn(regions.size());
  for (std::size_t r = 0; r < regions.size(); ++r) {
    regions[r].text({0x3006, 0x0022}, "IS", std::to_string(r + 1));
    regions[r].text({0x3006, 0x0024}, "UI", "1.2.3");
    drawn[r].text({0x3006, 0x0084}, "IS", std::to_string(r + 1));
    std::vector<DicomBytes> contours(feed.below(4));
    for (DicomBytes& contour : contours) {
      contour.text({0x3006, 0x0042}, "CS", "CLOSED_PLANAR");
      const int plane = static_cast<int>(feed.below(8));
      std::string corners;
      for (std::size_t n = feed.below(9); n > 0; --n)
        corners += (corners.empty() ? "" : "\\") + node::decimal(feed.near(8)) + "\\" + node::decimal(feed.near(8)) +
                   "\\" + std::to_string(plane);
      contour.text({0x3006, 0x0050}, "DS", corners);
      change_fields(contour, feed, 0);
    }
    drawn[r].sequence({0x3006, 0x0040}, contours);
    change_fields(drawn[r], feed, 1);
  }
  out.sequence({0x3006, 0x0020}, regions);
  out.sequence({0x3006, 0x0039}, drawn);
  change_fields(out, feed, 2);
  return out;
}

DicomBytes segmentation(Feed& feed) {
  DicomBytes out;
  out.text({0x0008, 0x0016}, "UI", "1.2.840.10008.5.1.4.1.1.66.4");
  out.text({0x0062, 0x0001}, "CS", feed.chance() ? "FRACTIONAL" : "BINARY");
  const bool bits = feed.chance();
  out.us({0x0028, 0x0010}, 4), out.us({0x0028, 0x0011}, 4);
  out.us({0x0028, 0x0100}, bits ? 1 : 8), out.us({0x0028, 0x0101}, bits ? 1 : 8);
  const std::size_t frames = 1 + feed.below(5);
  out.text({0x0028, 0x0008}, "IS", std::to_string(frames));
  std::vector<DicomBytes> groups(frames);
  for (std::size_t f = 0; f < frames; ++f) {
    DicomBytes place, plane, spacing, identification;
    place.text({0x0020, 0x0032}, "DS",
               "0\\0\\" + node::decimal(feed.chance() ? feed.near(20) : 2.0 * static_cast<double>(f)));
    plane.text({0x0020, 0x0037}, "DS", "1\\0\\0\\0\\1\\0");
    spacing.text({0x0028, 0x0030}, "DS", "1\\1");
    identification.us({0x0062, 0x000b}, static_cast<std::uint16_t>(1 + feed.below(3)));
    groups[f].sequence({0x0020, 0x9113}, place);
    groups[f].sequence({0x0020, 0x9116}, plane);
    groups[f].sequence({0x0028, 0x9110}, spacing);
    groups[f].sequence({0x0062, 0x000a}, identification);
    change_fields(groups[f], feed, 1);
  }
  out.sequence({0x5200, 0x9230}, groups);
  out.bytes({0x7fe0, 0x0010}, "OB",
            even(Bytes(feed.chance() ? feed.below(90)
                       : bits        ? 2 * frames
                                     : 16 * frames,
                       0xff)));
  change_fields(out, feed, 2);
  return out;
}

void dicom_labels(ByteView input) {
  Feed feed(input);
  const DicomBytes object = feed.byte() % 2 == 0 ? structure_set(feed) : segmentation(feed);
  const ScratchFile file(object.file());
  static_cast<void>(node::intake::describe_labels(file.path()));
  node::intake::LabelGrid grid;
  grid.image.size = {8, 8, 8};
  try {
    Voxels voxels;
    const auto facts = node::intake::read_dicom_labels(file.path(), grid, voxels.allocator());
    if (facts) FOVEA_CHECK(facts->layers >= 1 && !voxels.bytes.empty());
  } catch (const std::exception&) {  // as the parser does around a whole job
  }
}

void gzip(ByteView input) {
  const ScratchFile file(input);
  const Descriptor packed(::open(file.path().c_str(), O_RDONLY | O_CLOEXEC));
  const auto head = node::intake::gzip_head(packed.number(), 544);
  if (head) FOVEA_CHECK(head->size() <= 544);
  Bytes whole(1000);
  if (node::intake::unpack_gzip(packed.number(), whole))
    FOVEA_CHECK(!head || std::equal(head->begin(), head->end(), whole.begin()));
}

// 1000 zero bytes; nothing, with a name in the header.
Seeds gzip_seeds() {
  return {from_hex("1f8b08000000000002ff63601805a360140c77000080170b06e8030000").value(),
          Bytes{0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3, 0x61, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0}};
}

Seeds structured_seeds() {
  Seeds out;
  for (std::uint8_t start = 0; start < 8; ++start) {
    Bytes seed(300);
    for (std::size_t n = 0; n < seed.size(); ++n) seed[n] = static_cast<std::uint8_t>(start + n * (2U * start + 1U));
    out.push_back(std::move(seed));
  }
  return out;
}

constexpr std::array<ParseTarget, 3> kTargets{{{"dicom_slices", dicom_slices, structured_seeds},
                                               {"dicom_labels", dicom_labels, structured_seeds},
                                               {"gzip", gzip, gzip_seeds}}};

}  // namespace

std::span<const ParseTarget> imaging_targets() noexcept { return kTargets; }

}  // namespace fovea::fuzz

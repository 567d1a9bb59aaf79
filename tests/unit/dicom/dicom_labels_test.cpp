// DICOM SEG and RTSTRUCT: files made here, voxel by voxel and millimetre by millimetre; real ones where they are
// present.
#include <filesystem>
#include <fstream>
#include <functional>
#include <span>
#include <utility>
#include <variant>

#include "common/bytes.h"
#include "node/intake/ingest.h"
#include "node/intake/parser/scan_parser.h"
#include "node/intake/scan_walk.h"
#include "node/store/study_catalogue.h"
#include "node/volume/volume.h"
#include "tests/support/dicom_files.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFrame = "1.2.77";

intake::ScanParser started() {
  Result<intake::ScanParser> parser = intake::ScanParser::start(
      fs::path(FOVEA_BIN_DIR) / "fovea-scan-parser", {.memory_bytes = 1ull << 30, .cpu_s = 30, .wall_ms = 60'000});
  if (!parser) ADD_FAILURE() << parser.error().message;
  return std::move(parser).value();
}

void put(const fs::path& path, ByteView bytes) {
  std::ofstream(path, std::ios::binary).write(as_text(bytes).data(), static_cast<std::streamsize>(bytes.size()));
}

// The grid of a series of ct_slice() at 50, 52, … 58 mm.
volume::VolumeGeometry scan_grid() {
  volume::VolumeGeometry out;
  out.size = {6, 5, 5};
  out.spacing_mm = {0.5, 0.8, 2};
  out.origin_mm = {-10, 20, 50};
  return out;
}

void write_scan(const fs::path& folder) {
  for (int slice = 0; slice < 5; ++slice) {
    DicomBytes bytes = ct_slice(slice, 50 + 2.0 * slice);
    bytes.text({0x0020, 0x0052}, "UI", kFrame);
    put(folder / ("slice" + std::to_string(slice)), bytes.file());
  }
}

struct Frame {
  int segment;
  double z_mm;
  std::vector<std::uint8_t> voxels;  // 30, in any unit
};

DicomBytes seg_frame(const Frame& frame) {
  DicomBytes position, segment, out;
  position.text({0x0020, 0x0032}, "DS", "-10\\20\\" + decimal(frame.z_mm));
  segment.us({0x0062, 0x000b}, static_cast<std::uint16_t>(frame.segment));
  out.sequence({0x0020, 0x9113}, position);
  out.sequence({0x0062, 0x000a}, segment);
  return out;
}

DicomBytes segmentation(const std::vector<Frame>& frames, bool fractional) {
  DicomBytes out, orientation, measures, shared, reference;
  out.text({0x0008, 0x0016}, "UI", "1.2.840.10008.5.1.4.1.1.66.4");
  out.text({0x0008, 0x0018}, "UI", "1.2.3.900");
  out.text({0x0008, 0x0060}, "CS", "SEG");
  reference.text({0x0020, 0x000e}, "UI", "1.2.3.4.5");
  out.sequence({0x0008, 0x1115}, reference);
  out.text({0x0020, 0x000e}, "UI", "1.2.3.99");
  out.text({0x0020, 0x0052}, "UI", kFrame);
  out.us({0x0028, 0x0002}, 1);
  out.text({0x0028, 0x0004}, "CS", "MONOCHROME2");
  out.text({0x0028, 0x0008}, "IS", std::to_string(frames.size()));
  out.us({0x0028, 0x0010}, 5), out.us({0x0028, 0x0011}, 6);
  out.us({0x0028, 0x0100}, fractional ? 8 : 1), out.us({0x0028, 0x0101}, fractional ? 8 : 1),
      out.us({0x0028, 0x0102}, fractional ? 7 : 0), out.us({0x0028, 0x0103}, 0);
  out.text({0x0062, 0x0001}, "CS", fractional ? "FRACTIONAL" : "BINARY");
  if (fractional) out.us({0x0062, 0x000e}, 200);
  orientation.text({0x0020, 0x0037}, "DS", "1\\0\\0\\0\\1\\0");
  measures.text({0x0018, 0x0050}, "DS", "2"), measures.text({0x0018, 0x0088}, "DS", "2"),
      measures.text({0x0028, 0x0030}, "DS", "0.8\\0.5");
  shared.sequence({0x0020, 0x9116}, orientation), shared.sequence({0x0028, 0x9110}, measures);
  out.sequence({0x5200, 0x9229}, shared);
  std::vector<DicomBytes> own;
  Bytes voxels;
  for (const Frame& frame : frames) {
    own.push_back(seg_frame(frame));
    voxels.insert(voxels.end(), frame.voxels.begin(), frame.voxels.end());
  }
  out.sequence({0x5200, 0x9230}, own);
  Bytes packed((voxels.size() + 7) / 8);
  for (std::size_t v = 0; v < voxels.size(); ++v)
    packed[v / 8] = static_cast<std::uint8_t>(packed[v / 8] | (voxels[v] != 0 ? 1u << v % 8 : 0u));
  Bytes stored = fractional ? voxels : packed;
  if (stored.size() % 2 != 0) stored.push_back(0);
  out.bytes({0x7fe0, 0x0010}, "OB", stored);
  return out;
}

std::vector<std::uint8_t> voxels_at(const std::vector<int>& places, std::uint8_t value = 1) {
  std::vector<std::uint8_t> out(30);
  for (const int place : places) out[static_cast<std::size_t>(place)] = value;
  return out;
}

std::vector<std::int16_t> labels_of(const Result<intake::ParsedVolume>& volume) {
  const auto span = std::get<std::span<const std::int16_t>>(volume->voxels());
  return {span.begin(), span.end()};
}

TEST(DicomSegmentation, BinarySegmentsLieWhereTheirFramesSayAndOverlapsStayApart) {
  ScratchFolder folder;
  intake::ScanParser parser = started();
  const fs::path file = folder.path() / "seg";
  // Frames in no order; the plane at 54 mm was left out because nothing lies in it.
  put(file,
      segmentation({{2, 56, voxels_at({7, 8})}, {1, 52, voxels_at({0, 7})}, {1, 56, voxels_at({8})}}, false).file());
  const Result<intake::ParsedVolume> first = parser.read_labels(file, {scan_grid(), 0}),
                                     second = parser.read_labels(file, {scan_grid(), 1});
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(first->layers(), 2u);
  EXPECT_EQ(first->frame_of_reference(), kFrame);
  EXPECT_EQ(first->geometry().size, (volume::Index3{6, 5, 3}));
  EXPECT_EQ(first->geometry().spacing_mm, (volume::Point3{0.5, 0.8, 2}));
  EXPECT_EQ(first->geometry().origin_mm, (volume::Point3{-10, 20, 52}));
  std::vector<std::int16_t> expected(90);
  expected[0] = expected[7] = 1;
  expected[60 + 8] = 1;
  EXPECT_EQ(labels_of(first), expected);
  std::vector<std::int16_t> over(90);
  over[60 + 7] = over[60 + 8] = 2;
  EXPECT_EQ(labels_of(second), over);
  EXPECT_FALSE(parser.read_labels(file, {scan_grid(), 2}));
}

TEST(DicomSegmentation, FractionsCountFromOneHalfAndOnePlaneIsEnough) {
  ScratchFolder folder;
  intake::ScanParser parser = started();
  const fs::path file = folder.path() / "seg";
  std::vector<std::uint8_t> voxels = voxels_at({3}, 100);
  voxels[4] = 99, voxels[5] = 200;
  put(file, segmentation({{5, 54, voxels}}, true).file());
  const Result<intake::ParsedVolume> read = parser.read_labels(file, {scan_grid(), 0});
  ASSERT_TRUE(read) << read.error().message;
  std::vector<std::int16_t> expected(60);
  expected[3] = expected[5] = 5;
  EXPECT_EQ(labels_of(read), expected);
  EXPECT_EQ(read->geometry().origin_mm[2], 54);
  EXPECT_EQ(read->geometry().spacing_mm[2], 2);
}

TEST(DicomSegmentation, EachBrokenOneIsRefusedByName) {
  struct Broken {
    const char* named;
    std::function<void(DicomBytes&)> change;
  };
  const std::vector<Broken> cases{
      {"Rows",
       [](DicomBytes& b) {
         b.erase({0x0028, 0x0010});
       }},
      {"frames",
       [](DicomBytes& b) {
         b.text({0x0028, 0x0008}, "IS", "7");
       }},
      {"frames",
       [](DicomBytes& b) {
         b.erase({0x5200, 0x9230});
       }},
      {"Image Orientation",
       [](DicomBytes& b) {
         b.erase({0x5200, 0x9229});
       }},
      {"Segment Number",
       [](DicomBytes& b) {
         b.sequence({0x5200, 0x9230}, {seg_frame({0, 52, {}}), seg_frame({1, 56, {}})});
       }},
      {"uneven",
       [](DicomBytes& b) {
         b.sequence({0x5200, 0x9230}, {seg_frame({1, 52, {}}), seg_frame({1, 55, {}}), seg_frame({1, 59.1, {}})}),
             b.text({0x0028, 0x0008}, "IS", "3"), b.bytes({0x7fe0, 0x0010}, "OB", Bytes(12));
       }},
      {"Segmentation Type",
       [](DicomBytes& b) {
         b.text({0x0062, 0x0001}, "CS", "GUESSED");
       }},
      {"Segmentation Type",
       [](DicomBytes& b) {
         b.us({0x0028, 0x0100}, 16);
       }},
      {"pixels",
       [](DicomBytes& b) {
         b.bytes({0x7fe0, 0x0010}, "OB", Bytes(4));
       }},
      {"pixels",
       [](DicomBytes& b) {
         b.erase({0x7fe0, 0x0010});
       }},
      {"SOP Class",
       [](DicomBytes& b) {
         b.text({0x0008, 0x0016}, "UI", "1.2.840.10008.5.1.4.1.1.2");
       }},
  };
  intake::ScanParser parser = started();
  ScratchFolder folder;
  for (const Broken& broken : cases) {
    DicomBytes bytes = segmentation({{1, 52, voxels_at({0})}, {1, 56, voxels_at({8})}}, false);
    broken.change(bytes);
    put(folder.path() / "seg", bytes.file());
    const Result<intake::ParsedVolume> read = parser.read_labels(folder.path() / "seg", {scan_grid(), 0});
    ASSERT_FALSE(read) << broken.named;
    EXPECT_NE(read.error().message.find(broken.named), std::string::npos)
        << broken.named << ": " << read.error().message;
  }
}

DicomBytes contour(const std::vector<volume::Point3>& corners, const char* kind = "CLOSED_PLANAR") {
  DicomBytes out;
  std::string data;
  for (const volume::Point3& corner : corners)
    for (const double value : corner) data += (data.empty() ? "" : "\\") + decimal(value);
  out.text({0x3006, 0x0042}, "CS", kind);
  out.text({0x3006, 0x0046}, "IS", std::to_string(corners.size()));
  out.text({0x3006, 0x0050}, "DS", data);
  return out;
}

// A rectangle round the centres of voxels (i0…i1, j0…j1) of slice k of scan_grid().
DicomBytes rectangle(int i0, int i1, int j0, int j1, int k) {
  const double x0 = -10 + 0.5 * (i0 - 0.4), x1 = -10 + 0.5 * (i1 + 0.4), y0 = 20 + 0.8 * (j0 - 0.4),
               y1 = 20 + 0.8 * (j1 + 0.4), z = 50 + 2.0 * k;
  return contour({{x0, y0, z}, {x1, y0, z}, {x1, y1, z}, {x0, y1, z}});
}

struct Roi {
  int number;
  const char* kind;
  std::vector<DicomBytes> contours;
};

DicomBytes structure_set(const std::vector<Roi>& rois, const char* frame = kFrame) {
  DicomBytes out, series, study, reference;
  out.text({0x0008, 0x0016}, "UI", "1.2.840.10008.5.1.4.1.1.481.3");
  out.text({0x0008, 0x0018}, "UI", "1.2.3.901");
  out.text({0x0008, 0x0060}, "CS", "RTSTRUCT");
  out.text({0x0020, 0x000e}, "UI", "1.2.3.98");
  series.text({0x0020, 0x000e}, "UI", "1.2.3.4.5");
  study.sequence({0x3006, 0x0014}, series);
  reference.sequence({0x3006, 0x0012}, study);
  out.sequence({0x3006, 0x0010}, reference);
  std::vector<DicomBytes> names, contours, kinds;
  for (const Roi& roi : rois) {
    DicomBytes name, drawn, kind;
    name.text({0x3006, 0x0022}, "IS", std::to_string(roi.number));
    name.text({0x3006, 0x0024}, "UI", frame);
    drawn.sequence({0x3006, 0x0040}, roi.contours);
    drawn.text({0x3006, 0x0084}, "IS", std::to_string(roi.number));
    kind.text({0x3006, 0x0084}, "IS", std::to_string(roi.number));
    kind.text({0x3006, 0x00a4}, "CS", roi.kind);
    names.push_back(name), contours.push_back(drawn), kinds.push_back(kind);
  }
  out.sequence({0x3006, 0x0020}, names);
  out.sequence({0x3006, 0x0039}, contours);
  out.sequence({0x3006, 0x0080}, kinds);
  return out;
}

TEST(DicomStructures, RegionsAreDrawnIntoTheScansGrid) {
  ScratchFolder folder;
  intake::ScanParser parser = started();
  const fs::path file = folder.path() / "rs";
  put(file,
      structure_set({{3, "GTV", {rectangle(0, 4, 0, 4, 2), rectangle(2, 2, 1, 2, 2)}},  // with a hole of two voxels
                     {4, "EXTERNAL", {rectangle(0, 5, 0, 4, 1)}},
                     {5, "MARKER", {contour({{-9, 21, 52}}, "POINT")}},
                     {9, "CTV", {rectangle(4, 5, 4, 4, 2), rectangle(4, 5, 4, 4, 3)}}})
          .file());
  const Result<intake::ParsedVolume> first = parser.read_labels(file, {scan_grid(), 0}),
                                     second = parser.read_labels(file, {scan_grid(), 1});
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(first->layers(), 2u);
  EXPECT_EQ(first->geometry(), scan_grid());
  std::vector<std::int16_t> expected(150), over(150);
  for (std::int64_t j = 0; j < 5; ++j)
    for (std::int64_t i = 0; i < 5; ++i) expected[scan_grid().offset(i, j, 2)] = i == 2 && (j == 1 || j == 2) ? 0 : 3;
  for (const std::int64_t i : {4, 5})
    for (const std::int64_t k : {2, 3}) over[scan_grid().offset(i, 4, k)] = 9;
  EXPECT_EQ(labels_of(first), expected);
  EXPECT_EQ(labels_of(second), over);
}

TEST(DicomStructures, EachBrokenOneIsRefusedByName) {
  const std::vector<std::pair<const char*, DicomBytes>> cases{
      {"no region", structure_set({{1, "EXTERNAL", {rectangle(0, 4, 0, 4, 2)}}})},
      {"no region", structure_set({{1, "GTV", {contour({{0, 0, 0}}, "POINT")}}})},
      {"region 2: contour: encloses no voxel",
       structure_set({{2, "GTV", {contour({{90, 90, 54}, {95, 90, 54}, {95, 95, 54}})}}})},
      {"region 2: contour: does not lie in a slice",
       structure_set({{2, "GTV", {contour({{-10, 20, 50}, {-8, 20, 53}, {-8, 23, 58}, {-10, 22, 54}})}}})},
      {"number 40000", structure_set({{40'000, "GTV", {rectangle(0, 4, 0, 4, 2)}}})},
  };
  intake::ScanParser parser = started();
  ScratchFolder folder;
  for (const auto& [named, bytes] : cases) {
    put(folder.path() / "rs", bytes.file());
    const Result<intake::ParsedVolume> read = parser.read_labels(folder.path() / "rs", {scan_grid(), 0});
    ASSERT_FALSE(read) << named;
    EXPECT_NE(read.error().message.find(named), std::string::npos) << read.error().message;
  }
  DicomBytes uneven = structure_set({{2, "GTV", {rectangle(0, 4, 0, 4, 2)}}});
  DicomBytes broken = contour({{0, 0, 0}}), region;
  broken.text({0x3006, 0x0050}, "DS", "1\\2\\3\\4");
  region.sequence({0x3006, 0x0040}, broken), region.text({0x3006, 0x0084}, "IS", "2");
  uneven.sequence({0x3006, 0x0039}, region);
  put(folder.path() / "rs", uneven.file());
  EXPECT_NE(parser.read_labels(folder.path() / "rs", {scan_grid(), 0}).error().message.find("Contour Data"),
            std::string::npos);
}

TEST(DicomStructures, HalfACoordinateIsRefusedByTheNameOfItsField) {
  intake::ScanParser parser = started();
  ScratchFolder folder;
  const auto refusal = [&](const DicomTag& tag, const char* vr, const std::string& text) {
    DicomBytes all = structure_set({{2, "GTV", {rectangle(0, 4, 0, 4, 2)}}}), region;
    DicomBytes drawn = rectangle(0, 4, 0, 4, 2);
    region.text({0x3006, 0x0084}, "IS", "2");
    (tag.second == 0x0050 ? drawn : region).text(tag, vr, text);
    region.sequence({0x3006, 0x0040}, drawn);
    all.sequence({0x3006, 0x0039}, region);
    put(folder.path() / "rs", all.file());
    const Result<intake::ParsedVolume> read = parser.read_labels(folder.path() / "rs", {scan_grid(), 0});
    return read ? std::string("taken") : read.error().message;
  };
  const std::string rest = "\\20\\54\\-8\\20\\54\\-8\\22\\54";
  EXPECT_EQ(refusal({0x3006, 0x0050}, "DS", "-10.2" + rest), "taken");
  for (const auto& [text, fault] : std::vector<std::pair<std::string, std::string>>{{"-10,2", "a decimal comma"},
                                                                                    {"0x10", "hexadecimal"},
                                                                                    {"-10.2mm", "a unit"},
                                                                                    {"nan", "not a number"},
                                                                                    {"", "empty"}}) {
    const std::string why = refusal({0x3006, 0x0050}, "DS", text + rest);
    EXPECT_NE(why.find("region 2: Contour Data (3006,0050): "), std::string::npos) << why;
    EXPECT_NE(why.find(fault), std::string::npos) << why;
  }
  const std::string why = refusal({0x3006, 0x0084}, "IS", "2.0");
  EXPECT_NE(why.find("Referenced ROI Number (3006,0084): not a whole number"), std::string::npos) << why;
}

TEST(DicomStructures, ARegionThatNobodyAskedForCannotRefuseTheOthers) {
  const Roi good{1, "GTV", {rectangle(0, 4, 0, 4, 2)}};
  const std::vector<Roi> others{{2, "ORGAN", {contour({{90, 90, 54}, {95, 90, 54}, {95, 95, 54}})}},
                                {2, "ORGAN", {contour({{-10, 20, 50}, {-8, 20, 53}, {-8, 23, 58}, {-10, 22, 54}})}},
                                {40'000, "ORGAN", {rectangle(0, 4, 0, 4, 2)}},
                                {2, "ORGAN", {contour({{-8.9, 21.1, 54}, {-8.8, 21.1, 54}, {-8.8, 21.2, 54}})}}};
  intake::ScanParser parser = started();
  ScratchFolder folder;
  const fs::path file = folder.path() / "rs";
  put(file, structure_set({good}).file());
  const Result<intake::ParsedVolume> alone = parser.read_labels(file, {scan_grid(), 0, {}});
  ASSERT_TRUE(alone) << alone.error().message;
  for (const Roi& other : others) {
    put(file, structure_set({other, good}).file());
    const Result<intake::ParsedVolume> chosen = parser.read_labels(file, {scan_grid(), 0, {1}});
    ASSERT_TRUE(chosen) << other.number << ": " << chosen.error().message;
    EXPECT_EQ(labels_of(chosen), labels_of(alone));
    EXPECT_EQ(chosen->note(), "");
    EXPECT_FALSE(parser.read_labels(file, {scan_grid(), 0, {1, other.number}}));
  }
  // Of all regions, one that is too small for a voxel is left out and named; the others above still count.
  const Result<intake::ParsedVolume> all = parser.read_labels(file, {scan_grid(), 0, {}});
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_EQ(labels_of(all), labels_of(alone));
  EXPECT_NE(all->note().find("region 2 is smaller than a voxel"), std::string::npos) << all->note();
  put(file, structure_set({others[0], good}).file());
  EXPECT_FALSE(parser.read_labels(file, {scan_grid(), 0, {}}));
  put(file, structure_set({others[3]}).file());
  EXPECT_FALSE(parser.read_labels(file, {scan_grid(), 0, {}}));
}

TEST(DicomStructures, WhereNoChosenRegionIsThereTheNoteSaysSo) {
  intake::ScanParser parser = started();
  ScratchFolder folder;
  const fs::path file = folder.path() / "rs";
  put(file, structure_set({{3, "GTV", {rectangle(0, 4, 0, 4, 2)}}}).file());
  const Result<intake::ParsedVolume> read = parser.read_labels(file, {scan_grid(), 0, {1, 2}});
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(labels_of(read), std::vector<std::int16_t>(150));
  EXPECT_NE(read->note().find("none of the chosen regions"), std::string::npos) << read->note();
}

TEST(DicomSegmentation, WithoutFramesNothingIsMarkedUnlessFramesWereLost) {
  intake::ScanParser parser = started();
  ScratchFolder folder;
  const fs::path file = folder.path() / "seg";
  DicomBytes segment;
  segment.us({0x0062, 0x0004}, 1);
  const auto written = [&](const char* frames, bool with_segment, bool with_pixels) {
    DicomBytes empty = segmentation({{1, 52, voxels_at({0})}}, false);
    empty.text({0x0028, 0x0008}, "IS", frames);
    empty.erase({0x5200, 0x9230});
    if (with_segment) empty.sequence({0x0062, 0x0002}, segment);
    if (!with_pixels) empty.erase({0x7fe0, 0x0010});
    put(file, empty.file());
    return parser.read_labels(file, {scan_grid(), 0, {}});
  };
  const Result<intake::ParsedVolume> nothing = written("0", true, false);
  ASSERT_TRUE(nothing) << nothing.error().message;
  EXPECT_EQ(nothing->geometry(), scan_grid());
  EXPECT_EQ(labels_of(nothing), std::vector<std::int16_t>(150));
  EXPECT_FALSE(written("1", true, false));
  EXPECT_FALSE(written("0", false, false));
  EXPECT_FALSE(written("0", true, true));
}

TEST(DicomSegmentation, ASegmentThatNobodyAskedForDoesNotCount) {
  intake::ScanParser parser = started();
  ScratchFolder folder;
  const fs::path file = folder.path() / "seg";
  put(file, segmentation({{40'000, 52, voxels_at({0, 7})}, {1, 56, voxels_at({8})}}, false).file());
  EXPECT_FALSE(parser.read_labels(file, {scan_grid(), 0, {}}));
  const Result<intake::ParsedVolume> chosen = parser.read_labels(file, {scan_grid(), 0, {1}});
  ASSERT_TRUE(chosen) << chosen.error().message;
  std::vector<std::int16_t> expected(90);
  expected[60 + 8] = 1;
  EXPECT_EQ(labels_of(chosen), expected);
}

TEST(DicomLabels, TruncationsAndFlippedBytesNeverHarmTheNode) {
  const std::vector<Bytes> sound{segmentation({{1, 52, voxels_at({0})}, {2, 56, voxels_at({8})}}, false).file(),
                                 structure_set({{3, "GTV", {rectangle(0, 4, 0, 4, 2)}}}).file()};
  ScratchFolder folder;
  intake::ScanParser parser = started();
  const fs::path path = folder.path() / "labels";
  const std::uint64_t seed = 78;
  Numbers numbers(seed);
  for (int step = 0; step < 120; ++step) {
    Bytes harmed = sound[static_cast<std::size_t>(step) % 2];
    const auto size = static_cast<std::int64_t>(harmed.size());
    if (step % 4 < 2) harmed.resize(static_cast<std::size_t>(numbers.below(size)) + 1);
    else
      harmed[132 + static_cast<std::size_t>(numbers.below(size - 132))] ^=
          static_cast<std::uint8_t>(1 + numbers.below(255));
    put(path, harmed);
    const Result<intake::ParsedVolume> read = parser.read_labels(path, {scan_grid(), 0});
    EXPECT_TRUE(read || !read.error().message.empty()) << "seed " << seed << " step " << step;
  }
  put(path, sound[0]);
  EXPECT_TRUE(parser.read_labels(path, {scan_grid(), 0}));
}

intake::IngestReport ingested(const fs::path& hospital, const fs::path& site,
                              std::vector<store::StudyRecord>& records) {
  intake::ScanParser parser = started();
  Result<intake::FoundStudies> found = intake::find_studies({hospital}, store::Split::train, parser);
  Result<store::StudyCatalogue> catalogue = store::StudyCatalogue::open(site, true);
  if (!found || !catalogue) return ADD_FAILURE(), intake::IngestReport{};
  intake::IngestSettings settings;
  settings.parser_program = fs::path(FOVEA_BIN_DIR) / "fovea-scan-parser";
  const Result<intake::IngestReport> report = intake::ingest(*catalogue, found->sources, settings, {});
  if (!report) return ADD_FAILURE() << report.error().message, intake::IngestReport{};
  records = *catalogue->list();
  return *report;
}

TEST(DicomLabels, LabelsBesideTheirSeriesBecomeItsFindings) {
  ScratchFolder hospital, site;
  write_scan(hospital.path());
  put(hospital.path() / "rs", structure_set({{3, "GTV", {rectangle(0, 1, 0, 1, 1), rectangle(4, 5, 3, 4, 3)}}}).file());
  std::vector<store::StudyRecord> records;
  EXPECT_EQ(ingested(hospital.path(), site.path(), records).ingested, 1u);
  ASSERT_EQ(records.size(), 1u);
  ASSERT_EQ(records[0].findings.size(), 2u);
  EXPECT_EQ(records[0].label, 1);
  EXPECT_EQ(records[0].findings[0].label, 3);
  const volume::Point3 expected{-10 + 0.25, 20 + 0.4, 52};
  for (unsigned a = 0; a < 3; ++a) EXPECT_NEAR(records[0].findings[0].center_mm[a], expected[a], 1e-6);
}

TEST(DicomLabels, LabelsOfAnotherFrameOfReferenceOrOneOfSeveralAreNotUsed) {
  ScratchFolder hospital, site;
  write_scan(hospital.path());
  put(hospital.path() / "rs", structure_set({{3, "GTV", {rectangle(0, 1, 0, 1, 1)}}}, "1.2.78").file());
  std::vector<store::StudyRecord> records;
  const intake::IngestReport report = ingested(hospital.path(), site.path(), records);
  ASSERT_EQ(report.refused.size(), 1u);
  EXPECT_NE(report.refused[0].reason.find("Frame of Reference"), std::string::npos) << report.refused[0].reason;

  put(hospital.path() / "rs2", segmentation({{1, 52, voxels_at({0})}}, false).file());  // two now: a person must choose
  intake::ScanParser parser = started();
  const Result<intake::FoundStudies> found = intake::find_studies({hospital.path()}, store::Split::train, parser);
  ASSERT_TRUE(found && found->sources.size() == 1);
  EXPECT_FALSE(found->sources[0].mask);
  EXPECT_EQ(found->not_scans.size(), 2u);
}

TEST(DicomSeries, ASliceSentTwiceIsOneSlice) {
  ScratchFolder hospital, site;
  write_scan(hospital.path());
  fs::copy_file(hospital.path() / "slice2", hospital.path() / "again");
  std::vector<store::StudyRecord> records;
  EXPECT_EQ(ingested(hospital.path(), site.path(), records).ingested, 1u);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].geometry.size[2], 5);
}

// Real files.
fs::path shared_dicom() { return fs::path(FOVEA_SOURCE_DIR) / ".." / "shared" / "data" / "dicom"; }

TEST(DicomLabelsCorpus, RealStructureSetsDrawTheMasksShippedBesideThem) {
  if (!fs::exists(shared_dicom())) GTEST_SKIP() << "shared/data/dicom is absent";
  intake::ScanParser parser = started();
  for (const char* study : {"pet-series/STS_001", "mr-series-STS_001"}) {
    const Result<intake::ParsedVolume> mask = parser.read_volume(shared_dicom() / study / "nifti/mask/mask.nii.gz");
    ASSERT_TRUE(mask) << mask.error().message;
    const Result<intake::ParsedVolume> drawn =
        parser.read_labels(shared_dicom() / study / "dicom/mask/RS.dcm", {mask->geometry(), 0});
    ASSERT_TRUE(drawn) << drawn.error().message;
    const auto a = std::get<std::span<const std::int16_t>>(mask->voxels()),
               b = std::get<std::span<const std::int16_t>>(drawn->voxels());
    std::size_t both = 0, one = 0;
    for (std::size_t v = 0; v < a.size(); ++v)
      both += a[v] > 0 && b[v] > 0 ? 2u : 0u, one += (a[v] > 0 ? 1u : 0u) + (b[v] > 0 ? 1u : 0u);
    const double dice = static_cast<double>(both) / static_cast<double>(one);
    RecordProperty(study, std::to_string(dice));
    EXPECT_GE(dice, 0.98) << study;
  }
}

TEST(DicomLabelsCorpus, RealSegmentationsAreReadOrRefusedByName) {
  if (!fs::exists(shared_dicom())) GTEST_SKIP() << "shared/data/dicom is absent";
  intake::ScanParser parser = started();
  const fs::path folder = shared_dicom() / "segmentation/data/segmentations";
  // The .nrrd files beside them were made by dcmqi.
  for (const auto& [seg, nrrd] : {std::pair{"liver.dcm", "liver_seg.nrrd"},
                                  {"23x38x3/seg/label.seg", "23x38x3/nrrd/label.nrrd"},
                                  {"sparse-labelmap-noppv.dcm", "sparse_labelmap_noppv_seg.nrrd"}}) {
    const Result<intake::ParsedVolume> read = parser.read_labels(folder / seg, {scan_grid(), 0}),
                                       expected = parser.read_volume(folder / nrrd);
    ASSERT_TRUE(read) << seg << ": " << read.error().message;
    ASSERT_TRUE(expected) << nrrd << ": " << expected.error().message;
    ASSERT_EQ(read->geometry().size, expected->geometry().size) << seg;
    for (unsigned axis = 0; axis < 3; ++axis)
      EXPECT_NEAR(read->geometry().origin_mm[axis], expected->geometry().origin_mm[axis], 1e-3) << seg;
    EXPECT_EQ(labels_of(read), labels_of(expected)) << seg;
  }
  const Result<intake::ParsedVolume> overlaps = parser.read_labels(folder / "partial_overlaps.dcm", {scan_grid(), 0});
  ASSERT_TRUE(overlaps) << overlaps.error().message;
  EXPECT_GE(overlaps->layers(), 2u);
  const fs::path microscopy = shared_dicom() / "highdicom/data/test_files/seg_image_sm_dots.dcm";
  const Result<intake::ParsedVolume> tiles = parser.read_labels(microscopy, {scan_grid(), 0});
  ASSERT_FALSE(tiles);
  EXPECT_FALSE(tiles.error().message.empty());
}

}  // namespace
}  // namespace fovea::node

// DICOM series: geometry from positions, values slice by slice, and refusals by name. Real files where they are
// present.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <variant>

#include "common/bytes.h"
#include "node/intake/formats/scan_facts.h"
#include "node/intake/manifest.h"
#include "node/intake/parser/scan_parser.h"
#include "node/intake/scan_walk.h"
#include "node/store/study_catalogue.h"
#include "node/volume/volume.h"
#include "tests/support/dicom_files.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

namespace fs = std::filesystem;

intake::ScanParser started(std::uint64_t memory_bytes = 1ull << 30) {
  Result<intake::ScanParser> parser = intake::ScanParser::start(
      fs::path(FOVEA_BIN_DIR) / "fovea-scan-parser", {.memory_bytes = memory_bytes, .cpu_s = 30, .wall_ms = 60'000});
  if (!parser) ADD_FAILURE() << parser.error().message;
  return std::move(parser).value();
}

void put(const fs::path& path, ByteView bytes) {
  std::ofstream(path, std::ios::binary).write(as_text(bytes).data(), static_cast<std::streamsize>(bytes.size()));
}

// Five slices 2 mm apart, written in an order that is not theirs, after `change` had its way with each.
std::vector<fs::path> write_series(const fs::path& folder, const std::function<void(int, DicomBytes&)>& change) {
  std::vector<fs::path> out;
  for (const int slice : {3, 0, 4, 1, 2}) {
    DicomBytes bytes = ct_slice(slice, 50 + 2.0 * slice);
    change(slice, bytes);
    out.push_back(folder / ("f" + std::to_string(out.size())));
    put(out.back(), bytes.file());
  }
  return out;
}

std::vector<float> values(const intake::ParsedVolume& volume) {
  return std::visit([](const auto& span) { return std::vector<float>(span.begin(), span.end()); }, volume.voxels());
}

TEST(Dicom, SlicesAreSortedByPositionAndPlacedInMillimetres) {
  ScratchFolder folder;
  intake::ScanParser parser = started();
  const Result<intake::ParsedVolume> read = parser.read_series(write_series(folder.path(), [](int, DicomBytes&) {}));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->modality(), "CT");
  EXPECT_EQ(read->patient(), "CANARY-ID-99");
  const volume::VolumeGeometry& geometry = read->geometry();
  EXPECT_EQ(geometry.size, (volume::Index3{6, 5, 5}));
  EXPECT_EQ(geometry.spacing_mm, (volume::Point3{0.5, 0.8, 2}));
  EXPECT_EQ(geometry.origin_mm, (volume::Point3{-10, 20, 50}));
  const std::vector<float> voxels = values(*read);
  for (std::int64_t k = 0; k < 5; ++k)
    for (std::int64_t j = 0; j < 5; ++j)
      for (std::int64_t i = 0; i < 6; ++i)
        ASSERT_EQ(voxels[geometry.offset(i, j, k)], static_cast<float>(100 * k + 10 * j + i));
}

TEST(Dicom, RescalePaddingAndUnsignedBitsCountSliceBySlice) {
  ScratchFolder folder;
  intake::ScanParser parser = started();
  const auto files = write_series(folder.path(), [](int slice, DicomBytes& bytes) {
    bytes.text({0x0028, 0x1053}, "DS", slice == 2 ? "0.5" : "2");
    bytes.text({0x0028, 0x1052}, "DS", "-1024");
    bytes.us({0x0028, 0x0103}, 0);
    bytes.us({0x0028, 0x0101}, 12);
    bytes.us({0x0028, 0x0102}, 11);
    bytes.us({0x0028, 0x0120}, 100);  // the first voxel of slice 1
    if (slice == 0) {
      std::vector<std::int16_t> overlay(30, 0x5000);  // bits above the stored twelve: an old overlay over value 0
      bytes.pixels(overlay);
    }
  });
  const Result<intake::ParsedVolume> read = parser.read_series(files);
  ASSERT_TRUE(read) << read.error().message;
  const std::vector<float> voxels = values(*read);
  EXPECT_EQ(voxels[0], -1024);                                 // the overlay is gone
  EXPECT_EQ(voxels[read->geometry().offset(0, 0, 1)], -1000);  // padding became air
  EXPECT_EQ(voxels[read->geometry().offset(1, 0, 1)], 2 * 101 - 1024);
  EXPECT_EQ(voxels[read->geometry().offset(1, 0, 2)], 0.5f * 201 - 1024);  // its own slope
}

TEST(Dicom, Monochrome1IsInvertedForMrAndKeptForCt) {
  ScratchFolder mr, ct;
  intake::ScanParser parser = started();
  const auto inverted = [](bool is_mr) {
    return [is_mr](int, DicomBytes& bytes) {
      bytes.text({0x0028, 0x0004}, "CS", "MONOCHROME1");
      bytes.us({0x0028, 0x0103}, 0);
      if (is_mr) bytes.text({0x0008, 0x0016}, "UI", "1.2.840.10008.5.1.4.1.1.4");
    };
  };
  const Result<intake::ParsedVolume> turned = parser.read_series(write_series(mr.path(), inverted(true)));
  const Result<intake::ParsedVolume> kept = parser.read_series(write_series(ct.path(), inverted(false)));
  ASSERT_TRUE(turned && kept);
  EXPECT_EQ(turned->modality(), "MR");
  EXPECT_EQ(values(*turned)[7], 65535 - values(*kept)[7]);
}

TEST(Dicom, PetBecomesSuvAndIsRefusedWithoutTheFieldsForIt) {
  const auto pet = [](int slice, DicomBytes& bytes) {
    bytes.text({0x0008, 0x0016}, "UI", "1.2.840.10008.5.1.4.1.1.128");
    bytes.text({0x0008, 0x0021}, "DA", "20200102"), bytes.text({0x0008, 0x0031}, "TM", "120000");
    bytes.text({0x0008, 0x0022}, "DA", "20200102"), bytes.text({0x0008, 0x0032}, "TM", slice < 2 ? "120000" : "120500");
    bytes.text({0x0010, 0x1030}, "DS", "80");
    bytes.text({0x0028, 0x0051}, "CS", "ATTN\\DECY\\SCAT");
    bytes.text({0x0054, 0x1001}, "CS", "BQML"), bytes.text({0x0054, 0x1102}, "CS", "START");
    DicomBytes drug;
    drug.text({0x0018, 0x1072}, "TM", "110000");
    drug.text({0x0018, 0x1074}, "DS", "400000000"), drug.text({0x0018, 0x1075}, "DS", "3600");
    bytes.sequence({0x0054, 0x0016}, drug);
  };
  ScratchFolder folder;
  intake::ScanParser parser = started();
  const Result<intake::ParsedVolume> read = parser.read_series(write_series(folder.path(), pet));
  ASSERT_TRUE(read) << read.error().message;
  // An hour is one half-life: half of 400 MBq is left, 80 kg.
  EXPECT_NEAR(values(*read)[7], 11 * 80'000.0 / 200e6, 1e-9);

  const std::vector<std::pair<DicomTag, const char*>> needed{
      {{0x0010, 0x1030}, "Weight"}, {{0x0054, 0x0016}, "Dose"},  {{0x0054, 0x1001}, "Units"},
      {{0x0028, 0x0051}, "ATTN"},   {{0x0054, 0x1102}, "Decay"}, {{0x0008, 0x0032}, "Acquisition"}};
  for (const auto& [tag, named] : needed) {
    ScratchFolder other;
    const Result<intake::ParsedVolume> refused =
        parser.read_series(write_series(other.path(), [&, erased = tag](int slice, DicomBytes& bytes) {
          pet(slice, bytes);
          bytes.erase(erased);
        }));
    ASSERT_FALSE(refused) << named;
    EXPECT_NE(refused.error().message.find(named), std::string::npos) << refused.error().message;
  }
}

// A series that is broken in one way, and what its refusal names.
struct Broken {
  const char* named;
  std::function<void(int, DicomBytes&)> change;
};

void expect_refused_by_name(const std::vector<Broken>& cases) {
  intake::ScanParser parser = started();
  for (const Broken& broken : cases) {
    ScratchFolder folder;
    const Result<intake::ParsedVolume> read = parser.read_series(write_series(folder.path(), broken.change));
    ASSERT_FALSE(read) << broken.named;
    EXPECT_NE(read.error().message.find(broken.named), std::string::npos)
        << broken.named << ": " << read.error().message;
    EXPECT_EQ(read.error().message.find("CANARY"), std::string::npos);
  }
}

TEST(Dicom, ASeriesWhoseSlicesLieWronglyIsRefusedByName) {
  const auto at_z = [](DicomBytes& bytes, double z) { bytes.text({0x0020, 0x0032}, "DS", "-10\\20\\" + decimal(z)); };
  expect_refused_by_name({
      {"missing", [&](int s, DicomBytes& b) { at_z(b, s < 3 ? 2 * s : 2 * s + 4); }},
      {"same place", [&](int s, DicomBytes& b) { at_z(b, s < 3 ? 2 * s : 2 * s - 2); }},
      {"distance between slices", [&](int s, DicomBytes& b) { at_z(b, s < 3 ? 2 * s : 3.1 * s - 3.3); }},
      {"gap between slices 4 and 5",
       [&](int s, DicomBytes& b) {
         at_z(b, s < 3 ? 2 * s : 3.1 * s - 3.3), b.text({0x0018, 0x0050}, "DS", "1.5");
       }},
      {"more than any gantry tilts",
       [&](int s, DicomBytes& b) {
         b.text({0x0020, 0x0032}, "DS", "-10\\" + decimal(20 + 3 * s) + "\\" + decimal(2 * s));
       }},
      {"jump sideways",
       [&](int s, DicomBytes& b) {
         b.text({0x0020, 0x0032}, "DS", "-10\\" + decimal(s == 2 ? 23 : 20) + "\\" + decimal(2 * s));
       }},
  });
}

TEST(Dicom, ASeriesWithBrokenAttributesIsRefusedByName) {
  expect_refused_by_name({
      {"different orientation",
       [](int s, DicomBytes& b) {
         if (s == 1) b.text({0x0020, 0x0037}, "DS", "1\\0\\0\\0\\0\\-1");
       }},
      {"pixel spacing",
       [](int s, DicomBytes& b) {
         if (s == 1) b.text({0x0028, 0x0030}, "DS", "0.8\\0.6");
       }},
      {"different sizes",
       [](int s, DicomBytes& b) {
         if (s == 1) b.us({0x0028, 0x0010}, 6), b.us({0x0028, 0x0011}, 5);
       }},
      {"Image Position",
       [](int s, DicomBytes& b) {
         if (s == 1) b.erase({0x0020, 0x0032});
       }},
      {"Image Orientation",
       [](int, DicomBytes& b) {
         b.text({0x0020, 0x0037}, "DS", "1\\0\\0");
       }},
      {"right angles",
       [](int, DicomBytes& b) {
         b.text({0x0020, 0x0037}, "DS", "1\\0\\0\\1\\0\\0");
       }},
      {"spacing",
       [](int, DicomBytes& b) {
         b.text({0x0028, 0x0030}, "DS", "0\\0");
       }},
      {"Rescale",
       [](int, DicomBytes& b) {
         b.text({0x0028, 0x1053}, "DS", "0");
       }},
      {"localizer",
       [](int, DicomBytes& b) {
         b.text({0x0008, 0x0008}, "CS", "ORIGINAL\\PRIMARY\\LOCALIZER");
       }},
      {"mosaic: its private CSA header",
       [](int, DicomBytes& b) {
         b.text({0x0008, 0x0008}, "CS", "ORIGINAL\\PRIMARY\\M\\MOSAIC");
       }},
      {"several series",
       [](int s, DicomBytes& b) {
         if (s == 1) b.text({0x0020, 0x000e}, "UI", "1.2.3.4.6");
       }},
  });
}

TEST(Dicom, ASeriesWithBrokenPixelsIsRefusedByName) {
  expect_refused_by_name({
      {"pixels",
       [](int s, DicomBytes& b) {
         if (s == 1) b.pixels({1, 2, 3});
       }},
      {"pixels",
       [](int s, DicomBytes& b) {
         if (s == 1) b.erase({0x7fe0, 0x0010});
       }},
      {"Rows",
       [](int, DicomBytes& b) {
         b.us({0x0028, 0x0010}, 60000);
       }},
      {"Number of Frames",
       [](int, DicomBytes& b) {
         b.text({0x0028, 0x0008}, "IS", "999999999");
       }},
      {"colour",
       [](int, DicomBytes& b) {
         b.us({0x0028, 0x0002}, 3);
       }},
      {"another kind",
       [](int, DicomBytes& b) {
         b.text({0x0008, 0x0016}, "UI", "1.2.840.10008.5.1.4.1.1.7");
       }},
  });
}

TEST(Dicom, TruncationsAndFlippedBytesNeverHarmTheNode) {
  ScratchFolder folder;
  intake::ScanParser parser = started(64u << 20);  // a flipped length may ask for much: let it be refused soon
  const Bytes sound = ct_slice(1, 52).file();
  const fs::path path = folder.path() / "slice";
  const std::uint64_t seed = 77;
  Numbers numbers(seed);
  for (int step = 0; step < 120; ++step) {
    Bytes harmed = sound;
    if (step % 2 == 0)
      harmed.resize(static_cast<std::size_t>(numbers.below(static_cast<std::int64_t>(sound.size()))) + 1);
    else
      harmed[132 + static_cast<std::size_t>(numbers.below(static_cast<std::int64_t>(sound.size()) - 132))] ^=
          static_cast<std::uint8_t>(1 + numbers.below(255));
    put(path, harmed);
    const Result<std::vector<intake::DicomFile>> described = parser.describe({&path, 1});
    EXPECT_TRUE(!described || described->size() == 1) << "seed " << seed << " step " << step;
    EXPECT_FALSE(parser.read_series({&path, 1})) << "seed " << seed << " step " << step;  // one slice is no volume
  }
  const auto files = write_series(folder.path(), [](int, DicomBytes&) {});
  EXPECT_TRUE(parser.read_series(files));
}

// Two echoes of an MR in one series: each slice twice in the same place, told apart by the echo time.
TEST(Dicom, TwoEchoesInOneSeriesAreTwoVolumes) {
  const auto write_echoes = [](const fs::path& folder, bool with_times) {
    for (int slice = 0; slice < 10; ++slice) {
      DicomBytes bytes = ct_slice(slice, 50 + 2.0 * (slice % 5));
      bytes.text({0x0008, 0x0016}, "UI", "1.2.840.10008.5.1.4.1.1.4");
      if (with_times) bytes.text({0x0018, 0x0081}, "DS", slice < 5 ? "4.6" : "6.9");
      put(folder / ("f" + std::to_string(slice)), bytes.file());
    }
  };
  ScratchFolder told, untold;
  write_echoes(told.path(), true);
  write_echoes(untold.path(), false);
  intake::ScanParser parser = started();
  const Result<intake::FoundStudies> found = intake::find_studies({told.path()}, store::Split::train, parser);
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->sources.size(), 2u);
  for (std::uint32_t part = 0; part < 2; ++part) {
    const intake::StudySource& source = found->sources[part];
    EXPECT_EQ(source.part, part);
    EXPECT_EQ(source.identity.patient, "CANARY-ID-99");
    const Result<intake::ParsedVolume> read = parser.read_series(source.images, source.part);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->geometry().size[2], 5);
    EXPECT_EQ(values(*read).front(), part == 0 ? 0 : 500);
  }
  EXPECT_NE(found->sources[0].identity.study, found->sources[1].identity.study);
  EXPECT_NE(parser.read_series(found->sources[0].images).error().message.find("2 volumes"), std::string::npos);
  const Result<intake::FoundStudies> mixed = intake::find_studies({untold.path()}, store::Split::train, parser);
  ASSERT_TRUE(mixed && mixed->sources.size() == 1);
  EXPECT_NE(parser.read_series(mixed->sources[0].images).error().message.find("same place"), std::string::npos);
}

TEST(Dicom, AFolderOfTwoSeriesAndOtherFilesIsSorted) {
  ScratchFolder folder;
  fs::create_directories(folder.path() / "a");
  fs::create_directories(folder.path() / "b");
  write_series(folder.path() / "a", [](int, DicomBytes&) {});
  write_series(folder.path() / "b", [](int, DicomBytes& bytes) { bytes.text({0x0020, 0x000e}, "UI", "1.2.3.4.99"); });
  put(folder.path() / "README", as_bytes("hello"));
  intake::ScanParser parser = started();
  const Result<intake::FoundStudies> found = intake::find_studies({folder.path()}, store::Split::train, parser);
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->sources.size(), 2u);
  EXPECT_EQ(found->sources[0].images.size(), 5u);
  EXPECT_EQ(found->sources[0].identity.patient, "CANARY-ID-99");
  ASSERT_EQ(found->not_scans.size(), 1u);
  EXPECT_FALSE(found->not_scans[0].reason.empty());
}

// Real files.
fs::path shared_dicom() { return fs::path(FOVEA_SOURCE_DIR) / ".." / "shared" / "data" / "dicom"; }

Result<intake::ParsedVolume> read_folder(intake::ScanParser& parser, const fs::path& folder) {
  FOVEA_TRY_ASSIGN(intake::FoundStudies found, intake::find_studies({folder}, store::Split::test, parser));
  if (found.sources.size() != 1) return invalid_argument(std::to_string(found.sources.size()) + " series");
  const auto& files = found.sources[0].images;
  return files.size() == 1 ? parser.read_volume(files[0]) : parser.read_series(files);
}

TEST(DicomCorpus, SeriesAgreeWithTheVolumesShippedBesideThem) {
  if (!fs::exists(shared_dicom())) GTEST_SKIP() << "shared/data/dicom is absent";
  intake::ScanParser parser = started();
  for (const auto& [series, nifti] :
       {std::pair{"pet-series/STS_001/dicom/image", "pet-series/STS_001/nifti/image/image.nii.gz"},
        std::pair{"mr-series-STS_001/dicom/image", "mr-series-STS_001/nifti/image/image.nii.gz"}}) {
    const Result<intake::ParsedVolume> a = read_folder(parser, shared_dicom() / series);
    const Result<intake::ParsedVolume> b = parser.read_volume(shared_dicom() / nifti);
    ASSERT_TRUE(a) << a.error().message;
    ASSERT_TRUE(b) << b.error().message;
    ASSERT_EQ(a->geometry().size, b->geometry().size);
    for (unsigned axis = 0; axis < 3; ++axis)
      EXPECT_NEAR(a->geometry().origin_mm[axis], b->geometry().origin_mm[axis], 1e-3);
    const std::vector<float> x = values(*a), y = values(*b);
    float worst = 0;
    for (std::size_t v = 0; v < x.size(); ++v) worst = std::max(worst, std::abs(x[v] - y[v]));
    EXPECT_LE(worst, 1e-3f) << series;
  }
}

// One mosaic of 35 slices in explicit, implicit and big-endian, RLE, JPEG lossless (twice), JPEG-LS (twice) and JPEG
// 2000.
TEST(DicomCorpus, EveryTransferSyntaxGivesTheSameVolume) {
  const fs::path folder = shared_dicom() / "transfer-syntaxes";
  if (!fs::exists(folder)) GTEST_SKIP() << "shared/data/dicom is absent";
  intake::ScanParser parser = started();
  const Result<intake::ParsedVolume> expected = parser.read_volume(folder / "Ref" / "1.nii");  // dcm2niix's
  ASSERT_TRUE(expected) << expected.error().message;
  for (int n = 1; n <= 9; ++n) {
    const Result<intake::ParsedVolume> read = parser.read_volume(folder / "In" / (std::to_string(n) + ".dcm"));
    ASSERT_TRUE(read) << n << ": " << read.error().message;
    ASSERT_EQ(read->geometry().size, expected->geometry().size) << n;
    for (unsigned axis = 0; axis < 3; ++axis)
      EXPECT_NEAR(read->geometry().origin_mm[axis], expected->geometry().origin_mm[axis], 2e-3) << n;
    EXPECT_EQ(values(*read), values(*expected)) << n;
  }
}

TEST(DicomCorpus, ASeriesOfSeveralVolumesGivesSeveralStudies) {
  const fs::path folder = shared_dicom() / "enhanced/In";
  if (!fs::exists(folder)) GTEST_SKIP() << "shared/data/dicom is absent";
  intake::ScanParser parser = started();
  const Result<intake::FoundStudies> found = intake::find_studies({folder}, store::Split::test, parser);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->sources.size(), 2u + 4u);  // magnitude and field map in one object; four time points in four
  const fs::path philips = folder / "Philips/IM_0027_fMAP.dcm";
  EXPECT_EQ(*parser.count_volumes({&philips, 1}), 2u);
  const Result<intake::ParsedVolume> first = parser.read_volume(philips, 0), second = parser.read_volume(philips, 1);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->geometry(), second->geometry());
  EXPECT_NE(values(*first), values(*second));
  EXPECT_FALSE(parser.read_volume(philips, 2));
  EXPECT_NE(parser.read_volume(philips).error().message.find("2 volumes"), std::string::npos);
}

TEST(DicomCorpus, UnevenSpacingIsResampledAndEveryOtherFileIsReadOrRefused) {
  if (!fs::exists(shared_dicom())) GTEST_SKIP() << "shared/data/dicom is absent";
  intake::ScanParser parser = started();
  // Slices 4.00, 1.08 and 7.00 mm apart along the normal, under a gantry tilted by 18.5°: 144.08 mm in all.
  const Result<intake::ParsedVolume> uneven = read_folder(parser, shared_dicom() / "uneven-spacing-ct");
  ASSERT_TRUE(uneven) << uneven.error().message;
  EXPECT_NEAR(uneven->geometry().spacing_mm[2], 4.22 * std::cos(18.5 * 3.14159265 / 180), 1e-3);
  EXPECT_EQ(uneven->geometry().size, (volume::Index3{512, 611, 37}));

  const Result<intake::FoundStudies> found = intake::find_studies({shared_dicom()}, store::Split::test, parser);
  ASSERT_TRUE(found) << found.error().message;
  std::size_t taken = 0;
  for (const intake::StudySource& source : found->sources) {
    const Result<intake::ParsedVolume> read = source.images.size() == 1
                                                  ? parser.read_volume(source.images[0], source.part)
                                                  : parser.read_series(source.images, source.part);
    taken += read ? 1u : 0u;
    if (!read) {
      EXPECT_FALSE(read.error().message.empty());
    }
  }
  RecordProperty("series_taken", static_cast<int>(taken));
  EXPECT_GE(taken, 51u);  // four more are CT whose Rescale Type says that their units are none (US)
}

}  // namespace
}  // namespace fovea::node

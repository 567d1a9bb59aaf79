// A Series Instance UID is not yet a series: files of two patients, studies, modalities or frames of reference under
// one UID never become a volume, by folder, by table, or given straight to the parser.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "node/intake/formats/scan_facts.h"
#include "node/intake/manifest.h"
#include "node/intake/parser/scan_parser.h"
#include "node/intake/scan_walk.h"
#include "node/store/study_catalogue.h"
#include "tests/support/dicom_files.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

namespace fs = std::filesystem;
using Change = std::function<void(int, DicomBytes&)>;

void put(const fs::path& path, ByteView bytes) {
  std::ofstream(path, std::ios::binary).write(as_text(bytes).data(), static_cast<std::streamsize>(bytes.size()));
}

DicomBytes slice_of(int slice) {
  DicomBytes out = ct_slice(slice, 50 + 2.0 * slice);
  out.text({0x0020, 0x000d}, "UI", "1.2.3.4");
  out.text({0x0020, 0x0052}, "UI", "1.2.3.9");
  return out;
}

std::vector<fs::path> write_slices(const fs::path& folder, const Change& change) {
  fs::create_directories(folder);
  std::vector<fs::path> out;
  for (int slice = 0; slice < 6; ++slice) {
    DicomBytes bytes = slice_of(slice);
    change(slice, bytes);
    out.push_back(folder / ("f" + std::to_string(slice)));
    put(out.back(), bytes.file());
  }
  return out;
}

intake::ScanParser started() {
  Result<intake::ScanParser> parser =
      intake::ScanParser::start(fs::path(FOVEA_BIN_DIR) / "fovea-scan-parser", {.cpu_s = 30, .wall_ms = 60'000});
  if (!parser) ADD_FAILURE() << parser.error().message;
  return std::move(parser).value();
}

// A row of a table whose image is this folder.
intake::StudySource row_of(const fs::path& folder) {
  intake::StudySource out;
  out.name = "line 2";
  out.identity = {"s", "p", folder.string(), ""};
  out.images = {folder};
  out.is_of_table = true;
  return out;
}

TEST(SeriesIdentity, FilesThatContradictEachOtherAreNoVolumeByAnyWay) {
  const std::vector<std::pair<std::string, Change>> cases{
      {"Patient ID",
       [](int s, DicomBytes& b) {
         if (s > 2) b.text({0x0010, 0x0020}, "LO", "OTHER");
       }},
      {"Patient ID",
       [](int s, DicomBytes& b) {
         if (s > 2) b.text({0x0010, 0x0021}, "LO", "OTHER HOSPITAL");
       }},
      {"patients",
       [](int s, DicomBytes& b) {
         if (s > 2) b.text({0x0010, 0x0010}, "PN", "Other^Name");
       }},
      {"Study Instance UID",
       [](int s, DicomBytes& b) {
         if (s > 2) b.text({0x0020, 0x000d}, "UI", "1.2.3.5");
       }},
      {"(CT and PT)",
       [](int s, DicomBytes& b) {
         if (s > 2) b.text({0x0008, 0x0016}, "UI", "1.2.840.10008.5.1.4.1.1.128");
       }},
      {"Frame of Reference UID", [](int s, DicomBytes& b) {
         if (s > 2) b.text({0x0020, 0x0052}, "UI", "1.2.3.8");
       }}};
  intake::ScanParser parser = started();
  for (const auto& [named, change] : cases) {
    ScratchFolder hospital;
    const std::vector<fs::path> files = write_slices(hospital.path(), change);
    const Result<intake::FoundStudies> found = intake::find_studies({hospital.path()}, store::Split::train, parser);
    ASSERT_TRUE(found && found->sources.size() == 1) << named;
    EXPECT_NE(found->sources[0].fault.find(named), std::string::npos) << found->sources[0].fault;
    std::vector<intake::StudySource> rows{row_of(hospital.path())};
    std::vector<intake::NotAScan> left_alone;
    ASSERT_TRUE(intake::expand_rows(rows, parser, left_alone));
    EXPECT_EQ(rows[0].fault, found->sources[0].fault);
    const Result<intake::ParsedVolume> read = parser.read_series(files);
    ASSERT_FALSE(read) << named;
    EXPECT_EQ(read.error().message, found->sources[0].fault);
    EXPECT_EQ(found->sources[0].fault.find("OTHER"), std::string::npos);
  }
}

TEST(SeriesIdentity, WhatOnlySomeFilesStateIsNoContradiction) {
  ScratchFolder hospital;
  write_slices(hospital.path(), [](int s, DicomBytes& b) {
    if (s % 2 == 0) b.erase({0x0020, 0x0052});
    if (s % 3 == 0) b.erase({0x0020, 0x000d});
  });
  intake::ScanParser parser = started();
  const Result<intake::FoundStudies> found = intake::find_studies({hospital.path()}, store::Split::train, parser);
  ASSERT_TRUE(found && found->sources.size() == 1);
  EXPECT_EQ(found->sources[0].fault, "");
  const Result<intake::ParsedVolume> read = parser.read_series(found->sources[0].images);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->geometry().size[2], 6);
  EXPECT_EQ(read->frame_of_reference(), "1.2.3.9");
}

// The same numbers for both patients' slices, as some anonymisers write them: none of them is a copy of another.
TEST(SeriesIdentity, SlicesOfTwoPatientsWithOneSopInstanceUidAreNoCopies) {
  ScratchFolder hospital;
  write_slices(hospital.path() / "a", [](int, DicomBytes&) {});
  write_slices(hospital.path() / "b", [](int, DicomBytes& b) { b.text({0x0010, 0x0020}, "LO", "OTHER"); });
  intake::ScanParser parser = started();
  const Result<intake::FoundStudies> found = intake::find_studies({hospital.path()}, store::Split::train, parser);
  ASSERT_TRUE(found && found->sources.size() == 1);
  EXPECT_NE(found->sources[0].fault.find("two patients"), std::string::npos) << found->sources[0].fault;

  ScratchFolder other;
  write_slices(other.path(), [](int s, DicomBytes& b) {
    if (s == 5) b.text({0x0008, 0x0018}, "UI", "1.2.3.1");
  });
  const Result<intake::FoundStudies> shorter = intake::find_studies({other.path()}, store::Split::train, parser);
  ASSERT_TRUE(shorter && shorter->sources.size() == 1);
  EXPECT_NE(shorter->sources[0].fault.find("one SOP Instance UID"), std::string::npos) << shorter->sources[0].fault;
}

TEST(SeriesIdentity, APatientsNumberIsOneWithinWhoGaveIt) {
  ScratchFolder hospital;
  write_slices(hospital.path() / "a", [](int, DicomBytes& b) { b.text({0x0010, 0x0021}, "LO", "North"); });
  write_slices(hospital.path() / "b", [](int s, DicomBytes& b) {
    b.text({0x0010, 0x0021}, "LO", "South");
    b.text({0x0020, 0x000e}, "UI", "1.2.3.4.6");
    b.text({0x0008, 0x0018}, "UI", "1.2.4." + std::to_string(s + 1));
  });
  intake::ScanParser parser = started();
  const Result<intake::FoundStudies> found = intake::find_studies({hospital.path()}, store::Split::train, parser);
  ASSERT_TRUE(found && found->sources.size() == 2);
  EXPECT_NE(found->sources[0].identity.patient, found->sources[1].identity.patient);
}

TEST(SeriesIdentity, ARowOfATableFindsTheSlicesThatAFolderWould) {
  ScratchFolder hospital;
  const fs::path plain = hospital.path() / "plain", linked = hospital.path() / "linked";
  write_slices(plain, [](int, DicomBytes&) {});
  fs::create_directories(linked);
  for (const auto& entry : fs::directory_iterator(plain))
    fs::create_symlink(entry.path(), linked / entry.path().filename());
  fs::copy_file(plain / "f3", plain / "f3(1)");
  put(plain / "README", as_bytes("hello"));
  std::vector<intake::StudySource> rows{row_of(plain), row_of(linked), row_of(hospital.path() / "none")};
  std::vector<intake::NotAScan> left_alone;
  intake::ScanParser parser = started();
  ASSERT_TRUE(intake::expand_rows(rows, parser, left_alone));
  for (const intake::StudySource& row : {rows[0], rows[1]}) {
    EXPECT_EQ(row.fault, "");
    EXPECT_EQ(row.images.size(), 6u);
    EXPECT_TRUE(parser.read_series(row.images));
  }
  EXPECT_EQ(rows[0].origin.instances, rows[1].origin.instances);
  EXPECT_EQ(left_alone.size(), 2u);
  EXPECT_EQ(rows[2].images.front(), hospital.path() / "none");  // its ingest says that it is missing
}

TEST(SeriesIdentity, ARowWhoseFolderHoldsSeveralScansOrADamagedSliceSaysSo) {
  ScratchFolder hospital;
  const fs::path two = hospital.path() / "two", damaged = hospital.path() / "damaged", none = hospital.path() / "none";
  write_slices(two / "a", [](int, DicomBytes&) {});
  write_slices(two / "b", [](int, DicomBytes& b) { b.text({0x0020, 0x000e}, "UI", "1.2.3.4.6"); });
  write_slices(damaged, [](int, DicomBytes&) {});
  fs::resize_file(damaged / "f5", 0);
  fs::create_directories(none);
  std::vector<intake::StudySource> rows{row_of(two), row_of(damaged), row_of(none)};
  std::vector<intake::NotAScan> left_alone;
  intake::ScanParser parser = started();
  ASSERT_TRUE(intake::expand_rows(rows, parser, left_alone));
  EXPECT_NE(rows[0].fault.find("several series"), std::string::npos) << rows[0].fault;
  EXPECT_NE(rows[1].fault.find("damaged"), std::string::npos) << rows[1].fault;
  EXPECT_NE(rows[2].fault.find("no scan"), std::string::npos) << rows[2].fault;
}

}  // namespace
}  // namespace fovea::node

// Tables and folders that contradict themselves, or that people fill in as people do: each is refused by name or read
// as it was meant, the same way by folder and by table.
#include <sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "common/file_lock.h"
#include "node/intake/ingest.h"
#include "node/intake/mask_checks.h"
#include "node/intake/scan_walk.h"
#include "node/store/study_catalogue.h"
#include "node/volume/volume.h"
#include "node/volume_files/nifti_writer.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

namespace fs = std::filesystem;

intake::IngestSettings settings() {
  intake::IngestSettings out;
  out.parser_program = fs::path(FOVEA_BIN_DIR) / "fovea-scan-parser";
  out.limits = {.memory_bytes = 512ull << 20, .cpu_s = 20, .wall_ms = 30'000};
  return out;
}

volume::Volume scan_of(std::uint64_t seed) {
  volume::Volume out = make_scan({20, 18, 16}, seed);
  out.geometry.origin_mm = {-6, 5, -4};
  return out;
}

// Empty, on the grid of scan_of(), but for a cube of `label` from (3, 3, 3) on where the label is above zero.
volume::Volume mask_of(float label) {
  volume::Volume out = scan_of(1);
  for (float& v : out.voxels) v = 0;
  for (const std::int64_t k : {3, 4})
    for (const std::int64_t j : {3, 4}) out.voxels[out.geometry.offset(3, j, k)] = label;
  return out;
}

// A hospital with one scan, of which each test writes masks.
class Contradictions : public testing::Test {
 protected:
  void SetUp() override { write("scan.nii", scan_of(1), volume_files::VoxelType::int16); }

  fs::path at(const std::string& name) const { return hospital_.path() / name; }
  void write(const std::string& name, const volume::Volume& volume,
             volume_files::VoxelType type = volume_files::VoxelType::uint8) const {
    ASSERT_TRUE(volume_files::write_nifti(at(name), volume, type, false));
  }
  // What an ingest of scan.nii with this mask says: "taken", "taken, but NOTE", or the reason.
  std::string ingest(const std::string& mask, const std::string& label = "") const {
    ScratchFolder site;
    auto sources = intake::parse_manifest(
        "study,patient,image,mask,split,label\na,p,scan.nii," + mask + ",train," + label + "\n", hospital_.path());
    Result<store::StudyCatalogue> catalogue = store::StudyCatalogue::open(site.path(), true);
    Result<intake::ScanParser> parser = intake::ScanParser::start(settings().parser_program, settings().limits);
    if (!sources || !catalogue || !parser) return "no ingest";
    std::vector<intake::NotAScan> left_alone;
    if (!intake::expand_rows(*sources, *parser, left_alone)) return "no folders";
    const Result<intake::IngestReport> report = intake::ingest(*catalogue, *sources, settings(), {});
    if (!report) return report.error().message;
    if (!report->refused.empty()) return report->refused.front().reason;
    return report->remarks.empty() ? "taken" : "taken, but " + report->remarks.front().text;
  }

  ScratchFolder hospital_;
};

TEST_F(Contradictions, ALabelAndAMaskSayOneThing) {
  write("empty.nii", mask_of(0));
  write("full.nii", mask_of(2));
  EXPECT_EQ(ingest("empty.nii"), "taken");
  EXPECT_EQ(ingest("empty.nii", "0"), "taken");
  EXPECT_EQ(ingest("full.nii", "1"), "taken");
  EXPECT_NE(ingest("empty.nii", "1").find("label: 1, yet the mask holds no finding"), std::string::npos)
      << ingest("empty.nii", "1");
  EXPECT_NE(ingest("full.nii", "0").find("label: 0"), std::string::npos);
}

TEST_F(Contradictions, AMaskSavedWithoutTheScansAffineIsRefused) {
  volume::Volume bare = mask_of(1);
  bare.geometry.origin_mm = volume::Point3::Zero();
  write("bare.nii", bare);
  EXPECT_NE(ingest("bare.nii").find("same size as the scan but another place"), std::string::npos);
  volume::Volume beside = mask_of(1);
  beside.geometry.origin_mm[0] -= 2;
  write("beside.nii", beside);
  EXPECT_NE(ingest("beside.nii").find("taken, but mask: the mask has the scan's size"), std::string::npos)
      << ingest("beside.nii");
  volume::Volume own = mask_of(1);  // a grid of its own is nothing to remark on
  own.geometry.size = {20, 18, 8};
  own.geometry.origin_mm[0] -= 2;
  own.voxels.resize(own.geometry.voxel_count());
  write("own.nii", own);
  EXPECT_EQ(ingest("own.nii"), "taken");
}

TEST(MaskChecks, AGridWithoutAnAffineIsKnownInAnyOrderOfItsAxes) {
  volume::VolumeGeometry scan;
  scan.size = {20, 18, 16};
  scan.spacing_mm = {0.5, 0.5, 2};
  scan.origin_mm = {-6, 5, -4};
  const auto refused = [&](const volume::VolumeGeometry& mask) { return !intake::check_mask_place(mask, scan); };
  volume::VolumeGeometry identity;
  identity.size = {16, 18, 20};
  EXPECT_TRUE(refused(identity));
  identity.size = scan.size;
  EXPECT_TRUE(refused(identity));
  identity.origin_mm = {-19, -17, 0};  // RAS's identity, canonical
  EXPECT_TRUE(refused(identity));
  volume::VolumeGeometry spaced = scan;
  spaced.origin_mm = volume::Point3::Zero();
  EXPECT_TRUE(refused(spaced));
  EXPECT_FALSE(intake::check_mask_place(scan, identity)) << "the scan lacks what its mask has";
  identity.size = {20, 18, 17};
  EXPECT_FALSE(refused(identity));
  EXPECT_EQ(*intake::check_mask_place(scan, scan), "");
  scan.origin_mm = volume::Point3::Zero();
  EXPECT_EQ(*intake::check_mask_place(scan, scan), "");
}

TEST_F(Contradictions, AMaskIsNotTheScanItself) {
  EXPECT_NE(ingest("scan.nii").find("a file of the scan itself"), std::string::npos) << ingest("scan.nii");
  write("copy.nii", scan_of(1), volume_files::VoxelType::float32);
  EXPECT_NE(ingest("copy.nii").find("those of the scan itself"), std::string::npos) << ingest("copy.nii");
}

TEST_F(Contradictions, AFolderInTheMaskColumnStandsForItsOneFile) {
  fs::create_directories(at("one"));
  write("one/m.nii", mask_of(1));
  ASSERT_TRUE(write_file_durably(at("one/LICENSE"), as_bytes("free")));
  EXPECT_EQ(ingest("one"), "taken");
  write("one/n.nii", mask_of(1));
  EXPECT_NE(ingest("one").find("mask: a folder where one file is expected"), std::string::npos) << ingest("one");
}

TEST_F(Contradictions, RawVoxelsBesideTheirHeaderAreNamedByTable) {
  ASSERT_TRUE(write_file_durably(at("m.img"), as_bytes(std::string(2000, 'v'))));
  EXPECT_EQ(ingest("m.img").find("two files"), std::string::npos);
  ASSERT_TRUE(write_file_durably(at("m.hdr"), as_bytes("a header")));
  EXPECT_NE(ingest("m.img").find("one image in two files"), std::string::npos) << ingest("m.img");
}

TEST_F(Contradictions, BlanksAroundAPatientsNameArePadding) {
  const auto sources = intake::parse_manifest(
      "study,patient,image,mask,split,label\na,123,scan.nii,,train,0\nb ,\" 123 \",other.nii,,train,0\n", "/");
  ASSERT_TRUE(sources) << sources.error().message;
  EXPECT_EQ((*sources)[0].identity.patient, (*sources)[1].identity.patient);
  EXPECT_EQ((*sources)[1].identity.study, "b");
  EXPECT_FALSE(intake::parse_manifest("study,patient,image,mask,split,label\na,\" \",scan.nii,,train,0\n", "/"));
}

TEST_F(Contradictions, LinksToFilesStandForThemByFolderAndByTable) {
  ScratchFolder linked;
  fs::create_symlink(at("scan.nii"), linked.path() / "l.nii");
  fs::create_symlink(at("scan.nii"), linked.path() / "m.nii");
  fs::create_symlink(at("gone.nii"), linked.path() / "n.nii");
  fs::create_directory_symlink(hospital_.path(), linked.path() / "all");
  Result<intake::ScanParser> parser = intake::ScanParser::start(settings().parser_program, settings().limits);
  ASSERT_TRUE(parser);
  const Result<intake::FoundStudies> found = intake::find_studies({linked.path()}, store::Split::train, *parser);
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->sources.size(), 1u);
  EXPECT_EQ(found->sources.front().images.front(), linked.path() / "l.nii");
  std::vector<std::string> reasons;
  for (const intake::NotAScan& left : found->not_scans) reasons.push_back(left.reason);
  ASSERT_EQ(reasons.size(), 3u);
  for (const std::string_view expected : {"link to a folder", "here too", "leads to no file"})
    EXPECT_TRUE(std::any_of(reasons.begin(), reasons.end(), [&](const std::string& reason) {
      return reason.find(expected) != std::string::npos;
    })) << expected;
  auto rows = intake::parse_manifest("study,patient,image,mask,split,label\na,p,.,,train,0\n", linked.path());
  std::vector<intake::NotAScan> left_alone;
  ASSERT_TRUE(rows && intake::expand_rows(*rows, *parser, left_alone));
  ASSERT_EQ(rows->front().images.size(), 1u);
  EXPECT_EQ(rows->front().images.front().filename(), "l.nii");
}

TEST_F(Contradictions, AFolderWithOneVolumeFileIsThatFile) {
  fs::create_directories(at("bids"));
  fs::copy_file(at("scan.nii"), at("bids/T1w.NII"));
  ASSERT_TRUE(write_file_durably(at("bids/T1w.json"), as_bytes("{}")));
  auto rows = intake::parse_manifest("study,patient,image,mask,split,label\na,p,bids,,train,0\n", hospital_.path());
  Result<intake::ScanParser> parser = intake::ScanParser::start(settings().parser_program, settings().limits);
  std::vector<intake::NotAScan> left_alone;
  ASSERT_TRUE(rows && parser && intake::expand_rows(*rows, *parser, left_alone));
  EXPECT_EQ(rows->front().images, (std::vector<fs::path>{at("bids/T1w.NII")}));
}

TEST_F(Contradictions, WhatAKilledIngestLeftIsDeletedAndNothingElse) {
  ScratchFolder site;
  auto sources =
      intake::parse_manifest("study,patient,image,mask,split,label\na,p,scan.nii,,train,0\n", hospital_.path());
  Result<store::StudyCatalogue> catalogue = store::StudyCatalogue::open(site.path(), true);
  ASSERT_TRUE(sources && catalogue);
  ASSERT_TRUE(intake::ingest(*catalogue, *sources, settings(), {}));
  const std::string code = catalogue->list()->front().code, lost = "s-abcdefghij";
  const fs::path volumes = catalogue->volumes_folder();
  const std::vector<fs::path> leftovers{volumes / (lost + ".bricks"), volumes / (lost + ".2mm"),
                                        volumes / (code + ".bricks.tmp"), site.path() / "memory" / (lost + ".look")};
  const std::vector<fs::path> kept{volumes / (code + ".bricks"), volumes / "notes.txt", site.path() / "s-short.txt"};
  fs::create_directories(site.path() / "memory");
  for (const fs::path& file : leftovers) ASSERT_TRUE(write_file_durably(file, as_bytes("x")));
  for (const fs::path& file : {kept[1], kept[2]}) ASSERT_TRUE(write_file_durably(file, as_bytes("x")));
  {
    const Result<FileLock> running = FileLock::take(store::data_lock(site.path()), "busy");
    ASSERT_TRUE(running);
    const auto nothing = catalogue->remove_leftovers();
    ASSERT_TRUE(nothing) << nothing.error().message;
    EXPECT_TRUE(nothing->ingest_is_running);
    for (const fs::path& file : leftovers) EXPECT_TRUE(fs::exists(file)) << file;
  }
  const auto removed = catalogue->remove_leftovers();
  ASSERT_TRUE(removed) << removed.error().message;
  EXPECT_EQ(removed->removed, leftovers.size());
  for (const fs::path& file : leftovers) EXPECT_FALSE(fs::exists(file)) << file;
  for (const fs::path& file : kept) EXPECT_TRUE(fs::exists(file)) << file;
  EXPECT_EQ(catalogue->remove_leftovers()->removed, 0u);
}

// Puts `folder` on a disk of its own that is mounted read-only, for this process alone. False: not allowed here.
bool mount_read_only(const fs::path& folder) {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  return ::mount(folder.c_str(), folder.c_str(), nullptr, MS_BIND, nullptr) == 0 &&
         ::mount(nullptr, folder.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0;
}

TEST_F(Contradictions, ADiskThatIsMountedReadOnlyIsNamedAndRefusesNoStudy) {
  ScratchFolder site;
  auto sources =
      intake::parse_manifest("study,patient,image,mask,split,label\na,p,scan.nii,,train,0\n", hospital_.path());
  Result<store::StudyCatalogue> catalogue = store::StudyCatalogue::open(site.path(), true);
  ASSERT_TRUE(sources && catalogue);
  if (!mount_read_only(site.path())) GTEST_SKIP() << "no mounts for this user";
  const Result<intake::IngestReport> report = intake::ingest(*catalogue, *sources, settings(), {});
  ASSERT_FALSE(report) << "the study was refused for the disk's sake";
  EXPECT_EQ(report.error().code, ErrorCode::unavailable);
  EXPECT_NE(report.error().message.find("Read-only file system"), std::string::npos) << report.error().message;
  const Result<store::StudyCatalogue> again = store::StudyCatalogue::open(site.path(), true);
  ASSERT_FALSE(again);
  for (const std::string& named : {site.path().string(), std::string("Read-only"), std::string("mount the disk")})
    EXPECT_NE(again.error().message.find(named), std::string::npos) << again.error().message;
  const Result<store::StudyCatalogue> listed = store::StudyCatalogue::open(site.path(), false);
  ASSERT_TRUE(listed) << listed.error().message;
  EXPECT_TRUE(listed->list());
}

}  // namespace
}  // namespace fovea::node

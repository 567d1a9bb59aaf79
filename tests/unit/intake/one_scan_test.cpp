// One scan is one study: whatever its files are called, in whatever order they come, however often a table names it,
// and when its series comes in parts.
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "node/intake/ingest.h"
#include "node/intake/manifest.h"
#include "node/intake/parser/scan_parser.h"
#include "node/intake/scan_walk.h"
#include "node/store/study_catalogue.h"
#include "node/volume_files/nifti_writer.h"
#include "tests/support/dicom_files.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

namespace fs = std::filesystem;

constexpr int kSlices = 8;

intake::IngestSettings settings() {
  intake::IngestSettings out;
  out.workers = 2;
  out.parser_program = fs::path(FOVEA_BIN_DIR) / "fovea-scan-parser";
  out.limits = {.memory_bytes = 512ull << 20, .cpu_s = 20, .wall_ms = 30'000};
  return out;
}

class OneScan : public testing::Test {
 protected:
  void SetUp() override {
    Result<store::StudyCatalogue> opened = store::StudyCatalogue::open(site_.path(), true);
    ASSERT_TRUE(opened) << opened.error().message;
    catalogue_ = std::make_unique<store::StudyCatalogue>(std::move(opened).value());
    Result<intake::ScanParser> parser = intake::ScanParser::start(settings().parser_program, settings().limits);
    ASSERT_TRUE(parser) << parser.error().message;
    parser_ = std::make_unique<intake::ScanParser>(std::move(parser).value());
  }

  fs::path in(const std::string& name) const { return hospital_.path() / name; }

  // Slices `from` to `to` - 1 of one series; the file of slice s is called by `name`.
  void write_slices(const fs::path& folder, int from, int to, bool reversed = false, int echo = 0) const {
    fs::create_directories(folder);
    for (int slice = from; slice < to; ++slice) {
      DicomBytes bytes = ct_slice(slice, 50 + 2.0 * slice);
      bytes.text({0x0020, 0x000d}, "UI", "1.2.3.4");
      if (echo > 0) {
        bytes.text({0x0008, 0x0018}, "UI", "1.2.9." + std::to_string(100 * echo + slice));
        bytes.text({0x0028, 0x1052}, "DS", std::to_string(echo));  // its own values
      }
      const Bytes file = bytes.file();
      std::ofstream(folder / ("f" + std::to_string(reversed ? kSlices - slice : slice)), std::ios::binary)
          .write(as_text(file).data(), static_cast<std::streamsize>(file.size()));
    }
  }
  void write_scan(const std::string& name, std::uint64_t seed, bool packed = false) const {
    ASSERT_TRUE(
        volume_files::write_nifti(in(name), make_scan({20, 18, 16}, seed), volume_files::VoxelType::int16, packed));
  }

  Result<intake::IngestReport> ingest(const std::vector<intake::StudySource>& sources) {
    return intake::ingest(*catalogue_, sources, settings(), {});
  }
  Result<intake::IngestReport> ingest_folder(const fs::path& folder) {
    FOVEA_TRY_ASSIGN(const intake::FoundStudies found, intake::find_studies({folder}, store::Split::train, *parser_));
    return ingest(found.sources);
  }
  Result<intake::IngestReport> ingest_table(const std::string& rows) {
    FOVEA_TRY_ASSIGN(std::vector<intake::StudySource> sources,
                     intake::parse_manifest("study,patient,image,mask,split,label\n" + rows, hospital_.path()));
    std::vector<intake::NotAScan> left_alone;
    FOVEA_TRY(intake::expand_rows(sources, *parser_, left_alone));
    return ingest(sources);
  }
  std::vector<store::StudyRecord> usable() const {
    std::vector<store::StudyRecord> out = *catalogue_->list();
    std::erase_if(out, [](const store::StudyRecord& record) { return !record.usable; });
    return out;
  }
  static std::string remark_of(const Result<intake::IngestReport>& report) {
    return report && report->remarks.size() == 1 ? report->remarks[0].text : std::string();
  }

  ScratchFolder hospital_, site_;
  std::unique_ptr<store::StudyCatalogue> catalogue_;
  std::unique_ptr<intake::ScanParser> parser_;
};

TEST_F(OneScan, NeitherNamesNorOrderOfItsFilesMakeAnotherStudy) {
  write_slices(in("a"), 0, kSlices);
  write_slices(in("b"), 0, kSlices, true);
  ASSERT_EQ(ingest_folder(in("a"))->ingested, 1u);
  const std::string code = usable()[0].code;
  const Result<intake::IngestReport> again = ingest_folder(in("b"));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->already_there, 1u);
  EXPECT_TRUE(again->remarks.empty());
  ASSERT_EQ(usable().size(), 1u);
  EXPECT_EQ(usable()[0].code, code);
}

TEST_F(OneScan, ACompletedSeriesReplacesItsPartAndErasesIt) {
  write_slices(in("part"), 0, 5);
  write_slices(in("whole"), 0, kSlices);
  ASSERT_EQ(ingest_table("s,CANARY-ID-99,part,,test,1\n")->ingested, 1u);
  const store::StudyRecord part = usable()[0];
  const Result<intake::IngestReport> report = ingest_folder(in("whole"));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->ingested, 1u);
  EXPECT_NE(remark_of(report).find("replaces " + part.code), std::string::npos) << remark_of(report);
  ASSERT_EQ(usable().size(), 1u);
  const store::StudyRecord whole = usable()[0];
  EXPECT_EQ(whole.geometry.size[2], kSlices);
  EXPECT_EQ(whole.split, store::Split::test);
  EXPECT_EQ(whole.label, 1);
  EXPECT_EQ(whole.patient_code, part.patient_code);
  EXPECT_FALSE(fs::exists(part.bricks) || fs::exists(part.level_2mm));
  EXPECT_EQ(catalogue_->find(part.code).error().code, ErrorCode::not_found);

  // The part once more is nothing new.
  const Result<intake::IngestReport> later = ingest_folder(in("part"));
  ASSERT_TRUE(later) << later.error().message;
  EXPECT_EQ(later->already_there, 1u);
  EXPECT_NE(remark_of(later).find(whole.code), std::string::npos) << remark_of(later);
  EXPECT_EQ(usable().size(), 1u);
}

TEST_F(OneScan, TheOtherHalfOfASeriesIsRefusedAndAnotherVolumeOfItIsNot) {
  write_slices(in("half"), 0, 4);
  write_slices(in("rest"), 4, kSlices);
  write_slices(in("echo"), 0, 4, false, 2);
  ASSERT_EQ(ingest_folder(in("half"))->ingested, 1u);
  const Result<intake::IngestReport> rest = ingest_folder(in("rest"));
  ASSERT_TRUE(rest && rest->refused.size() == 1);
  EXPECT_NE(rest->refused[0].reason.find("another part of this series"), std::string::npos) << rest->refused[0].reason;
  EXPECT_EQ(usable().size(), 1u);
  EXPECT_EQ(ingest_folder(in("echo"))->ingested, 1u);
  EXPECT_EQ(usable().size(), 2u);

  const Result<intake::IngestReport> table = ingest_table("a,p,half,,train,0\nb,p,rest,,train,0\n");
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().message.find("line 3: holds other slices of the same series as line 2"), 0u)
      << table.error().message;
}

TEST_F(OneScan, ARefusedPartLeavesTheListWhenTheWholeSeriesComes) {
  write_slices(in("gap"), 0, 4);
  fs::remove(in("gap") / "f2");
  write_slices(in("whole"), 0, kSlices);
  ASSERT_EQ(ingest_folder(in("gap"))->refused.size(), 1u);
  EXPECT_EQ(ingest_folder(in("whole"))->ingested, 1u);
  EXPECT_EQ(catalogue_->list()->size(), 1u);
}

TEST_F(OneScan, RowsThatSayDifferentThingsOfOneScanAreAnErrorWithBothLines) {
  write_scan("a.nii", 1);
  write_scan("b.nii", 2);
  fs::copy_file(in("a.nii"), in("copy.nii"));
  write_slices(in("ct"), 0, kSlices);
  write_slices(in("ct-again"), 0, kSlices, true);
  const std::vector<std::pair<std::string, std::string>> cases{
      {"x,p,a.nii,,train,0\ny,p,b.nii,,train,0\nz,q,copy.nii,,train,0\n",
       "line 4: the same scan as line 2, but with "
       "another patient;"},
      {"x,p,a.nii,,train,0\ny,p,a.nii,,test,0\n", "line 3: the same scan as line 2, but with another split;"},
      {"x,p,a.nii,,train,0\ny,p,copy.nii,,train,1\n", "another label;"},
      {"x,p,a.nii,,train,\ny,p,copy.nii,b.nii,train,\n", "another mask;"},
      {"x,p,ct,,train,0\ny,q,ct-again,,test,0\n", "line 3: the same scan as line 2, but with another patient, split;"}};
  for (const auto& [rows, named] : cases) {
    const Result<intake::IngestReport> report = ingest_table(rows);
    ASSERT_FALSE(report) << rows;
    EXPECT_NE(report.error().message.find(named), std::string::npos) << report.error().message;
    EXPECT_EQ(report.error().code, ErrorCode::invalid_argument);
  }
  EXPECT_TRUE(catalogue_->list()->empty());  // found before anything was changed

  const Result<intake::IngestReport> equal = ingest_table("x,p,a.nii,,train,0\ny,p,copy.nii,,train,0\n");
  ASSERT_TRUE(equal) << equal.error().message;
  EXPECT_EQ(equal->ingested, 1u);
  EXPECT_EQ(equal->already_there, 1u);
  ASSERT_EQ(equal->remarks.size(), 1u);
  EXPECT_EQ(equal->remarks[0].name, "line 3");
  EXPECT_NE(equal->remarks[0].text.find("the same scan"), std::string::npos);
}

TEST_F(OneScan, ARepeatedIngestSaysWhatItChangesAndKeepsWhatNobodySays) {
  write_scan("a.nii", 1);
  ASSERT_EQ(ingest_table("x,p,a.nii,,test,1\n")->ingested, 1u);
  const std::string patient = usable()[0].patient_code;
  // The folder says nothing of split, label and patient.
  const Result<intake::IngestReport> folder = ingest_folder(hospital_.path());
  ASSERT_TRUE(folder) << folder.error().message;
  EXPECT_EQ(folder->already_there, 1u);
  EXPECT_NE(remark_of(folder).find("both stay"), std::string::npos) << remark_of(folder);
  EXPECT_EQ(usable()[0].split, store::Split::test);
  EXPECT_EQ(usable()[0].label, 1);
  EXPECT_EQ(usable()[0].patient_code, patient);

  const Result<intake::IngestReport> table = ingest_table("x,q,a.nii,,train,0\n");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->ingested, 1u);
  EXPECT_EQ(remark_of(table), "changed: split test to train, label 1 to 0, findings not known to 0, another patient");
  EXPECT_EQ(usable().size(), 1u);
  EXPECT_TRUE(ingest_table("x,q,a.nii,,train,0\n")->remarks.empty());
}

// Packed and unpacked, or converted: other bytes, the same voxels in the same places.
TEST_F(OneScan, TheSameVoxelsInOtherFilesAreNoSecondStudy) {
  write_scan("a.nii", 1);
  write_scan("a.nii.gz", 1, true);
  write_scan("b.nii", 2);
  const Result<intake::IngestReport> folder = ingest_folder(hospital_.path());
  ASSERT_TRUE(folder) << folder.error().message;
  EXPECT_EQ(folder->ingested, 2u);
  EXPECT_EQ(folder->already_there, 1u);
  EXPECT_NE(remark_of(folder).find("voxel by voxel"), std::string::npos) << remark_of(folder);
  EXPECT_EQ(ingest_table("x,a,a.nii.gz,,train,\ny,a,a.nii,,train,\n")->refused.size(), 0u);
  EXPECT_EQ(usable().size(), 2u);

  write_scan("c.nii", 3);
  write_scan("c.nii.gz", 3, true);
  const Result<intake::IngestReport> other = ingest_table("x,p,c.nii,,train,0\ny,q,c.nii.gz,,test,0\n");
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ(other->ingested, 1u);
  ASSERT_EQ(other->refused.size(), 1u);
  EXPECT_NE(other->refused[0].reason.find("with another patient, split"), std::string::npos)
      << other->refused[0].reason;
  EXPECT_EQ(usable().size(), 3u);
}

TEST_F(OneScan, TheOriginOfAStudyIsSealedAndForgottenWithIt) {
  write_slices(in("a"), 0, kSlices);
  ASSERT_EQ(ingest_folder(in("a"))->ingested, 1u);
  const std::string series = "CANARY-ID-99\n1.2.3.4\n1.2.3.4.5";
  const Result<std::vector<store::SeriesStudy>> studies = catalogue_->studies_of_series(series);
  ASSERT_TRUE(studies) << studies.error().message;
  ASSERT_EQ(studies->size(), 1u);
  EXPECT_EQ((*studies)[0].origin.instances.size(), static_cast<std::size_t>(kSlices));
  EXPECT_TRUE(catalogue_->studies_of_series("another")->empty());
  const Bytes bytes = *read_file(site_.path() / "catalogue.sqlite", 1 << 20);
  EXPECT_EQ(as_text(bytes).find("1.2.3.4"), std::string_view::npos);
  ASSERT_TRUE(catalogue_->forget((*studies)[0].record.code, 1));
  EXPECT_TRUE(catalogue_->studies_of_series(series)->empty());
}

}  // namespace
}  // namespace fovea::node

// Whole studies: from files to catalogue, with refusals, repeats, sealing and forgetting.
#include "node/intake/ingest.h"

#include <algorithm>
#include <fstream>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "node/intake/parser/memory_budget.h"
#include "node/intake/scan_walk.h"
#include "node/picture/montage.h"
#include "node/store/brick_volume.h"
#include "node/store/catalogue_row.h"
#include "node/store/pyramid.h"
#include "node/store/volume_key.h"
#include "node/volume/intensity.h"
#include "node/volume/volume.h"
#include "node/volume_files/nifti_writer.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCanary = "ZYXW-Canary-Patient-4711";

intake::IngestSettings settings() {
  intake::IngestSettings out;
  out.workers = 2;
  out.parser_program = fs::path(FOVEA_BIN_DIR) / "fovea-scan-parser";
  out.limits = {.memory_bytes = 512ull << 20, .cpu_s = 20, .wall_ms = 30'000};
  return out;
}

void write_text(const fs::path& path, std::string_view text) { ASSERT_TRUE(write_file_durably(path, as_bytes(text))); }

// Three studies: one with two findings, one without, one whose file is no scan.
void make_hospital(const fs::path& folder) {
  volume::Volume scan = make_scan({40, 36, 30}, 1);
  scan.geometry.origin_mm = {-20, 10, 5};
  ASSERT_TRUE(volume_files::write_nifti(folder / "a.nii.gz", scan, volume_files::VoxelType::int16, true));
  volume::Volume mask{scan.geometry, std::vector<float>(scan.voxels.size())};
  for (std::int64_t k = 10; k < 14; ++k)
    for (std::int64_t j = 10; j < 14; ++j)
      for (std::int64_t i = 10; i < 14; ++i) mask.voxels[mask.geometry.offset(i, j, k)] = 3;
  mask.voxels[mask.geometry.offset(30, 30, 25)] = 4;
  mask.voxels[mask.geometry.offset(2, 2, 2)] = 1;
  ASSERT_TRUE(volume_files::write_nifti(folder / "a-mask.nii.gz", mask, volume_files::VoxelType::uint8, true));
  ASSERT_TRUE(
      volume_files::write_nifti(folder / "b.nii", make_scan({33, 31, 29}, 2), volume_files::VoxelType::float32, false));
  write_text(folder / "c.nii", "this is no scan at all, whatever its name says");
  write_text(folder / "studies.csv", std::string("study,patient,image,mask,split,label\n") + "first," + kCanary +
                                         ",a.nii.gz,a-mask.nii.gz,train,1\n" +
                                         "second,\"Other, Patient\",b.nii,,test,0\n" +
                                         "third,third-patient,c.nii,,train,\n");
}

TEST(Ingest, GoodStudiesAreIngestedAndBadOnesRefused) {
  ScratchFolder hospital, site;
  make_hospital(hospital.path());
  const auto sources = intake::read_manifest(hospital.path() / "studies.csv");
  ASSERT_TRUE(sources) << sources.error().message;
  Result<store::StudyCatalogue> catalogue = store::StudyCatalogue::open(site.path(), true);
  ASSERT_TRUE(catalogue) << catalogue.error().message;
  intake::IngestSettings chosen = settings();
  chosen.finding_labels = {3, 4};
  std::size_t last = 0;
  const Result<intake::IngestReport> report =
      intake::ingest(*catalogue, *sources, chosen, [&](const intake::IngestProgress& p) { last = p.done; });
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(last, 3u);
  EXPECT_EQ(report->ingested, 2u);
  ASSERT_EQ(report->refused.size(), 1u);
  EXPECT_EQ(report->refused[0].name, "line 4");
  EXPECT_NE(report->refused[0].reason.find("format"), std::string::npos);

  const Result<std::vector<store::StudyRecord>> train = catalogue->list_usable(store::Split::train);
  ASSERT_TRUE(train);
  ASSERT_EQ(train->size(), 1u);
  const store::StudyRecord& record = train->front();
  EXPECT_EQ(record.label, 1);
  EXPECT_TRUE(record.has_mask);
  ASSERT_EQ(record.findings.size(), 2u);
  EXPECT_EQ(record.findings[0].voxels, 64u);
  for (unsigned a = 0; a < 3; ++a)
    EXPECT_NEAR(record.findings[0].center_mm[a], (volume::Point3{-20, 10, 5})[a] + 11.5, 1e-4);
  Result<store::BrickVolume> bricks = store::BrickVolume::open(record.bricks, record.volume_key);
  ASSERT_TRUE(bricks) << bricks.error().message;
  const Result<volume::Volume> whole = bricks->read_all();
  ASSERT_TRUE(whole);
  volume::Volume expected = make_scan({40, 36, 30}, 1);
  EXPECT_EQ(whole->voxels, expected.voxels);
  const Result<volume::Volume> coarse = store::read_level(record.level_2mm, record.volume_key, 2);
  ASSERT_TRUE(coarse);
  EXPECT_EQ(coarse->geometry.size, (volume::Index3{20, 18, 15}));
  const volume::Volume reference = store::coarse_level(expected.geometry, std::span<const float>(expected.voxels), 2);
  for (std::int64_t k = 0; k < 15; ++k) {
    const std::size_t at = reference.geometry.offset(4, 4, k);
    EXPECT_NEAR(static_cast<double>(coarse->voxels[at]), static_cast<double>(reference.voxels[at]), 0.05);
  }
  const Result<std::vector<store::StudyRecord>> test = catalogue->list_usable(store::Split::test);
  ASSERT_TRUE(test && test->size() == 1);
  EXPECT_TRUE(test->front().has_mask);  // label 0: nothing to find, and that is known
  EXPECT_EQ(catalogue->counts()->refused, 1u);
}

TEST(Ingest, ScansOpenedInMemoryMayUseTheWholeBudgetButNoMore) {
  ScratchFolder hospital, small_site, large_site;
  make_hospital(hospital.path());
  const auto sources = intake::read_manifest(hospital.path() / "studies.csv");
  const std::uint64_t largest = fs::file_size(hospital.path() / "b.nii");
  Result<store::StudyCatalogue> small = store::StudyCatalogue::open(small_site.path(), true),
                                large = store::StudyCatalogue::open(large_site.path(), true);
  ASSERT_TRUE(sources && small && large);
  intake::IngestSettings chosen = settings();
  chosen.workers = 2;
  chosen.scan_files.memory = std::make_shared<intake::MemoryBudget>(largest);
  const Result<intake::IngestReport> enough = intake::ingest(*large, *sources, chosen, {});
  ASSERT_TRUE(enough) << enough.error().message;
  EXPECT_EQ(enough->ingested, 2u);
  chosen.scan_files.memory = std::make_shared<intake::MemoryBudget>(largest - 1);
  const Result<intake::IngestReport> too_little = intake::ingest(*small, *sources, chosen, {});
  ASSERT_TRUE(too_little) << too_little.error().message;
  EXPECT_EQ(too_little->ingested, 1u);
  ASSERT_EQ(too_little->refused.size(), 2u);
  EXPECT_NE(too_little->refused[0].reason.find("intake.memory_megabytes"), std::string::npos)
      << too_little->refused[0].reason;
}

TEST(Ingest, AFileThatChangesWhileItIsReadWaitsAndIsTakenLater) {
  ScratchFolder hospital, site;
  const fs::path scan = hospital.path() / "a.nii";
  ASSERT_TRUE(volume_files::write_nifti(scan, make_scan({20, 20, 20}, 1), volume_files::VoxelType::int16, false));
  Result<store::StudyCatalogue> catalogue = store::StudyCatalogue::open(site.path(), true);
  ASSERT_TRUE(catalogue);
  intake::StudySource source;
  source.name = "a", source.identity = {"a", "p", scan.string(), ""}, source.images = {scan};
  intake::IngestSettings copying = settings(), announced = settings();
  copying.scan_files.open = [](const fs::path& file) {  // somebody else goes on writing behind what is read
    std::ofstream(file, std::ios::app) << "more";
    return intake::open_scan_file(file);
  };
  announced.still_changing = {hospital.path()};
  for (const intake::IngestSettings& still_written : {copying, announced}) {
    const Result<intake::IngestReport> report = intake::ingest(*catalogue, {source}, still_written, {});
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->ingested, 0u);
    ASSERT_EQ(report->refused.size(), 1u);
    EXPECT_EQ(report->refused[0].reason, "files: still being written (ingest again when the copy is finished)");
  }
  const Result<intake::IngestReport> later = intake::ingest(*catalogue, {source}, settings(), {});
  ASSERT_TRUE(later) << later.error().message;
  EXPECT_EQ(later->ingested, 1u);
}

TEST(Ingest, ARepeatedIngestDoesNothingUnlessLabelsChanged) {
  ScratchFolder hospital, site;
  make_hospital(hospital.path());
  const auto sources = intake::read_manifest(hospital.path() / "studies.csv");
  Result<store::StudyCatalogue> catalogue = store::StudyCatalogue::open(site.path(), true);
  ASSERT_TRUE(sources && catalogue);
  ASSERT_EQ(intake::ingest(*catalogue, *sources, settings(), {})->ingested, 2u);
  Result<intake::IngestReport> again = intake::ingest(*catalogue, *sources, settings(), {});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->ingested, 0u);
  EXPECT_EQ(again->already_there, 2u);
  EXPECT_EQ(again->refused.size(), 1u);
  intake::IngestSettings other = settings();
  other.finding_labels = {4};
  again = intake::ingest(*catalogue, *sources, other, {});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->ingested, 2u);
  EXPECT_EQ(catalogue->list_usable(store::Split::train)->front().findings.size(), 1u);
  fs::remove(catalogue->list_usable(store::Split::train)->front().bricks);
  EXPECT_EQ(intake::ingest(*catalogue, *sources, other, {})->ingested, 1u);
}

TEST(Ingest, TheSameContentsUnderTwoNamesAreOneStudy) {
  ScratchFolder hospital, site;
  make_hospital(hospital.path());
  fs::copy_file(hospital.path() / "b.nii", hospital.path() / "copy.nii");
  std::vector<intake::StudySource> sources(2);
  for (std::size_t n = 0; n < 2; ++n) {
    sources[n].name = std::to_string(n);
    sources[n].identity = {std::to_string(n), "p", "", ""};
    sources[n].images = {hospital.path() / (n == 0 ? "b.nii" : "copy.nii")};
  }
  Result<store::StudyCatalogue> catalogue = store::StudyCatalogue::open(site.path(), true);
  ASSERT_TRUE(catalogue);
  const Result<intake::IngestReport> report = intake::ingest(*catalogue, sources, settings(), {});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->ingested, 1u);
  EXPECT_EQ(report->already_there, 1u);
}

TEST(Ingest, AnOffsetShiftsVoxelsLevelsAndStatistics) {
  ScratchFolder hospital, site;
  make_hospital(hospital.path());
  for (const char* file : {"a.nii.gz", "b.nii"}) {
    intake::StudySource source;
    source.identity = {file, "p", file, ""};
    source.images = {hospital.path() / file};
    Result<store::StudyCatalogue> catalogue = store::StudyCatalogue::open(site.path(), true);
    ASSERT_TRUE(catalogue);
    intake::IngestSettings shifted = settings();
    shifted.intensity_offset = -1024;
    ASSERT_EQ(intake::ingest(*catalogue, {source}, shifted, {})->ingested, 1u);
    const store::StudyRecord record = catalogue->list_usable(store::Split::train)->front();
    const volume::Volume scan = std::string_view(file) == "b.nii" ? make_scan({33, 31, 29}, 2)
                                                                  : make_scan({40, 36, 30}, 1);
    const Result<volume::Volume> whole = store::BrickVolume::open(record.bricks, record.volume_key)->read_all();
    EXPECT_FLOAT_EQ(whole->voxels[100], scan.voxels[100] - 1024);
    EXPECT_FLOAT_EQ(record.statistics.minimum, *std::min_element(scan.voxels.begin(), scan.voxels.end()) - 1024);
    EXPECT_LT(store::read_level(record.level_2mm, record.volume_key, 2)->voxels[0], -800);
    ASSERT_TRUE(catalogue->forget(record.code, 1));
  }
}

TEST(Ingest, AMaskOutsideTheScanAndALabelThatContradictsItAreRefused) {
  ScratchFolder hospital, site;
  make_hospital(hospital.path());
  volume::Volume far = make_scan({40, 36, 30}, 1);
  far.geometry.origin_mm = {500, 0, 0};
  for (float& v : far.voxels) v = 0;
  far.voxels[500] = 1;
  ASSERT_TRUE(volume_files::write_nifti(hospital.path() / "far.nii", far, volume_files::VoxelType::uint8, false));
  intake::StudySource elsewhere;
  elsewhere.identity = {"x", "p", "", ""};
  elsewhere.images = {hospital.path() / "a.nii.gz"};
  elsewhere.mask = hospital.path() / "far.nii";
  intake::StudySource contradiction = elsewhere;
  contradiction.images = {hospital.path() / "b.nii"};
  contradiction.label = 0;
  contradiction.mask = hospital.path() / "a-mask.nii.gz";
  Result<store::StudyCatalogue> catalogue = store::StudyCatalogue::open(site.path(), true);
  ASSERT_TRUE(catalogue);
  const Result<intake::IngestReport> report = intake::ingest(*catalogue, {elsewhere, contradiction}, settings(), {});
  ASSERT_TRUE(report);
  ASSERT_EQ(report->refused.size(), 2u);
  EXPECT_NE(report->refused[0].reason.find("outside the scan"), std::string::npos) << report->refused[0].reason;
}

TEST(Ingest, AMissingParserProgramEndsTheIngest) {
  ScratchFolder site;
  Result<store::StudyCatalogue> catalogue = store::StudyCatalogue::open(site.path(), true);
  ASSERT_TRUE(catalogue);
  intake::IngestSettings broken = settings();
  broken.parser_program = site.path() / "none";
  intake::StudySource source;
  source.images = {"/none"};
  EXPECT_EQ(intake::ingest(*catalogue, {source}, broken, {}).error().code, ErrorCode::not_found);
}

// Every byte of every file under the folder.
bool found_anywhere(const fs::path& folder, std::string_view text) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const Result<Bytes> bytes = read_file(entry.path(), 1u << 30);
    if (bytes && as_text(*bytes).find(text) != std::string_view::npos) return true;
    if (entry.path().string().find(text) != std::string::npos) return true;
  }
  return false;
}

TEST(Ingest, EachStudyRecordsWhetherItsBiasFieldWasCorrected) {
  ScratchFolder hospital, site;
  make_hospital(hospital.path());
  const auto sources = intake::read_manifest(hospital.path() / "studies.csv");
  ASSERT_TRUE(sources) << sources.error().message;
  Result<store::StudyCatalogue> catalogue = store::StudyCatalogue::open(site.path(), true);
  ASSERT_TRUE(catalogue) << catalogue.error().message;
  intake::IngestSettings chosen = settings();
  chosen.finding_labels = {3, 4};
  ASSERT_TRUE(intake::ingest(*catalogue, *sources, chosen, {}));
  EXPECT_EQ(store::bias_mismatch(*catalogue->list(), false), "");
  EXPECT_EQ(store::bias_mismatch(*catalogue->list(), true),
            "intake.n4: the plan says true, but 2 of 2 studies here were ingested without N4; ingest them again with "
            "it: fovea-node data ingest … --n4");
  chosen.correct_bias = true;
  const Result<intake::IngestReport> again = intake::ingest(*catalogue, *sources, chosen, {});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->ingested, 2u);
  std::vector<store::StudyRecord> records = *catalogue->list();
  EXPECT_EQ(store::bias_mismatch(records, true), "");
  EXPECT_NE(store::bias_mismatch(records, false).find("2 of 2 studies here were ingested with N4"), std::string::npos);
  for (store::StudyRecord& record : records) record.modality = "CT";
  EXPECT_EQ(store::bias_mismatch(records, false), "");
}

TEST(Catalogue, ARowThatDoesNotSayWhetherN4WasUsedMustBeIngestedAgain) {
  store::StudyRecord record;
  record.geometry.size = {4, 3, 2};
  record.bias_corrected = true;
  Bytes row = store::encode_facts(record);
  EXPECT_TRUE(store::decode_facts(row)->bias_corrected);
  row[0] = 1;                  // the version before
  row.erase(row.begin() + 3);  // had no such byte
  const Result<store::StudyRecord> old = store::decode_facts(row);
  ASSERT_TRUE(old) << old.error().message;
  EXPECT_NE(old->reason.find("ingest it again"), std::string::npos);
  // A row with a reason is not usable, whatever its column says.
  ScratchFolder site;
  Result<store::StudyCatalogue> catalogue = store::StudyCatalogue::open(site.path(), true);
  store::CatalogueEntry entry{std::move(record), {}, "print"};
  entry.record.code = "s-old";
  entry.record.usable = true;
  entry.record.reason = old->reason;
  ASSERT_TRUE(catalogue->add({&entry, 1}));
  EXPECT_FALSE(catalogue->find("s-old")->usable);
  EXPECT_TRUE(catalogue->list_usable(store::Split::train)->empty());
}

TEST(Catalogue, PatientIdentifiersAppearOnlySealedAndCanBeUnsealed) {
  ScratchFolder hospital, site;
  make_hospital(hospital.path());
  const auto sources = intake::read_manifest(hospital.path() / "studies.csv");
  ASSERT_TRUE(sources);
  std::string code;
  {
    Result<store::StudyCatalogue> catalogue = store::StudyCatalogue::open(site.path(), true);
    ASSERT_TRUE(catalogue);
    ASSERT_TRUE(intake::ingest(*catalogue, *sources, settings(), {}));
    code = catalogue->list_usable(store::Split::train)->front().code;
    EXPECT_EQ(catalogue->identity(code)->patient, kCanary);
  }
  ASSERT_TRUE(found_anywhere(hospital.path(), kCanary));  // the search itself works
  EXPECT_FALSE(found_anywhere(site.path(), kCanary));
  EXPECT_FALSE(found_anywhere(site.path(), "a-mask.nii.gz"));
  Result<store::StudyCatalogue> later = store::StudyCatalogue::open(site.path(), false);
  ASSERT_TRUE(later);
  EXPECT_EQ(later->identity(code)->patient, kCanary);
  // With another key the identity stays closed.
  ASSERT_TRUE(write_file_durably(site.path() / "catalogue.key", Bytes(32, 7), FileMode::secret));
  Result<store::StudyCatalogue> stranger = store::StudyCatalogue::open(site.path(), false);
  ASSERT_TRUE(stranger);
  EXPECT_EQ(stranger->identity(code).error().code, ErrorCode::corruption);
}

TEST(Catalogue, ForgettingLeavesOnlyTheErasureRecord) {
  ScratchFolder hospital, site;
  make_hospital(hospital.path());
  const auto sources = intake::read_manifest(hospital.path() / "studies.csv");
  Result<store::StudyCatalogue> catalogue = store::StudyCatalogue::open(site.path(), true);
  ASSERT_TRUE(sources && catalogue);
  ASSERT_TRUE(intake::ingest(*catalogue, *sources, settings(), {}));
  const store::StudyRecord record = catalogue->list_usable(store::Split::train)->front();
  ASSERT_TRUE(fs::exists(record.bricks));
  fs::create_directory(site.path() / "embeddings");
  write_text(site.path() / "embeddings" / (record.code + ".emb"), "sealed");
  ASSERT_TRUE(catalogue->forget(record.code, 123));
  EXPECT_FALSE(fs::exists(site.path() / "embeddings" / (record.code + ".emb")));
  EXPECT_FALSE(fs::exists(record.bricks) || fs::exists(record.level_2mm));
  EXPECT_EQ(catalogue->find(record.code).error().code, ErrorCode::not_found);
  EXPECT_EQ(catalogue->forget(record.code, 124).error().code, ErrorCode::not_found);
}

TEST(Catalogue, CodesDifferBetweenSitesAndAgreeWithinOne) {
  ScratchFolder a, b;
  Result<store::StudyCatalogue> one = store::StudyCatalogue::open(a.path(), true),
                                two = store::StudyCatalogue::open(b.path(), true);
  ASSERT_TRUE(one && two);
  const Bytes digest(32, 1);
  EXPECT_EQ(one->study_code(digest), one->study_code(digest));
  EXPECT_NE(one->study_code(digest), two->study_code(digest));
  EXPECT_NE(one->patient_code("x"), two->patient_code("x"));
  EXPECT_EQ(one->study_code(digest).size(), 12u);
}

TEST(Catalogue, AnAbsentOlderOrDamagedCatalogueIsNamed) {
  ScratchFolder site;
  EXPECT_EQ(store::StudyCatalogue::open(site.path() / "nothing", false).error().code, ErrorCode::not_found);
  { ASSERT_TRUE(store::StudyCatalogue::open(site.path(), true)); }
  const fs::path file = site.path() / "catalogue.sqlite";
  {
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(60 + 3);  // user_version (SQLite's file format)
    bytes.put(2);
  }
  for (const bool create : {false, true}) {
    const Result<store::StudyCatalogue> older = store::StudyCatalogue::open(site.path(), create);
    ASSERT_FALSE(older);
    EXPECT_EQ(older.error().code, ErrorCode::failed_precondition);
    EXPECT_NE(older.error().message.find("version 2"), std::string::npos) << older.error().message;
  }
  write_text(file, std::string(8192, 'x'));
  EXPECT_EQ(store::StudyCatalogue::open(site.path(), false).error().code, ErrorCode::corruption);
  fs::remove(site.path() / "catalogue.key");
  EXPECT_EQ(store::StudyCatalogue::open(site.path(), true).error().code, ErrorCode::permission_denied);
}

TEST(Manifest, RowsAreReadWithQuotesAndAnyColumnOrder) {
  const auto rows = intake::parse_manifest(
      "\xef\xbb\xbfsplit,label,mask,image,patient,study,site\r\ntest,1,m.nii,\"a \"\"x\"\", "
      "b.nii\",P1,S1,here\r\n\r\ntrain,,,c.nii,P2,S2,\r\n",
      "/data");
  ASSERT_TRUE(rows) << rows.error().message;
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[0].images.front(), fs::path("/data/a \"x\", b.nii"));
  EXPECT_EQ((*rows)[0].split, store::Split::test);
  EXPECT_EQ((*rows)[0].label, 1);
  EXPECT_FALSE((*rows)[1].mask);
  EXPECT_FALSE((*rows)[1].label);
}

TEST(Manifest, EachMistakeIsNamedWithItsLine) {
  const std::string header = "study,patient,image,mask,split,label\n";
  const std::vector<std::pair<std::string, std::string>> cases{{"", "empty"},
                                                               {"study,image\n", "patient"},
                                                               {header + "a,p,i.nii,,train\n", "line 2"},
                                                               {header + "a,p,i.nii,,training,1\n", "split"},
                                                               {header + "a,p,i.nii,,train,2\n", "label"},
                                                               {header + ",p,i.nii,,train,1\n", "study"},
                                                               {header + "a,,i.nii,,train,1\n", "patient"},
                                                               {header + "a,p,,,train,1\n", "image"},
                                                               {header + "a,p,i,,train,1\na,p,j,,train,1\n", "line 3"},
                                                               {header + "\"a,p,i,,train,1\n", "quote"},
                                                               {header + "\"a\"b,p,i,,train,1\n", "quote"}};
  for (const auto& [text, named] : cases) {
    const auto rows = intake::parse_manifest(text, "/");
    ASSERT_FALSE(rows) << text;
    EXPECT_NE(rows.error().message.find(named), std::string::npos) << rows.error().message;
  }
}

TEST(ScanWalk, FindsVolumesAndNamesWhatItLeavesAloneOrMisses) {
  ScratchFolder hospital;
  make_hospital(hospital.path());
  fs::create_directories(hospital.path() / "deep" / "er");
  fs::copy_file(hospital.path() / "b.nii", hospital.path() / "deep" / "er" / "d.nii");
  write_text(hospital.path() / ".hidden.nii", "x");
  fs::remove(hospital.path() / "studies.csv");
  write_text(hospital.path() / "points.csv", "x_mm,y_mm,z_mm,radius_mm\n");
  Result<intake::ScanParser> parser = intake::ScanParser::start(settings().parser_program, settings().limits);
  ASSERT_TRUE(parser) << parser.error().message;
  fs::create_symlink(hospital.path() / "b.nii", hospital.path() / "link.nii");  // and it is no study of its own
  const Result<intake::FoundStudies> found = intake::find_studies({hospital.path()}, store::Split::test, *parser);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->sources.size(), 5u);
  ASSERT_EQ(found->not_scans.size(), 2u);
  EXPECT_NE(found->not_scans[0].reason.find("--points"), std::string::npos) << found->not_scans[0].reason;
  EXPECT_NE(found->not_scans[1].reason.find("link"), std::string::npos) << found->not_scans[1].reason;
  EXPECT_EQ(found->sources[0].split, store::Split::test);
  EXPECT_EQ(intake::find_studies({hospital.path() / "none"}, store::Split::test, *parser).error().code,
            ErrorCode::not_found);
}

TEST(Montage, DrawsABoxAroundTheFindingAndWritesAPng) {
  ScratchFolder folder;
  const volume::Volume scan = make_scan({60, 50, 40}, 3);
  const store::VolumeKey key = store::fresh_volume_key();
  const Result<volume::IntensityStatistics> statistics =
      volume::intensity_statistics(std::span<const float>(scan.voxels));
  ASSERT_TRUE(store::write_brick_volume(folder.path() / "a.bricks", key,
                                        {scan.geometry, *statistics, std::span<const float>(scan.voxels)}));
  Result<store::BrickVolume> volume = store::BrickVolume::open(folder.path() / "a.bricks", key);
  ASSERT_TRUE(volume);
  const Result<picture::Picture> picture = picture::draw_montage(
      *volume, {{brightest_point(scan), 10, {255, 0, 0}, "6 MM"}}, {.tiles_max = 4, .tile_pixels = 120});
  ASSERT_TRUE(picture);
  EXPECT_EQ(picture->width(), 120);
  std::size_t red = 0;
  for (std::size_t p = 0; p < picture->pixels().size(); p += 3)
    red += picture->pixels()[p] == 255 && picture->pixels()[p + 1] == 0 ? 1u : 0u;
  EXPECT_GT(red, 70u);  // four sides of twenty pixels, and the caption
  ASSERT_TRUE(picture::write_png(folder.path() / "a.png", *picture));
  ASSERT_TRUE(picture::write_png(folder.path() / "b.png", *picture, picture::PngColour::grey));
  const Result<Bytes> png = read_file(folder.path() / "a.png", 1 << 20);
  ASSERT_TRUE(png);
  EXPECT_EQ(as_text(*png).substr(1, 3), "PNG");
  EXPECT_EQ(as_text(*png).find("tEXt"), std::string_view::npos);
  EXPECT_FALSE(picture::write_png(folder.path() / "none" / "a.png", *picture));
  EXPECT_FALSE(picture::draw_montage(*volume, {}, {.tiles_max = 4, .tile_pixels = 5}));

  // Two boxes in one slice: in the first tile the first is bright and the second dim, in the second tile the other way.
  const Result<picture::Picture> both = picture::draw_montage(
      *volume, {{brightest_point(scan), 10, {255, 0, 0}, ""}, {brightest_point(scan), 20, {0, 254, 0}, ""}},
      {.tiles_max = 2, .tile_pixels = 120});
  ASSERT_TRUE(both);
  const auto count = [&](picture::Rgb colour, int left) {
    std::size_t found = 0;
    for (int y = 0; y < both->height(); ++y)
      for (int x = left; x < left + 120; ++x) {
        const auto at = both->pixels().begin() + 3 * (y * both->width() + x);
        found += std::equal(colour.begin(), colour.end(), at) ? 1u : 0u;
      }
    return found;
  };
  EXPECT_GT(count({255, 0, 0}, 0), 60u);
  EXPECT_GT(count({0, 127, 0}, 0), 100u);
  EXPECT_EQ(count({0, 254, 0}, 0), 0u);
  EXPECT_GT(count({0, 254, 0}, 120), 100u);
  EXPECT_EQ(count({255, 0, 0}, 120), 0u);
}

}  // namespace
}  // namespace fovea::node

// Series as scanners and exports really file them: a scout among the slices, two acquisitions in one series, objects
// without a preamble, transfer syntaxes and archives that are not read.
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/bytes.h"
#include "node/intake/manifest.h"
#include "node/intake/parser/scan_parser.h"
#include "node/intake/scan_walk.h"
#include "node/store/study_catalogue.h"
#include "tests/support/dicom_files.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

namespace fs = std::filesystem;

intake::ScanParser started() {
  Result<intake::ScanParser> parser = intake::ScanParser::start(
      fs::path(FOVEA_BIN_DIR) / "fovea-scan-parser", {.memory_bytes = 1ull << 30, .cpu_s = 30, .wall_ms = 60'000});
  if (!parser) ADD_FAILURE() << parser.error().message;
  return std::move(parser).value();
}

void put(const fs::path& path, ByteView bytes) {
  std::ofstream(path, std::ios::binary).write(as_text(bytes).data(), static_cast<std::streamsize>(bytes.size()));
}

// Slice `number` of many, at `z_mm`; nothing else of ct_slice() changes.
DicomBytes slice_at(int number, double z_mm, const char* acquisition = "1") {
  DicomBytes out = ct_slice(number, z_mm);
  out.text({0x0020, 0x0012}, "IS", acquisition);
  out.text({0x0018, 0x0050}, "DS", "2");
  return out;
}

fs::path file_in(const fs::path& folder, int number) { return folder / ("f" + std::to_string(100 + number)); }

Result<std::vector<intake::StudySource>> sources_in(const fs::path& folder, intake::ScanParser& parser) {
  FOVEA_TRY_ASSIGN(intake::FoundStudies found, intake::find_studies({folder}, store::Split::train, parser));
  return std::move(found.sources);
}

std::string reason_in(const fs::path& folder, intake::ScanParser& parser) {
  const Result<intake::FoundStudies> found = intake::find_studies({folder}, store::Split::train, parser);
  if (!found) return found.error().message;
  return found->not_scans.empty() ? "nothing left alone" : found->not_scans.front().reason;
}

TEST(OddSeries, AScoutAmongTheSlicesIsLeftOutAndSaid) {
  ScratchFolder folder;
  intake::ScanParser parser = started();
  std::vector<fs::path> files;
  for (int slice = 0; slice < 16; ++slice) {
    files.push_back(file_in(folder.path(), slice));
    put(files.back(), slice_at(slice, 50 + 2.0 * slice).file());
  }
  const Result<intake::ParsedVolume> alone = parser.read_series(files);
  ASSERT_TRUE(alone) << alone.error().message;
  EXPECT_EQ(alone->note(), "");
  DicomBytes scout = slice_at(99, 60);
  scout.text({0x0020, 0x0037}, "DS", "1\\0\\0\\0\\0\\-1");
  scout.us({0x0028, 0x0010}, 3), scout.us({0x0028, 0x0011}, 10);
  files.insert(files.begin(), file_in(folder.path(), -1));
  put(files.front(), scout.file());
  const Result<intake::ParsedVolume> with_scout = parser.read_series(files);
  ASSERT_TRUE(with_scout) << with_scout.error().message;
  EXPECT_EQ(with_scout->geometry(), alone->geometry());
  EXPECT_NE(with_scout->note().find("1 slice across the others (a localizer)"), std::string::npos)
      << with_scout->note();
  EXPECT_EQ(*parser.count_volumes(files), 1u);
  // Among few slices, or beside a stack that is not whole, nobody can tell which are the scan.
  const Result<intake::ParsedVolume> few = parser.read_series(std::vector<fs::path>(files.begin(), files.begin() + 6));
  ASSERT_FALSE(few);
  EXPECT_NE(few.error().message.find("localizer"), std::string::npos) << few.error().message;
  files.erase(files.begin() + 8);
  EXPECT_FALSE(parser.read_series(files));
}

TEST(OddSeries, AcquisitionsThatCoverTheSamePlaceAreVolumesOfTheirOwn) {
  intake::ScanParser parser = started();
  struct Series {
    const char* what;
    double shift_mm;
    int slices;
    std::size_t volumes;
  };
  for (const auto& [what, shift_mm, slices, volumes] :
       {Series{"the same places", 0, 10, 2}, Series{"between each other's slices", 1, 10, 2},
        Series{"unequal numbers", 0, 7, 2}, Series{"a short overlap", 16, 10, 2},
        Series{"one after the other", 20, 10, 1}}) {
    ScratchFolder folder;
    for (int slice = 0; slice < 10; ++slice)
      put(file_in(folder.path(), slice), slice_at(slice, 50 + 2.0 * slice).file());
    for (int slice = 0; slice < slices; ++slice)
      put(file_in(folder.path(), 20 + slice), slice_at(20 + slice, 50 + shift_mm + 2.0 * slice, "2").file());
    const auto sources = sources_in(folder.path(), parser);
    ASSERT_TRUE(sources) << sources.error().message;
    ASSERT_EQ(sources->size(), volumes) << what;
    for (const intake::StudySource& source : *sources) {
      const Result<intake::ParsedVolume> read = parser.read_series(source.images, source.part);
      ASSERT_TRUE(read) << what << ": " << read.error().message;
      const std::int64_t expected = volumes == 1 ? 20 : source.part == 0 ? 10 : slices;
      EXPECT_EQ(read->geometry().size[2], expected) << what;
      EXPECT_EQ(read->geometry().spacing_mm[2], 2) << what;
    }
  }
}

TEST(OddSeries, InterleavedHalvesOfOneScanStayOne) {
  ScratchFolder folder;
  intake::ScanParser parser = started();
  for (int slice = 0; slice < 12; ++slice)  // 2 mm thick, 4 mm apart in each half
    put(file_in(folder.path(), slice), slice_at(slice, 50 + 2.0 * slice, slice % 2 == 0 ? "1" : "2").file());
  const auto sources = sources_in(folder.path(), parser);
  ASSERT_TRUE(sources && sources->size() == 1);
  const Result<intake::ParsedVolume> read = parser.read_series(sources->front().images, sources->front().part);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->geometry().size[2], 12);
}

TEST(OddSeries, ATransferSyntaxThatIsNotDecodedIsNamedByFolderAndByTable) {
  ScratchFolder folder;
  intake::ScanParser parser = started();
  for (const char* syntax :
       {"1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.203", "1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.102"}) {
    std::vector<fs::path> files;
    for (int slice = 0; slice < 3; ++slice) {
      files.push_back(file_in(folder.path(), slice));
      put(files.back(), slice_at(slice, 50 + 2.0 * slice).file(syntax));
    }
    const std::string by_folder = reason_in(folder.path(), parser);
    EXPECT_NE(by_folder.find(syntax), std::string::npos) << by_folder;
    EXPECT_NE(by_folder.find("decompress()"), std::string::npos) << by_folder;
    const Result<intake::ParsedVolume> by_table = parser.read_series(files), one = parser.read_volume(files.front());
    ASSERT_FALSE(by_table);
    ASSERT_FALSE(one);
    EXPECT_NE(by_table.error().message.find(syntax), std::string::npos) << by_table.error().message;
    EXPECT_NE(one.error().message.find(syntax), std::string::npos) << one.error().message;
  }
}

TEST(OddSeries, FilesThatAreNoDicomAreNamedByFolderAndByTable) {
  intake::ScanParser parser = started();
  std::string tar(600, '\0');
  tar.replace(257, 5, "ustar");
  const std::pair<std::string, const char*> cases[] = {{"PK\x03\x04 and so on", "zip archive"},
                                                       {tar, "tar archive"},
                                                       {"just a note", "not DICOM"},
                                                       {"NRRD0005\ntype: short\ndata file: b.raw\n\n", "another file"}};
  for (const auto& [bytes, named] : cases) {
    ScratchFolder folder;
    put(folder.path() / "file", as_bytes(bytes));
    const std::string by_folder = reason_in(folder.path(), parser);
    EXPECT_NE(by_folder.find(named), std::string::npos) << by_folder;
    const Result<intake::ParsedVolume> by_table = parser.read_volume(folder.path() / "file");
    ASSERT_FALSE(by_table);
    EXPECT_NE(by_table.error().message.find(named), std::string::npos) << by_table.error().message;
  }
  ScratchFolder pair;
  std::string header(352, '\0');
  header.replace(0, 4, std::string("\x5c\x01\0\0", 4)).replace(344, 3, "ni1");
  put(pair.path() / "c.hdr", as_bytes(header));
  put(pair.path() / "c.img", as_bytes(std::string(2000, 'v')));
  const Result<intake::FoundStudies> found = intake::find_studies({pair.path()}, store::Split::train, parser);
  ASSERT_TRUE(found && found->not_scans.size() == 2u && found->sources.empty());
  for (const intake::NotAScan& left : found->not_scans)
    EXPECT_NE(left.reason.find("two files"), std::string::npos) << left.reason;
}

TEST(OddSeries, AnObjectWithoutItsPreambleIsReadByFolderAndByTable) {
  ScratchFolder folder;
  intake::ScanParser parser = started();
  std::vector<fs::path> files;
  for (int slice = 0; slice < 4; ++slice) {
    const Bytes whole = slice_at(slice, 50 + 2.0 * slice).file();
    files.push_back(file_in(folder.path(), slice));
    put(files.back(), ByteView(whole).subspan(132));
  }
  const auto sources = sources_in(folder.path(), parser);
  ASSERT_TRUE(sources && sources->size() == 1);
  const Result<intake::ParsedVolume> series = parser.read_series(sources->front().images),
                                     one = parser.read_volume(files.front());
  ASSERT_TRUE(series) << series.error().message;
  ASSERT_FALSE(one);
  EXPECT_NE(one.error().message.find("single slice"), std::string::npos) << one.error().message;
}

}  // namespace
}  // namespace fovea::node

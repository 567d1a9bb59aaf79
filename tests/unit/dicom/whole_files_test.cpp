// DICOM files that are not all there: refused, whatever of them is missing, and never taken with zeros in its place or
// as a shorter series. Beside each refusal stands what is taken.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>

#include "common/bytes.h"
#include "node/intake/ingest.h"
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

using Harm = std::function<Bytes(Bytes)>;
Bytes unharmed(Bytes file) { return file; }
Harm cut_by(std::size_t bytes) {
  return [bytes](Bytes file) {
    file.resize(file.size() - bytes);
    return file;
  };
}
Harm cut_to(std::size_t bytes) {
  return [bytes](Bytes file) {
    file.resize(bytes);
    return file;
  };
}

constexpr int kSlices = 5;

// Five slices 2 mm apart, of which the last one was harmed.
std::vector<fs::path> write_series(const fs::path& folder, const Harm& harm, const std::string& ending = ".dcm",
                                   const std::function<void(DicomBytes&)>& change = {}) {
  std::vector<fs::path> out;
  for (int slice = 0; slice < kSlices; ++slice) {
    DicomBytes bytes = ct_slice(slice, 50 + 2.0 * slice);
    if (change) change(bytes);
    out.push_back(folder / ("IM" + std::to_string(slice) + ending));
    put(out.back(), slice + 1 < kSlices ? bytes.file() : harm(bytes.file()));
  }
  return out;
}

std::string why(const Result<intake::ParsedVolume>& read) { return read ? "taken" : read.error().message; }

TEST(WholeFiles, ASliceWithoutAllOfItsPixelsRefusesItsSeries) {
  intake::ScanParser parser = started();
  const ScratchFolder whole, cut, header;
  EXPECT_EQ(why(parser.read_series(write_series(whole.path(), unharmed))), "taken");
  EXPECT_NE(why(parser.read_series(write_series(cut.path(), cut_by(30))))
                .find("30 of the 60 bytes that the header asks for (cut off"),
            std::string::npos);
  EXPECT_NE(why(parser.read_series(write_series(header.path(), cut_to(300)))).find("cut off"), std::string::npos);
}

TEST(WholeFiles, ABlankSliceRefusesItsSeriesAndATextBesideItDoesNot) {
  intake::ScanParser parser = started();
  const ScratchFolder blank, text;
  EXPECT_NE(why(parser.read_series(write_series(blank.path(), [](const Bytes& file) { return Bytes(file.size()); })))
                .find("nothing but zeros"),
            std::string::npos);
  std::vector<fs::path> files = write_series(text.path(), unharmed);
  files.push_back(text.path() / "README");
  put(files.back(), as_bytes("THE SLICES OF A SERIES"));
  EXPECT_EQ(why(parser.read_series(files)), "taken");
}

// 30 pixels of two bytes: a segment for each, in which one byte is repeated.
Bytes run_length(std::size_t repeats) {
  Bytes frame(64);
  frame[0] = 2, frame[4] = 64, frame[8] = 66;
  for (int segment = 0; segment < 2; ++segment)
    frame.push_back(static_cast<std::uint8_t>(257 - repeats)), frame.push_back(static_cast<std::uint8_t>(segment + 1));
  return frame;
}

// The fragments of one frame, behind an empty offset table.
Bytes encapsulated(const Bytes& frame) {
  Bytes out{0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0, 0xfe, 0xff, 0x00, 0xe0, static_cast<std::uint8_t>(frame.size()),
            0,    0,    0};
  out.insert(out.end(), frame.begin(), frame.end());
  for (const int byte : {0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0}) out.push_back(static_cast<std::uint8_t>(byte));
  return out;
}

// A file whose pixels are compressed: what DicomBytes writes, with an undefined length.
Bytes compressed(int slice, const Bytes& frame, const char* syntax) {
  DicomBytes bytes = ct_slice(slice, 50 + 2.0 * slice);
  bytes.bytes({0x7fe0, 0x0010}, "OB", encapsulated(frame));
  Bytes file = bytes.file(syntax);
  const std::size_t length = file.size() - encapsulated(frame).size() - 4;
  for (std::size_t n = 0; n < 4; ++n) file[length + n] = 0xff;
  return file;
}

TEST(WholeFiles, AStreamThatStopsShortInAWholeFileIsRefused) {
  constexpr const char* kRunLength = "1.2.840.10008.1.2.5";
  intake::ScanParser parser = started();
  for (const std::size_t repeats : {30u, 29u}) {
    const ScratchFolder folder;
    std::vector<fs::path> files;
    for (int slice = 0; slice < kSlices; ++slice) {
      files.push_back(folder.path() / std::to_string(slice));
      put(files.back(), compressed(slice, run_length(slice == 2 ? repeats : 30), kRunLength));
    }
    const std::string answer = why(parser.read_series(files));
    if (repeats == 30) EXPECT_EQ(answer, "taken");
    else EXPECT_NE(answer.find("29 of the 30 pixels"), std::string::npos) << answer;
  }
}

struct Ingested {
  intake::FoundStudies found;
  intake::IngestReport report;
};

Result<Ingested> ingest_folder(const fs::path& folder, const fs::path& site) {
  intake::ScanParser parser = started();
  Ingested out;
  FOVEA_TRY_ASSIGN(out.found, intake::find_studies({folder}, store::Split::train, parser));
  intake::IngestSettings settings;
  settings.parser_program = fs::path(FOVEA_BIN_DIR) / "fovea-scan-parser";
  settings.limits = {.memory_bytes = 1ull << 30, .cpu_s = 30, .wall_ms = 60'000};
  FOVEA_TRY_ASSIGN(store::StudyCatalogue catalogue, store::StudyCatalogue::open(site, true));
  FOVEA_TRY_ASSIGN(out.report, intake::ingest(catalogue, out.found.sources, settings, {}));
  return out;
}

// What became of a folder's one series, and which files were left alone.
std::string fate_of(const fs::path& folder) {
  const ScratchFolder site;
  const Result<Ingested> done = ingest_folder(folder, site.path());
  if (!done) return done.error().message;
  if (done->report.ingested == 1) return "taken";
  return done->report.refused.size() == 1 ? done->report.refused[0].reason : "neither";
}

bool is_damaged(const std::string& fate) { return fate.find("damaged") != std::string::npos; }

TEST(WholeFiles, ADamagedLastSliceMakesNoShorterSeries) {
  const Bytes whole = ct_slice(kSlices - 1, 50).file();
  const std::vector<std::pair<const char*, Harm>> harms{
      {"empty", cut_to(0)},
      {"cut in its preamble", cut_to(100)},
      {"cut behind its preamble", cut_to(140)},
      {"cut in its header", cut_to(260)},
      {"cut behind its series", cut_by(80)},
      {"cut in its pixels", cut_by(4)},
      {"blank", [](const Bytes& file) { return Bytes(file.size()); }},
      {"overwritten", [](const Bytes& file) { return Bytes(file.size(), 0x5a); }}};
  for (const std::string ending : {".dcm", ""}) {
    const ScratchFolder sound;
    write_series(sound.path(), unharmed, ending);
    EXPECT_EQ(fate_of(sound.path()), "taken");
    for (const auto& [what, harm] : harms) {
      const ScratchFolder folder;
      write_series(folder.path(), harm, ending);
      EXPECT_TRUE(is_damaged(fate_of(folder.path()))) << what << ": " << fate_of(folder.path());
    }
  }
}

TEST(WholeFiles, OnlyTheSeriesOfADamagedFileIsRefusedWhereItIsKnown) {
  const ScratchFolder folder, site;
  write_series(folder.path(), cut_by(4));
  for (int slice = 0; slice < kSlices; ++slice) {
    DicomBytes bytes = ct_slice(slice + 10, 50 + 2.0 * slice);
    bytes.text({0x0020, 0x000e}, "UI", "1.2.3.4.6");
    bytes.text({0x0008, 0x0018}, "UI", "1.2.4." + std::to_string(slice));
    put(folder.path() / ("other" + std::to_string(slice) + ".dcm"), bytes.file());
  }
  const Result<Ingested> done = ingest_folder(folder.path(), site.path());
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->report.ingested, 1u);
  ASSERT_EQ(done->report.refused.size(), 1u);
  EXPECT_TRUE(is_damaged(done->report.refused[0].reason));
}

TEST(WholeFiles, OtherFilesBesideASeriesDoNotRefuseIt) {
  const ScratchFolder folder;
  write_series(folder.path(), unharmed);
  put(folder.path() / "README.txt", as_bytes("five slices"));
  put(folder.path() / "COMPLETE", {});
  DicomBytes report;
  report.text({0x0008, 0x0016}, "UI", "1.2.840.10008.5.1.4.1.1.88.11");
  report.text({0x0020, 0x000e}, "UI", "1.2.3.4.7");
  Bytes cut = report.file();
  cut.resize(cut.size() - 3);
  put(folder.path() / "report.dcm", cut);
  EXPECT_EQ(fate_of(folder.path()), "taken");
  const ScratchFolder site;
  const Result<Ingested> done = ingest_folder(folder.path(), site.path());
  ASSERT_TRUE(done);
  EXPECT_EQ(done->found.not_scans.size(), 3u);
}

TEST(WholeFiles, ACutFileThatIsAllOfItsSeriesIsRefusedByName) {
  const ScratchFolder folder;
  Bytes alone = ct_slice(0, 50).file();
  alone.resize(alone.size() - 4);
  put(folder.path() / "alone.dcm", alone);
  EXPECT_NE(fate_of(folder.path()).find("56 of the 60 bytes"), std::string::npos) << fate_of(folder.path());
}

DicomBytes structure_set() {
  DicomBytes out, region, contour, item, names;
  out.text({0x0008, 0x0016}, "UI", "1.2.840.10008.5.1.4.1.1.481.3");
  out.text({0x0008, 0x0060}, "CS", "RTSTRUCT");
  names.text({0x3006, 0x0022}, "IS", "1");
  out.sequence({0x3006, 0x0020}, names);
  contour.text({0x3006, 0x0042}, "CS", "CLOSED_PLANAR");
  contour.text({0x3006, 0x0046}, "IS", "4");
  contour.text({0x3006, 0x0050}, "DS", "-9.4\\20.5\\54\\-8.1\\20.5\\54\\-8.1\\22.3\\54\\-9.4\\22.3\\54");
  region.sequence({0x3006, 0x0040}, contour);
  region.text({0x3006, 0x0084}, "IS", "1");
  out.sequence({0x3006, 0x0039}, std::vector<DicomBytes>{region, region});
  return out;
}

TEST(WholeFiles, LabelsThatAreNotAllThereRefuseTheirScan) {
  intake::ScanParser parser = started();
  const ScratchFolder folder;
  const fs::path whole = folder.path() / "whole.dcm", cut = folder.path() / "cut.dcm";
  Bytes file = structure_set().file();
  put(whole, file);
  volume::VolumeGeometry grid;
  grid.size = {6, 5, 5};
  grid.spacing_mm = {0.5, 0.8, 2};
  grid.origin_mm = {-10, 20, 50};
  EXPECT_EQ(why(parser.read_labels(whole, {grid, 0})), "taken");
  for (const std::size_t missing : {1u, 10u, 60u, 150u}) {
    put(cut, ByteView(file).first(file.size() - missing));
    EXPECT_NE(why(parser.read_labels(cut, {grid, 0})).find("cut off"), std::string::npos) << missing;
  }
}

TEST(WholeFiles, CutLabelsBesideAScanAreNotForgotten) {
  Bytes labels = structure_set().file();
  labels.resize(labels.size() - 10);
  for (const fs::path place : {"ct/labels.dcm", "labels.dcm", "rt/labels.dcm"}) {
    const ScratchFolder folder;
    fs::create_directory(folder.path() / "ct");
    fs::create_directory(folder.path() / "rt");
    write_series(folder.path() / "ct", unharmed);
    put(folder.path() / place, labels);
    const std::string fate = fate_of(folder.path());
    EXPECT_EQ(fate.find("mask: "), 0u) << fate;
  }
}

// Without rights there is nothing to see for root, either.
TEST(WholeFiles, AFolderThatMayNotBeReadIsNamed) {
  const ScratchFolder folder;
  fs::permissions(folder.path(), fs::perms::owner_all | fs::perms::group_all | fs::perms::others_all);
  fs::create_directory(folder.path() / "closed");
  write_series(folder.path(), unharmed);
  intake::ScanParser parser = started();
  fs::permissions(folder.path() / "closed", fs::perms::none);
  const bool is_root = ::geteuid() == 0;
  ASSERT_TRUE(!is_root || ::seteuid(65534) == 0);
  const Result<intake::FoundStudies> found = intake::find_studies({folder.path()}, store::Split::train, parser);
  ASSERT_TRUE(!is_root || ::seteuid(0) == 0);
  fs::permissions(folder.path() / "closed", fs::perms::owner_all);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->sources.size(), 1u);
  ASSERT_EQ(found->not_scans.size(), 1u);
  EXPECT_EQ(found->not_scans[0].file, folder.path() / "closed");
  EXPECT_NE(found->not_scans[0].reason.find("may not read"), std::string::npos);
}

}  // namespace
}  // namespace fovea::node

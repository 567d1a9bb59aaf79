// The sandboxed parser: good files come through unharmed, hostile ones are refused by name, and a parser that dies
// of a file reads the next one.
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <utility>
#include <variant>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "node/intake/formats/scan_facts.h"
#include "node/intake/parser/scan_parser.h"
#include "node/intake/parser/scan_protocol.h"
#include "node/volume/intensity.h"
#include "node/volume/volume.h"
#include "node/volume_files/nifti_writer.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

constexpr intake::ParserLimits kLimits{.memory_bytes = 512ull << 20, .cpu_s = 20, .wall_ms = 30'000};

intake::ScanParser started(const intake::ParserLimits& limits = kLimits) {
  Result<intake::ScanParser> parser =
      intake::ScanParser::start(std::filesystem::path(FOVEA_BIN_DIR) / "fovea-scan-parser", limits);
  if (!parser) ADD_FAILURE() << parser.error().message;
  return std::move(parser).value();
}

Bytes contents(const std::filesystem::path& path) {
  Result<Bytes> bytes = read_file(path, 1 << 30);
  if (!bytes) ADD_FAILURE() << bytes.error().message;
  return std::move(bytes).value_or(Bytes{});
}

void put(const std::filesystem::path& path, ByteView bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(as_text(bytes).data(), static_cast<std::streamsize>(bytes.size()));
}

Bytes packed(ByteView bytes) {
  Bytes out(compressBound(static_cast<uLong>(bytes.size())) + 64);
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = const_cast<std::uint8_t*>(bytes.data());
  stream.avail_in = static_cast<unsigned>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<unsigned>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

template <class T>
void set_field(Bytes& file, std::size_t offset, T value) {
  std::memcpy(file.data() + offset, &value, sizeof value);
}

// A sound 12×10×8 int16 NIfTI-1 file as bytes.
Bytes sound_nifti(const std::filesystem::path& folder) {
  volume::Volume scan = make_scan({12, 10, 8}, 7);
  scan.geometry.spacing_mm = {1, 1.5, 2};
  EXPECT_TRUE(volume_files::write_nifti(folder / "sound.nii", scan, volume_files::VoxelType::int16, false));
  return contents(folder / "sound.nii");
}

TEST(ScanParser, ReadsWhatTheTrustedReaderReadsThroughFlipsAndObliqueness) {
  ScratchFolder folder;
  intake::ScanParser parser = started();
  volume::Volume scan = make_scan({21, 18, 15}, 5);
  scan.geometry.direction = turned(95, 170);
  scan.geometry.origin_mm = {-12, 40, 5};
  scan.geometry.spacing_mm = {0.7, 0.9, 2};
  const volume::Point3 bright = brightest_point(scan);
  for (const bool gzip : {false, true})
    for (const volume_files::VoxelType type : {volume_files::VoxelType::int16, volume_files::VoxelType::float32}) {
      const auto path = folder.path() / (gzip ? "scan.nii.gz" : "scan.nii");
      ASSERT_TRUE(volume_files::write_nifti(path, scan, type, gzip));
      const Result<intake::ParsedVolume> read = parser.read_volume(path);
      ASSERT_TRUE(read) << read.error().message;
      ASSERT_EQ(volume::voxel_count(read->voxels()), scan.voxels.size());
      // Whole numbers are kept as int16 whatever the file's type.
      const auto span = std::get<std::span<const std::int16_t>>(read->voxels());
      const volume::Volume copy{read->geometry(), std::vector<float>(span.begin(), span.end())};
      const volume::Point3 found = brightest_point(copy);
      EXPECT_LT((found - bright).norm(), 1e-3);
    }
}

TEST(ScanParser, TruncationAtEveryStructureIsRefusedAndTheNextFileRead) {
  ScratchFolder folder;
  const Bytes sound = sound_nifti(folder.path());
  const Bytes gz = packed(sound);
  intake::ScanParser parser = started();
  const auto path = folder.path() / "cut.nii";
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{4}, std::size_t{40}, std::size_t{112}, std::size_t{347},
        std::size_t{348}, std::size_t{351}, std::size_t{352}, std::size_t{353}, sound.size() / 2, sound.size() - 1}) {
    put(path, ByteView(sound).first(size));
    const Result<intake::ParsedVolume> read = parser.read_volume(path);
    ASSERT_FALSE(read) << size;
    EXPECT_EQ(read.error().code, ErrorCode::invalid_argument) << size << ": " << read.error().message;
  }
  for (std::size_t size = 1; size < gz.size(); size += 7) {
    put(path, ByteView(gz).first(size));
    const Result<intake::ParsedVolume> read = parser.read_volume(path);
    ASSERT_FALSE(read) << size;
    EXPECT_EQ(read.error().code, ErrorCode::invalid_argument) << size << ": " << read.error().message;
  }
  put(path, gz);
  EXPECT_TRUE(parser.read_volume(path));
}

struct Hostile {
  const char* what;
  std::function<void(Bytes&)> harm;
  const char* named;  // must stand in the message
};

TEST(ScanParser, EachHostileHeaderIsRefusedByName) {
  ScratchFolder folder;
  const Bytes sound = sound_nifti(folder.path());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<Hostile> cases = {
      {"gigabytes claimed",
       [](Bytes& f) {
         for (std::size_t a = 0; a < 3; ++a) set_field<std::int16_t>(f, 42 + 2 * a, 4000);
       },
       "size"},
      {"more than there is", [](Bytes& f) { set_field<std::int16_t>(f, 42, 400); }, "voxels"},
      {"axis too long", [](Bytes& f) { set_field<std::int16_t>(f, 42, 32767); }, "size"},
      {"negative size", [](Bytes& f) { set_field<std::int16_t>(f, 44, -5); }, "size"},
      {"zero size", [](Bytes& f) { set_field<std::int16_t>(f, 44, 0); }, "size"},
      {"two dimensions", [](Bytes& f) { set_field<std::int16_t>(f, 40, 2); }, "dim[0]"},
      {"one slice", [](Bytes& f) { set_field<std::int16_t>(f, 46, 1); }, "size"},
      {"a time series", [](Bytes& f) { set_field<std::int16_t>(f, 40, 4), set_field<std::int16_t>(f, 48, 9); },
       "dim[4]"},
      {"absurd dim[0]", [](Bytes& f) { set_field<std::int16_t>(f, 40, 1000); }, "dim[0]"},
      {"colour", [](Bytes& f) { set_field<std::int16_t>(f, 70, 128), set_field<std::int16_t>(f, 72, 24); }, "datatype"},
      {"bits that lie", [](Bytes& f) { set_field<std::int16_t>(f, 72, 8); }, "bitpix"},
      {"intercept not a number", [nan](Bytes& f) { set_field(f, 112, 1.0f), set_field(f, 116, nan); }, "scl_slope"},
      {"zero spacing",
       [](Bytes& f) {
         for (std::size_t a = 0; a < 12; ++a) set_field(f, 280 + 4 * a, 0.0f);
       },
       "spacing"},
      {"spacing not a number", [nan](Bytes& f) { set_field(f, 280, nan); }, "spacing"},
      {"singular transform",
       [](Bytes& f) {
         for (std::size_t row = 0; row < 3; ++row)
           set_field(f, 280 + 16 * row, 1.0f), set_field(f, 284 + 16 * row, 1.0f);
       },
       "direction"},
      {"origin infinite", [](Bytes& f) { set_field(f, 292, std::numeric_limits<float>::infinity()); }, "origin"},
      {"voxels before the header's end", [](Bytes& f) { set_field(f, 108, -1e9f); }, "vox_offset"},
      {"two files", [](Bytes& f) { f[345] = 'i'; }, "magic"},
      {"no magic", [](Bytes& f) { f[344] = f[345] = f[346] = 0; }, "magic"},
      {"not an image", [](Bytes& f) { std::fill(f.begin(), f.end(), std::uint8_t{'x'}); }, "format"},
  };
  intake::ScanParser parser = started();
  for (const Hostile& hostile : cases)
    for (const bool gzip : {false, true}) {
      Bytes file = sound;
      hostile.harm(file);
      const auto path = folder.path() / "hostile.nii";
      put(path, gzip ? packed(file) : file);
      const Result<intake::ParsedVolume> read = parser.read_volume(path);
      ASSERT_FALSE(read) << hostile.what;
      EXPECT_EQ(read.error().code, ErrorCode::invalid_argument) << hostile.what;
      const bool format = std::string_view(hostile.named) == "format";
      EXPECT_NE(read.error().message.find(format && gzip ? "NIfTI" : hostile.named), std::string::npos)
          << hostile.what << ": " << read.error().message;
    }
}

TEST(ScanParser, VoxelsThatAreNotNumbersAreRefused) {
  ScratchFolder folder;
  intake::ScanParser parser = started();
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    volume::Volume scan = make_scan({8, 8, 8}, 9);
    scan.voxels[100] = bad;
    ASSERT_TRUE(volume_files::write_nifti(folder.path() / "bad.nii", scan, volume_files::VoxelType::float32, false));
    const Result<intake::ParsedVolume> read = parser.read_volume(folder.path() / "bad.nii");
    ASSERT_FALSE(read);
    EXPECT_NE(read.error().message.find("not numbers"), std::string::npos) << read.error().message;
  }
}

TEST(ScanParser, ABombIsNotUnpacked) {
  ScratchFolder folder;
  Bytes bomb = sound_nifti(folder.path());
  bomb.resize(256u << 20);  // a quarter of a gigabyte of zeros behind a small scan
  put(folder.path() / "bomb.nii.gz", packed(bomb));
  intake::ScanParser parser = started();
  const Result<intake::ParsedVolume> read = parser.read_volume(folder.path() / "bomb.nii.gz");
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("bomb"), std::string::npos) << read.error().message;
}

TEST(ScanParser, AFlippedBitInACompressedFileIsDetected) {
  ScratchFolder folder;
  const Bytes gz = packed(sound_nifti(folder.path()));
  intake::ScanParser parser = started();
  for (std::size_t at = 12; at < gz.size(); at += gz.size() / 40) {
    Bytes harmed = gz;
    harmed[at] ^= 0x10;
    put(folder.path() / "flip.nii.gz", harmed);
    EXPECT_FALSE(parser.read_volume(folder.path() / "flip.nii.gz")) << at;
  }
}

TEST(ScanParser, AFileThatIsNotRegularIsRefusedWithoutWaiting) {
  ScratchFolder folder;
  intake::ScanParser parser = started();
  EXPECT_EQ(parser.read_volume(folder.path() / "none.nii").error().code, ErrorCode::not_found);
  EXPECT_EQ(parser.read_volume(folder.path()).error().code, ErrorCode::invalid_argument);
  ASSERT_EQ(mkfifo((folder.path() / "pipe.nii").c_str(), 0600), 0);
  EXPECT_EQ(parser.read_volume(folder.path() / "pipe.nii").error().code, ErrorCode::invalid_argument);
}

TEST(ScanParser, DeathBySignalMemoryAndTimeIsSurvivedAndNamed) {
  ScratchFolder folder;
  sound_nifti(folder.path());
  intake::ScanParser parser = started({.memory_bytes = 256ull << 20, .cpu_s = 3, .wall_ms = 20'000});
  const Result<void> crash = parser.self_test(intake::JobKind::crash);
  ASSERT_FALSE(crash);
  EXPECT_NE(crash.error().message.find("signal"), std::string::npos) << crash.error().message;
  const Result<void> memory = parser.self_test(intake::JobKind::allocate);
  ASSERT_FALSE(memory);
  EXPECT_NE(memory.error().message.find("memory"), std::string::npos) << memory.error().message;
  const Result<void> processor = parser.self_test(intake::JobKind::spin);
  ASSERT_FALSE(processor);
  EXPECT_EQ(processor.error().code, ErrorCode::deadline_exceeded);
  EXPECT_TRUE(parser.read_volume(folder.path() / "sound.nii"));
}

TEST(ScanParser, WallTimeEndsAJob) {
  intake::ScanParser parser = started({.memory_bytes = 256ull << 20, .cpu_s = 100, .wall_ms = 300});
  const Result<void> late = parser.self_test(intake::JobKind::spin);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::deadline_exceeded);
}

TEST(ScanParser, FilesByPathAndSocketsAreRefusedInsideTheSandbox) {
  intake::ScanParser parser = started();
  for (const intake::ScanParser::Program program :
       {intake::ScanParser::Program::nifti, intake::ScanParser::Program::itk}) {
    const Result<void> file = parser.self_test(intake::JobKind::open_file, program);
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().code, ErrorCode::permission_denied) << file.error().message;
    const Result<void> socket = parser.self_test(intake::JobKind::open_socket, program);
    ASSERT_FALSE(socket);
    EXPECT_NE(socket.error().message.find("sandbox stopped"), std::string::npos) << socket.error().message;
  }
}

TEST(ParserLimits, GrowWithTheFilesUpToTheMost) {
  const intake::ParserLimits most{.memory_bytes = 1, .cpu_s = 120, .wall_ms = 240'000};
  EXPECT_EQ(intake::limits_for_files(most, 1000).cpu_s, 10U);
  EXPECT_EQ(intake::limits_for_files(most, 1000).wall_ms, 20'000U);
  EXPECT_EQ(intake::limits_for_files(most, 50'000'000).cpu_s, 60U);
  EXPECT_EQ(intake::limits_for_files(most, ~0ULL).cpu_s, 120U);
  EXPECT_EQ(intake::limits_for_files(most, ~0ULL).wall_ms, 240'000U);
  EXPECT_EQ(intake::limits_for_files({.memory_bytes = 1, .cpu_s = 2, .wall_ms = 300}, 0).wall_ms, 300U);
  EXPECT_EQ(intake::limits_for_files(most, 0).memory_bytes, 1U);
}

TEST(ScanParser, AHeaderThatPromisesMoreThanGzipCanHoldIsRefusedBeforeMemoryIsMadeForIt) {
  ScratchFolder folder;
  Bytes file = sound_nifti(folder.path());
  for (std::size_t axis = 0; axis < 3; ++axis) set_field<std::int16_t>(file, 42 + 2 * axis, 800);  // a gigabyte
  put(folder.path() / "large.nii.gz", packed(file));
  intake::ScanParser parser = started();
  const Result<intake::ParsedVolume> read = parser.read_volume(folder.path() / "large.nii.gz");
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("more than a file of"), std::string::npos) << read.error().message;
}

TEST(ScanParser, NoFileFindsBytesOfAnEarlierOne) {
  ScratchFolder folder;
  put(folder.path() / "a.nii.gz", packed(sound_nifti(folder.path())));
  put(folder.path() / "cut.nii.gz", ByteView(packed(sound_nifti(folder.path()))).first(300));
  intake::ScanParser parser = started();
  const auto clean = [&] {
    const Result<void> found = parser.self_test(intake::JobKind::find_leftovers);
    return !found && found.error().message == "memory: clean";
  };
  EXPECT_TRUE(clean());
  {
    const Result<intake::ParsedVolume> image = parser.read_volume(folder.path() / "a.nii.gz");
    const Result<intake::ParsedVolume> mask =
        parser.read_volume(folder.path() / "a.nii.gz");  // two at once, as with a mask
    ASSERT_TRUE(image && mask);
    EXPECT_EQ(std::get<0>(image->voxels())[7], std::get<0>(mask->voxels())[7]);
    EXPECT_TRUE(clean());
  }
  EXPECT_TRUE(clean());
  EXPECT_FALSE(parser.read_volume(folder.path() / "cut.nii.gz"));
  EXPECT_TRUE(clean());
  EXPECT_FALSE(parser.self_test(intake::JobKind::crash));
  EXPECT_TRUE(clean());
}

TEST(SharedMemory, WipesWhereverAChildWroteUpToALimit) {
  Result<std::unique_ptr<intake::SharedMemory>> memory =
      intake::SharedMemory::create(64u << 20, intake::SharedMemory::Size::fixed);
  ASSERT_TRUE(memory) << memory.error().message;
  for (const off_t at : {off_t{0}, off_t{5'000'000}, off_t{60'000'000}})
    ASSERT_EQ(pwrite((*memory)->descriptor(), "trace", 5, at), 5);
  constexpr std::uint64_t kAll = UINT64_MAX;
  EXPECT_FALSE((*memory)->wipe(kAll, 4096));
  EXPECT_EQ((*memory)->data()[60'000'000], 't');
  ASSERT_TRUE((*memory)->wipe(kAll, 1u << 20));
  for (const std::size_t at : {std::size_t{0}, std::size_t{5'000'000}, std::size_t{60'000'000}})
    EXPECT_EQ((*memory)->data()[at], 0);
  EXPECT_NE(ftruncate((*memory)->descriptor(), 4096), 0);  // sealed
}

TEST(SharedMemory, PagesAboveTheLastFileAreReleasedAndThoseBelowKept) {
  Result<std::unique_ptr<intake::SharedMemory>> memory =
      intake::SharedMemory::create(64u << 20, intake::SharedMemory::Size::fixed);
  ASSERT_TRUE(memory) << memory.error().message;
  const auto held_bytes = [&] {
    struct stat info {};
    EXPECT_EQ(fstat((*memory)->descriptor(), &info), 0);
    return static_cast<std::uint64_t>(info.st_blocks) * 512;
  };
  const std::uint64_t page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  for (const off_t at : {off_t{0}, off_t{5'000'000}, off_t{60'000'000}})
    ASSERT_EQ(pwrite((*memory)->descriptor(), "trace", 5, at), 5);
  ASSERT_TRUE((*memory)->wipe(6'000'000, 1u << 20));
  EXPECT_EQ(held_bytes(), 2 * page);
  for (const std::size_t at : {std::size_t{0}, std::size_t{5'000'000}, std::size_t{60'000'000}})
    EXPECT_EQ((*memory)->data()[at], 0);
  // A byte of the file in the last page that is kept, and one behind it.
  ASSERT_EQ(pwrite((*memory)->descriptor(), "xy", 2, 5'000'000), 2);
  ASSERT_TRUE((*memory)->wipe(5'000'001, 1u << 20));
  EXPECT_EQ((*memory)->data()[5'000'000], 0);
  EXPECT_EQ((*memory)->data()[5'000'001], 0);
}

TEST(ScanParser, AMissingParserProgramIsNotFound) {
  ScratchFolder folder;
  const Result<intake::ScanParser> missing = intake::ScanParser::start(folder.path() / "no-such-program", kLimits);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
}

TEST(ScanParser, TheTemplateBrainIsRead) {
  const std::filesystem::path path = "/usr/share/mricron/templates/ch2.nii.gz";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "mricron-data is not installed";
  intake::ScanParser parser = started();
  const auto start = std::chrono::steady_clock::now();
  const Result<intake::ParsedVolume> brain = parser.read_volume(path);
  RecordProperty(
      "parse_ms",
      static_cast<int>(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count()));
  ASSERT_TRUE(brain) << brain.error().message;
  EXPECT_EQ(brain->geometry().size, (volume::Index3{181, 217, 181}));
}

// Version 2 of a sound version 1 file: the same facts at other places and widths.
Bytes as_version_2(const Bytes& one) {
  Bytes out(544);
  const auto at = [&](std::size_t offset, auto like) {
    return std::memcpy(&like, one.data() + offset, sizeof like), like;
  };
  set_field(out, 0, std::int32_t{540});
  std::memcpy(out.data() + 4, "n+2\0\r\n\032\n", 8);
  set_field(out, 12, at(70, std::int16_t{})), set_field(out, 14, at(72, std::int16_t{}));
  for (std::size_t i = 0; i < 8; ++i) {
    set_field(out, 16 + 8 * i, static_cast<std::int64_t>(at(40 + 2 * i, std::int16_t{})));
    set_field(out, 104 + 8 * i, static_cast<double>(at(76 + 4 * i, float{})));
  }
  set_field(out, 168, std::int64_t{544});
  set_field(out, 176, 0.5), set_field(out, 184, -30.0);  // slope, intercept
  set_field(out, 348, std::int32_t{1});                  // sform
  for (std::size_t i = 0; i < 12; ++i) set_field(out, 400 + 8 * i, static_cast<double>(at(280 + 4 * i, float{})));
  out.insert(out.end(), one.begin() + 352, one.end());
  return out;
}

TEST(ScanParser, NiftiOfVersion2IsReadPlainAndPacked) {
  ScratchFolder folder;
  const volume::Volume scan = make_scan({12, 10, 8}, 4);
  ASSERT_TRUE(volume_files::write_nifti(folder.path() / "one.nii", scan, volume_files::VoxelType::int16, false));
  const Bytes two = as_version_2(contents(folder.path() / "one.nii"));
  put(folder.path() / "two.nii", two);
  put(folder.path() / "two.nii.gz", packed(two));
  put(folder.path() / "cut.nii", ByteView(two).first(two.size() - 10));
  intake::ScanParser parser = started();
  const Result<intake::ParsedVolume> one = parser.read_volume(folder.path() / "one.nii");
  ASSERT_TRUE(one) << one.error().message;
  for (const char* name : {"two.nii", "two.nii.gz"}) {
    const Result<intake::ParsedVolume> read = parser.read_volume(folder.path() / name);
    ASSERT_TRUE(read) << name << ": " << read.error().message;
    EXPECT_EQ(read->geometry(), one->geometry());
    for (std::size_t v = 0; v < scan.voxels.size(); ++v) {
      const auto value = [v](const auto& span) { return static_cast<float>(span[v]); };
      ASSERT_EQ(std::visit(value, read->voxels()), 0.5f * std::visit(value, one->voxels()) - 30) << name;
    }
  }
  EXPECT_NE(parser.read_volume(folder.path() / "cut.nii").error().message.find("voxels"), std::string::npos);
}

// Two tissues in a ball, brighter on one side than on the other by a factor of about 1.8.
volume::Volume shaded_ball() {
  volume::Volume out = make_scan({90, 80, 70}, 5);
  for (double& mm : out.geometry.spacing_mm) mm = 1.3;
  Numbers numbers(21);
  for (std::int64_t k = 0; k < 70; ++k)
    for (std::int64_t j = 0; j < 80; ++j)
      for (std::int64_t i = 0; i < 90; ++i) {
        const double x = static_cast<double>(i - 45) / 40, y = static_cast<double>(j - 40) / 36,
                     z = static_cast<double>(k - 35) / 32;
        const double tissue = x * x + y * y + z * z > 1 ? 10
                              : static_cast<int>(std::floor(4 * x) + std::floor(4 * y) + std::floor(4 * z)) % 2 == 0
                                  ? 600
                                  : 400;
        out.voxels[out.geometry.offset(i, j, k)] =
            static_cast<float>(std::floor(tissue * std::exp(0.3 * x + 0.1 * y * z) + 12 * numbers.unit()));
      }
  return out;
}

// Deviation over mean of the brighter tissue.
double unevenness(const volume::Volume& truth, const volume::VoxelSpan& voxels) {
  double sum = 0, squares = 0, count = 0;
  for (std::size_t v = 0; v < truth.voxels.size(); ++v) {
    const auto x = static_cast<double>(static_cast<std::int64_t>(v) % 90 - 45) / 40,
               y = static_cast<double>(static_cast<std::int64_t>(v) / 90 % 80 - 40) / 36,
               z = static_cast<double>(static_cast<std::int64_t>(v) / 7200 - 35) / 32;
    if (x * x + y * y + z * z > 0.9 ||
        static_cast<int>(std::floor(4 * x) + std::floor(4 * y) + std::floor(4 * z)) % 2 != 0)
      continue;
    const double value = std::visit([v](const auto& span) { return static_cast<double>(span[v]); }, voxels);
    sum += value, squares += value * value, ++count;
  }
  const double mean = sum / count;
  return std::sqrt(squares / count - mean * mean) / mean;
}

TEST(ScanParser, N4RemovesASmoothBiasFieldWhenAsked) {
  ScratchFolder folder;
  const volume::Volume scan = shaded_ball();
  ASSERT_TRUE(volume_files::write_nifti(folder.path() / "mr.nii", scan, volume_files::VoxelType::int16, false));
  intake::ScanParser parser = started();
  const Result<intake::ParsedVolume> plain = parser.read_volume(folder.path() / "mr.nii"),
                                     even = parser.read_volume(folder.path() / "mr.nii", intake::kOnlyVolume, true);
  ASSERT_TRUE(plain) << plain.error().message;
  ASSERT_TRUE(even) << even.error().message;
  EXPECT_EQ(even->geometry(), plain->geometry());
  EXPECT_GT(unevenness(scan, plain->voxels()), 0.12);
  EXPECT_LT(unevenness(scan, even->voxels()), 0.04);
  const volume::Volume nothing{scan.geometry, std::vector<float>(scan.voxels.size())};
  ASSERT_TRUE(volume_files::write_nifti(folder.path() / "empty.nii", nothing, volume_files::VoxelType::int16, false));
  const Result<intake::ParsedVolume> refused =
      parser.read_volume(folder.path() / "empty.nii", intake::kOnlyVolume, true);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("bias field"), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace fovea::node

// Every hostile file gives a volume or a refusal with a reason, and costs nobody else anything.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/durable_file.h"
#include "common/result.h"
#include "node/intake/formats/scan_facts.h"
#include "node/intake/parser/scan_parser.h"
#include "node/intake/parser/scan_protocol.h"
#include "node/volume/intensity.h"
#include "tests/hostile/hostile_corpus.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

TEST(HostileScans, EachGivesAVolumeOrARefusalAndNoneKillsOrHangsTheParser) {
  const std::uint64_t seed = 20'251;
  ScratchFolder folder;
  Result<intake::ScanParser> parser =
      intake::ScanParser::start(std::filesystem::path(FOVEA_BIN_DIR) / "fovea-scan-parser",
                                {.memory_bytes = 1ULL << 30U, .cpu_s = 10, .wall_ms = 20'000});
  ASSERT_TRUE(parser) << parser.error().message;
  std::map<std::string, std::size_t> reasons;
  std::size_t volumes = 0, files = 0, deaths = 0;
  hostile::each_hostile_file(seed, 150, [&](const hostile::HostileFile& file) {
    const std::filesystem::path path = folder.path() / file.name;
    ASSERT_TRUE(replace_file(path, file.bytes)) << file.what;
    ++files;
    const Result<std::vector<intake::DicomFile>> described = parser->describe({&path, 1});
    // A library that cannot go on has the file refused with a reason; none of these is a signal, the parser's end or a
    // hang.
    if (!described) {
      EXPECT_EQ(described.error().code, ErrorCode::invalid_argument)
          << file.name << ", " << file.what << ": " << described.error().message;
    }
    const Result<intake::ParsedVolume> read = parser->read_volume(path);
    if (read) {
      ++volumes;
      EXPECT_EQ(volume::voxel_count(read->voxels()), read->geometry().voxel_count());
    } else {
      const ErrorCode code = read.error().code;
      EXPECT_TRUE(code == ErrorCode::invalid_argument || code == ErrorCode::internal ||
                  code == ErrorCode::deadline_exceeded)
          << file.what << ": " << read.error().message;
      EXPECT_EQ(read.error().message.find("sandbox stopped"), std::string::npos) << file.what;
      EXPECT_EQ(read.error().message.find("died of signal"), std::string::npos) << file.name << ", " << file.what;
      deaths += code == ErrorCode::internal || code == ErrorCode::deadline_exceeded ? 1U : 0U;
      EXPECT_GT(read.error().message.size(), 10U) << file.what;
      EXPECT_EQ(read.error().message.find(file.name), std::string::npos) << "a reason names the file";
      ++reasons[read.error().message.substr(0, 20)];
    }
    std::filesystem::remove(path);
  });
  RecordProperty("children_that_died", static_cast<int>(deaths));
  EXPECT_LT(deaths * 20, files);  // most is refused by a check, not by a death
  const Result<void> leftovers = parser->self_test(intake::JobKind::find_leftovers);
  EXPECT_EQ(leftovers.error().message, "memory: clean");
  EXPECT_GT(files, 600U);
  EXPECT_GT(volumes, 10U);         // a flipped voxel is still a scan
  EXPECT_GT(reasons.size(), 10U);  // and the reasons differ
}

}  // namespace
}  // namespace fovea::node

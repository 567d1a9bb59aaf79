// Intake from disk to bricks against plain ITK on the same files, with and without the sandbox; called by
// bench/intake.py.
//   intake_bench itk LIST                           reads with plain ITK
//   intake_bench sandboxed|bare WORKERS SITE LIST   ingests the same, with or without the sandbox
//   intake_bench large FILE.nii.gz                  makes the largest volume: 512×512×320 int16
//   intake_bench generate FOLDER                    makes small and middle-sized volumes, where there is no real data
// A line of LIST is a file, or the folder of one series.
#include <sys/resource.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/itk_reader.h"
#include "bench/measure.h"
#include "common/check.h"
#include "common/numbers.h"
#include "common/result.h"
#include "node/intake/ingest.h"
#include "node/intake/parser/scan_parser.h"
#include "node/intake/scan_walk.h"
#include "node/store/study_catalogue.h"
#include "node/volume/volume.h"
#include "node/volume_files/nifti_writer.h"

namespace fovea::bench {
namespace {

namespace fs = std::filesystem;
using node::intake::StudySource;

fs::path program_folder() { return fs::read_symlink("/proc/self/exe").parent_path(); }

StudySource source_of(const fs::path& path) {
  StudySource out;
  out.name = path.string();
  out.identity = {.study = path.string(), .patient = path.filename().string(), .image = path.string(), .mask = ""};
  out.images = {path};
  return out;
}

// By the wall clock, and processor time of this process and the parsers that ended: a busy machine disturbs the second
// less.
struct Seconds {
  double wall = 0, core = 0;
};

double core_seconds_of(int who) {
  rusage used{};
  FOVEA_CHECK(getrusage(who, &used) == 0);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

class Timer {
 public:
  Seconds seconds() const { return {watch_.seconds(), cores() - core_start_}; }

 private:
  static double cores() { return core_seconds_of(RUSAGE_SELF) + core_seconds_of(RUSAGE_CHILDREN); }
  Stopwatch watch_;
  double core_start_ = cores();
};

// Seconds of one ingest of all sources into a fresh site, the start of the parsers included.
Result<Seconds> time_ingest(const std::vector<StudySource>& sources, const fs::path& site, const fs::path& parser,
                            unsigned workers) {
  fs::remove_all(site);
  fs::create_directories(site);
  FOVEA_TRY_ASSIGN(node::store::StudyCatalogue catalogue, node::store::StudyCatalogue::open(site, true));
  node::intake::IngestSettings settings;
  settings.workers = workers;
  settings.parser_program = parser;
  const Timer timer;
  FOVEA_TRY_ASSIGN(const node::intake::IngestReport report, node::intake::ingest(catalogue, sources, settings, {}));
  const Seconds seconds = timer.seconds();
  for (const node::intake::Refusal& refusal : report.refused)
    std::fprintf(stderr, "refused: %s: %s\n", refusal.name.c_str(), refusal.reason.c_str());
  if (report.ingested != sources.size())
    return failed_precondition("a study of the comparison was not taken: figures would compare different work");
  return seconds;
}

Result<Seconds> time_itk(const std::vector<StudySource>& sources, std::uint64_t& bytes) {
  const Timer timer;
  bytes = 0;
  for (const StudySource& source : sources) {
    FOVEA_TRY_ASSIGN(const std::uint64_t size, read_with_itk(source.name));
    bytes += size;
  }
  return timer.seconds();
}

void print(const Seconds& seconds, std::uint64_t bytes) {
  std::printf("%s\n",
              nlohmann::ordered_json{{"wall", seconds.wall}, {"core", seconds.core}, {"bytes", bytes}}.dump().c_str());
}

std::vector<StudySource> sources_in(const fs::path& list) {
  std::ifstream in(list);
  std::vector<StudySource> out;
  for (std::string line; std::getline(in, line);) out.push_back(source_of(line));
  return out;
}

Result<void> read_all_with_itk(const fs::path& list) {
  const std::vector<StudySource> sources = sources_in(list);
  std::uint64_t bytes = 0;
  FOVEA_TRY_ASSIGN(const Seconds seconds, time_itk(sources, bytes));
  print(seconds, bytes);
  return {};
}

Result<void> ingest_all(const fs::path& parser, unsigned workers, const fs::path& site, const fs::path& list) {
  std::vector<StudySource> sources = sources_in(list);
  std::vector<node::intake::NotAScan> left_alone;
  FOVEA_TRY_ASSIGN(node::intake::ScanParser described_by, node::intake::ScanParser::start(parser, {}));
  FOVEA_TRY(node::intake::expand_rows(sources, described_by, left_alone));
  FOVEA_TRY_ASSIGN(const Seconds seconds, time_ingest(sources, site, parser, workers));
  print(seconds, 0);
  return {};
}

// Waves like tissue, with noise in the low bits: it is noise that makes scans hard to compress.
node::volume::Volume tissue(const node::volume::Index3& size, double spacing_mm, std::uint64_t seed) {
  node::volume::Volume out;
  out.geometry.size = size;
  out.geometry.spacing_mm = {spacing_mm, spacing_mm, spacing_mm};
  out.voxels.resize(out.geometry.voxel_count());
  std::size_t at = 0;
  for (std::int64_t k = 0; k < size[2]; ++k)
    for (std::int64_t j = 0; j < size[1]; ++j)
      for (std::int64_t i = 0; i < size[0]; ++i) {
        const auto wave = static_cast<float>(((i * 3) % 200) + ((j * 5) % 300) + ((k * 7) % 400));
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        out.voxels[at++] = wave + static_cast<float>(seed >> 58U);
      }
  return out;
}

Result<void> generate(const fs::path& folder) {
  for (std::uint64_t n = 0; n < 30; ++n)
    FOVEA_TRY(node::volume_files::write_nifti(folder / ("small_" + std::to_string(n) + ".nii.gz"),
                                              tissue({36, 50, 36}, 1, n), node::volume_files::VoxelType::float32,
                                              true));
  for (std::uint64_t n = 0; n < 12; ++n)
    FOVEA_TRY(node::volume_files::write_nifti(folder / ("middle_" + std::to_string(n) + ".nii.gz"),
                                              tissue({192, 192, 160}, 1, 100 + n), node::volume_files::VoxelType::int16,
                                              true));
  return {};
}

Result<void> run(const std::vector<std::string>& words) {
  const std::string& what = words.at(0);
  if (what == "itk") return read_all_with_itk(words.at(1));
  if (what == "sandboxed" || what == "bare") {
    const fs::path parser = program_folder() / (what == "bare" ? "fovea-bare-parser" : "fovea-scan-parser");
    const auto jobs = read_whole<unsigned>(words.at(1));
    if (!jobs) return invalid_argument("jobs: expected a whole number");
    return ingest_all(parser, *jobs, words.at(2), words.at(3));
  }
  if (what == "large")
    return node::volume_files::write_nifti(words.at(1), tissue({512, 512, 320}, 0.8, 1),
                                           node::volume_files::VoxelType::int16, true);
  if (what == "generate") return generate(words.at(1));
  return invalid_argument("expected itk, sandboxed, bare, large or generate");
}

}  // namespace
}  // namespace fovea::bench

int main(int count, char** words) {
  const std::vector<std::string> arguments(words + 1, words + count);
  if (arguments.size() < 2) {
    std::fputs("intake_bench is called by bench/intake.py\n", stderr);
    return 2;
  }
  const fovea::Result<void> done = fovea::bench::run(arguments);
  if (!done) std::fprintf(stderr, "%s\n", done.error().message.c_str());
  return done ? 0 : 1;
}

// Writes the hostile corpus into a folder, for `fovea-node data ingest`: hostile_scans --out FOLDER [--count N] [--seed
// S]
#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "common/durable_file.h"
#include "tests/hostile/hostile_corpus.h"

int main(int count, char** words) {
  CLI::App app("Writes hostile scans for tests and benchmarks");
  std::filesystem::path out;
  std::size_t files = 1000;
  std::uint64_t seed = 1;
  app.add_option("--out", out)->required();
  app.add_option("--count", files);
  app.add_option("--seed", seed);
  CLI11_PARSE(app, count, words);
  std::filesystem::create_directories(out);
  std::size_t written = 0;
  fovea::hostile::each_hostile_file(seed, files, [&](const fovea::hostile::HostileFile& file) {
    written += fovea::replace_file(out / file.name, file.bytes) ? 1U : 0U;
  });
  std::printf("%zu files, seed %llu\n", written, static_cast<unsigned long long>(seed));
}

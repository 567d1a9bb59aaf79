// One libFuzzer program for each target of parse_targets.h; FOVEA_FUZZ_TARGET names it. With FOVEA_FUZZ_SEEDS set to a
// folder it first writes the target's seeds there.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "common/durable_file.h"
#include "tests/fuzz/parse_targets.h"

namespace {

const fovea::fuzz::ParseTarget& target() {
  static const std::vector<fovea::fuzz::ParseTarget> all = fovea::fuzz::parse_targets();
  for (const fovea::fuzz::ParseTarget& one : all)
    if (std::strcmp(one.name, FOVEA_FUZZ_TARGET) == 0) return one;
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* folder = std::getenv("FOVEA_FUZZ_SEEDS");
  if (folder == nullptr) return 0;
  int number = 0;
  for (const fovea::Bytes& seed : target().seeds())
    if (!fovea::replace_file(std::string(folder) + "/seed-" + std::to_string(number++), seed)) std::abort();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto run = target().run;
  run({data, size});
  return 0;
}

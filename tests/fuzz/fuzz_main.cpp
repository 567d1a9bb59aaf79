// One libFuzzer program for each target of parse_targets.h; FOVEA_FUZZ_TARGET names it.
#include <cstdlib>
#include <cstring>

#include "tests/fuzz/parse_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const fovea::fuzz::ParseTarget& target : fovea::fuzz::parse_targets())
    if (std::strcmp(target.name, FOVEA_FUZZ_TARGET) == 0) {
      target.run({data, size});
      return 0;
    }
  std::abort();
}

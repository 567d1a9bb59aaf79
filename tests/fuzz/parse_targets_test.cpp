// The fuzz targets on noise and on damaged text, in every build: they compile, return, and keep their promises.
#include "tests/fuzz/parse_targets.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace fovea::fuzz {
namespace {

TEST(ParseTargets, ReturnFromNoiseAndFromDamagedText) {
  const std::uint64_t seed = 77;
  std::minstd_rand numbers(static_cast<unsigned>(seed));
  const std::string texts[] = {R"({"version":1,"name":"x","list":[1,2,{"a":null}]})", "study,patient,image,mask,split,label\na,p,i.nii,,train,1\n", "origin\n12\nAAAA\n\n\u2014 key AAAA\n",
                               "[site]\nid = \"st-anna\"\n[dicom]\nallow = [\"A@10.0.0.1\"]\n"};
  for (const ParseTarget& target : parse_targets())
    for (int round = 0; round < 400; ++round) {
      Bytes input;
      if (round % 2 == 0) {
        input.resize(numbers() % 700);
        for (std::uint8_t& byte : input) byte = static_cast<std::uint8_t>(numbers() % 3 == 0 ? numbers() : 0);
      } else {
        const std::string& text = texts[numbers() % std::size(texts)];
        input.assign(text.begin(), text.end());
        for (int flips = 0; flips < 3; ++flips) input[numbers() % input.size()] ^= static_cast<std::uint8_t>(1U << (numbers() % 8));
      }
      SCOPED_TRACE(std::string(target.name) + " seed " + std::to_string(seed) + " round " + std::to_string(round));
      target.run(input);
    }
}

}  // namespace
}  // namespace fovea::fuzz

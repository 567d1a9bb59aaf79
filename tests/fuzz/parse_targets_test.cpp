// The fuzz targets in every build: on their seeds, on these cut and flipped, and on noise, they return and keep their
// promises.
#include "tests/fuzz/parse_targets.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <random>
#include <set>
#include <string>

namespace fovea::fuzz {

void PrintTo(const ParseTarget& target, std::ostream* out) { *out << target.name; }  // not its addresses

namespace {

constexpr std::uint64_t kSeed = 77;

class EachTarget : public testing::TestWithParam<ParseTarget> {
 protected:
  std::minstd_rand numbers_{static_cast<unsigned>(kSeed)};
};

TEST_P(EachTarget, ReturnsFromItsSeedsWholeAndTruncated) {
  const Seeds seeds = GetParam().seeds();
  ASSERT_FALSE(seeds.empty());
  for (const Bytes& seed : seeds) {
    const std::size_t step = 1 + seed.size() / 200;
    for (std::size_t size = 0; size < seed.size(); size += step) GetParam().run(ByteView(seed).first(size));
    GetParam().run(seed);
  }
}

TEST_P(EachTarget, ReturnsFromDamage) {
  const Seeds seeds = GetParam().seeds();
  for (int round = 0; round < 600; ++round) {
    SCOPED_TRACE("seed " + std::to_string(kSeed) + " round " + std::to_string(round));
    Bytes input = seeds[numbers_() % seeds.size()];
    for (unsigned changes = 1 + static_cast<unsigned>(numbers_() % 4); changes > 0 && !input.empty(); --changes) {
      std::uint8_t& byte = input[numbers_() % input.size()];
      byte = numbers_() % 2 == 0 ? static_cast<std::uint8_t>(byte ^ 1U << numbers_() % 8)
                                 : static_cast<std::uint8_t>(numbers_());
    }
    GetParam().run(input);
  }
}

TEST_P(EachTarget, ReturnsFromNoise) {
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE("seed " + std::to_string(kSeed) + " round " + std::to_string(round));
    Bytes input(numbers_() % 700);
    for (std::uint8_t& byte : input) byte = static_cast<std::uint8_t>(numbers_() % 3 == 0 ? numbers_() : 0);
    GetParam().run(input);
  }
}

INSTANTIATE_TEST_SUITE_P(ParseTargets, EachTarget, testing::ValuesIn(parse_targets()),
                         [](const auto& target) { return std::string(target.param.name); });

TEST(ParseTargets, HaveDistinctNames) {
  std::set<std::string> names;
  for (const ParseTarget& target : parse_targets()) EXPECT_TRUE(names.insert(target.name).second) << target.name;
}

}  // namespace
}  // namespace fovea::fuzz

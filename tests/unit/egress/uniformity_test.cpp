// Failure class: a vector leaves without its mask, or good masks are refused.
#include "node/egress/uniformity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "crypto/random_source.h"
#include "tests/support/hex.h"

namespace fovea::node {
namespace {

constexpr std::uint64_t kSeed = 20'261'122;

Bytes random_bytes(std::size_t size) {
  const crypto::SecretKey seed = test::numbered_key(kSeed);
  crypto::SeededRandom random(seed);
  Bytes out(size);
  random.fill(out);
  return out;
}

TEST(Uniformity, PassesMaskStreams) {
  EXPECT_EQ(egress::first_non_uniform_block(random_bytes(16U << 20U)), std::nullopt);  // 4096 blocks
  for (std::size_t size : {0U, 1U, 4U, 40U, 400U, 4095U, 4096U, 4097U, 9000U})
    EXPECT_EQ(egress::first_non_uniform_block(random_bytes(size)), std::nullopt) << size;
}

TEST(Uniformity, RefusesWhatAForgottenMaskWouldSend) {
  Bytes updates(1U << 16U);  // small signed integers, as quantised updates are
  const Bytes noise = random_bytes(updates.size());
  for (std::size_t i = 0; i < updates.size(); i += 4) {
    const std::uint32_t value = static_cast<std::uint32_t>(static_cast<std::int32_t>(noise[i]) * 4096 - 524'288);
    for (std::size_t byte = 0; byte < 4; ++byte) updates[i + byte] = static_cast<std::uint8_t>(value >> (8 * byte));
  }
  EXPECT_EQ(egress::first_non_uniform_block(updates), 0U);
  EXPECT_EQ(egress::first_non_uniform_block(Bytes(4096)), 0U);
  EXPECT_EQ(egress::first_non_uniform_block(Bytes(4096, 0xff)), 0U);
  EXPECT_EQ(egress::first_non_uniform_block(Bytes(100)), 0U);
  EXPECT_EQ(egress::first_non_uniform_block(Bytes(300, 0x55)),
            std::nullopt);  // too short for byte counts: half of its bits are set
}

TEST(Uniformity, NamesTheOneBlockWithoutItsMask) {
  Bytes bytes = random_bytes(10 * 4096 + 100);
  std::fill_n(bytes.begin() + 7 * 4096, 4096, std::uint8_t{0});
  EXPECT_EQ(egress::first_non_uniform_block(bytes), 7U * 4096);
  bytes = random_bytes(10 * 4096 + 100);
  std::fill(bytes.end() - 4096, bytes.end(), std::uint8_t{7});
  EXPECT_EQ(egress::first_non_uniform_block(bytes), 9U * 4096 + 0);
}

// The highest byte alone in clear: the smallest leak of a fixed-point word.
TEST(Uniformity, RefusesWordsWhoseHighByteIsConstant) {
  Bytes bytes = random_bytes(4096);
  for (std::size_t i = 3; i < bytes.size(); i += 4) bytes[i] = 0;
  EXPECT_EQ(egress::first_non_uniform_block(bytes), 0U);
}

// The mean of the statistic is 255; its tail was computed, not fitted: 1 block in 29 exceeds 300 by chance.
TEST(Uniformity, StatisticHasTheDistributionItsBoundRestsOn) {
  const Bytes bytes = random_bytes(std::size_t{4096} * 4096);
  double sum = 0;
  std::size_t above_300 = 0;
  for (std::size_t block = 0; block < 4096; ++block) {
    std::array<std::uint32_t, 256> counts{};
    for (std::size_t i = 0; i < 4096; ++i) ++counts[bytes[block * 4096 + i]];
    double squares = 0;
    for (const std::uint32_t count : counts) squares += static_cast<double>(count) * count;
    sum += squares / 16 - 4096;
    above_300 += squares / 16 - 4096 > 300 ? 1U : 0U;
  }
  EXPECT_NEAR(sum / 4096, 255, 2) << "seed " << kSeed;
  EXPECT_NEAR(static_cast<double>(above_300) / 4096, 0.0280, 0.01) << "seed " << kSeed;
}

}  // namespace
}  // namespace fovea::node

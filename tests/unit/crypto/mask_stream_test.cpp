#include "crypto/mask_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include "crypto/random_source.h"
#include "tests/support/hex.h"
#include "tests/support/reference_aes.h"

namespace fovea::crypto {
namespace {

using Words = std::vector<std::uint32_t>;

constexpr std::uint32_t kGuard = 0x5a5a5a5a;

std::vector<MaskKey> some_keys(std::size_t count, std::uint64_t seed) {
  SeededRandom random(test::numbered_key(seed));
  std::vector<MaskKey> keys(count);
  for (std::size_t i = 0; i < count; ++i) {
    keys[i].seed = random.secret_key();
    keys[i].sign = i % 3 == 1 ? MaskSign::subtract : MaskSign::add;
  }
  return keys;
}

Words some_words(std::size_t count, std::uint64_t seed) {
  SeededRandom random(test::numbered_key(seed));
  Words words(count);
  random.fill({reinterpret_cast<std::uint8_t*>(words.data()), 4 * words.size()});
  return words;
}

Words reference(Words words, std::uint64_t offset, const std::vector<MaskKey>& keys) {
  for (const MaskKey& key : keys) {
    const Words mask = test::ReferenceAes256(key.seed.view()).mask(offset, words.size());
    for (std::size_t i = 0; i < words.size(); ++i)
      words[i] = key.sign == MaskSign::add ? words[i] + mask[i] : words[i] - mask[i];
  }
  return words;
}

class EveryMaskPath : public ::testing::TestWithParam<MaskPath> {
 protected:
  void SetUp() override {
    if (!std::ranges::count(mask_paths_available(), GetParam()))
      GTEST_SKIP() << mask_path_name(GetParam()) << " is not available on this processor";
  }
};

INSTANTIATE_TEST_SUITE_P(Paths, EveryMaskPath,
                         ::testing::Values(MaskPath::vaes_avx512, MaskPath::aes_ni, MaskPath::portable),
                         [](const auto& path) {
                           std::string name(mask_path_name(path.param));
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

// Sizes around a block, a register, a group of registers; offsets at every place in a block, across the carry into
// the second counter word, and far out. The words on both sides must stay as they were.
TEST_P(EveryMaskPath, MatchesTheReferenceAtEveryAlignmentAndLeavesTheRestAlone) {
  const std::vector<MaskKey> keys = some_keys(2, 1);
  for (const std::uint64_t offset : {0ULL, 1ULL, 2ULL, 3ULL, 4ULL, 1021ULL, (1ULL << 34) - 6, (1ULL << 61) + 7}) {
    for (const std::size_t size :
         {0U, 1U, 2U, 3U, 4U, 5U, 15U, 16U, 17U, 31U, 32U, 35U, 127U, 128U, 129U, 147U, 300U}) {
      Words buffer(size + 2, kGuard);
      const Words start = some_words(size, 2);
      std::ranges::copy(start, buffer.begin() + 1);
      apply_masks_by(GetParam(), std::span(buffer).subspan(1, size), offset, keys);
      EXPECT_EQ(Words(buffer.begin() + 1, buffer.end() - 1), reference(start, offset, keys)) << offset << ' ' << size;
      EXPECT_EQ(buffer.front(), kGuard);
      EXPECT_EQ(buffer.back(), kGuard);
    }
  }
}

TEST_P(EveryMaskPath, MatchesTheReferenceAcrossTiles) {
  const std::vector<MaskKey> keys = some_keys(3, 3);
  for (const std::size_t size : {4095U, 4097U, 8191U, 8192U, 8193U, 20011U}) {
    Words words = some_words(size, 4);
    const Words expected = reference(words, 5, keys);
    apply_masks_by(GetParam(), words, 5, keys);
    EXPECT_EQ(words, expected) << size;
  }
}

// Keys are taken in groups: every number of them, with both signs mixed, must come out right.
TEST_P(EveryMaskPath, MatchesTheReferenceForEveryNumberOfKeys) {
  for (std::size_t count = 0; count <= 13; ++count) {
    const std::vector<MaskKey> keys = some_keys(count, 11);
    Words words = some_words(1030, 12);
    const Words expected = reference(words, 9, keys);
    apply_masks_by(GetParam(), words, 9, keys);
    EXPECT_EQ(words, expected) << count;
  }
}

TEST_P(EveryMaskPath, ChunksGiveTheSameAsTheWhole) {
  const std::vector<MaskKey> keys = some_keys(4, 5);
  Words whole = some_words(50001, 6);
  Words chunks = whole;
  apply_masks_by(GetParam(), whole, 77, keys);
  std::size_t size = 1;
  for (std::size_t done = 0; done < chunks.size(); done += size, size = size * 3 + 1) {
    size = std::min(size, chunks.size() - done);
    apply_masks_by(GetParam(), std::span(chunks).subspan(done, size), 77 + done, keys);
  }
  EXPECT_EQ(chunks, whole);
}

TEST_P(EveryMaskPath, AMaskAddedAndSubtractedIsGone) {
  std::vector<MaskKey> keys = some_keys(5, 7);
  const Words start = some_words(10007, 8);
  Words words = start;
  apply_masks_by(GetParam(), words, 3, keys);
  EXPECT_NE(words, start);
  for (MaskKey& key : keys) key.sign = key.sign == MaskSign::add ? MaskSign::subtract : MaskSign::add;
  apply_masks_by(GetParam(), words, 3, keys);
  EXPECT_EQ(words, start);
}

TEST_P(EveryMaskPath, AnotherSeedOrOffsetIsAnotherMask) {
  const std::vector<MaskKey> keys = some_keys(2, 9);
  const auto mask = [&](std::size_t key, std::uint64_t offset) {
    Words words(64);
    apply_masks_by(GetParam(), words, offset, std::span(keys).subspan(key, 1));
    return words;
  };
  EXPECT_EQ(mask(0, 0), mask(0, 0));
  EXPECT_NE(mask(0, 0), mask(1, 0));
  EXPECT_NE(mask(0, 0), mask(0, 64));
}

TEST_P(EveryMaskPath, NoKeysAndNoWordsChangeNothing) {
  Words words = some_words(100, 10);
  const Words start = words;
  apply_masks_by(GetParam(), words, 9, {});
  EXPECT_EQ(words, start);
  apply_masks_by(GetParam(), {}, 9, some_keys(3, 11));
}

TEST(MaskStream, AllPathsAgreeOnALargeVector) {
  const std::vector<MaskKey> keys = some_keys(17, 12);
  const Words start = some_words(300007, 13);
  Words expected = start;
  apply_masks_by(MaskPath::portable, expected, 11, keys);
  for (const MaskPath path : mask_paths_available()) {
    Words words = start;
    apply_masks_by(path, words, 11, keys);
    EXPECT_TRUE(words == expected) << mask_path_name(path);
  }
}

TEST(MaskStream, ThousandsOfKeysGiveTheSameAsOneByOne) {
  const std::vector<MaskKey> keys = some_keys(2500, 17);
  Words together = some_words(100, 18);
  Words apart = together;
  apply_masks(together, 3, keys);
  for (std::size_t i = 0; i < keys.size(); ++i) apply_masks(apart, 3, std::span(keys).subspan(i, 1));
  EXPECT_EQ(together, apart);
}

TEST(MaskStream, ThreadsGiveTheSame) {
  const std::vector<MaskKey> keys = some_keys(3, 14);
  for (const std::size_t size : {0U, 1U, 8192U, 8193U, 100003U}) {
    Words expected = some_words(size, 15);
    Words words = expected;
    apply_masks(expected, 6, keys);
    for (const std::uint32_t threads : {1U, 2U, 3U, 7U}) {
      Words parallel = words;
      apply_masks(parallel, 6, keys, threads);
      EXPECT_TRUE(parallel == expected) << size << ' ' << threads;
    }
  }
}

TEST(MaskStream, PairwiseMasksCancelInTheSum) {
  // Three sites, the masks of design section R3: i < j adds, i > j subtracts.
  const std::vector<MaskKey> pairs = some_keys(3, 16);  // 01, 02, 12
  const auto mask = [&](std::size_t pair, MaskSign sign) {
    return MaskKey{.seed = pairs[pair].seed.copy(), .sign = sign};
  };
  Words sum(1000);
  for (int site = 0; site < 3; ++site) {
    Words y(1000, static_cast<std::uint32_t>(1) << (8 * site));
    std::vector<MaskKey> keys;
    if (site == 0) {
      keys.push_back(mask(0, MaskSign::add));
      keys.push_back(mask(1, MaskSign::add));
    } else if (site == 1) {
      keys.push_back(mask(0, MaskSign::subtract));
      keys.push_back(mask(2, MaskSign::add));
    } else {
      keys.push_back(mask(1, MaskSign::subtract));
      keys.push_back(mask(2, MaskSign::subtract));
    }
    apply_masks(y, 0, keys);
    add_words(sum, y);
  }
  EXPECT_EQ(sum, Words(1000, 0x010101));
}

TEST(MaskStream, CarriesCountHowOftenEachWordWrapped) {
  Words sum{0xFFFFFFFFU, 1, 0x80000000U};
  std::vector<std::uint16_t> carries(sum.size());
  for (int times = 0; times < 3; ++times) add_words(sum, carries, Words{0xFFFFFFFFU, 2, 0x80000000U});
  EXPECT_EQ(sum, (Words{0xFFFFFFFCU, 7, 0}));
  EXPECT_EQ(carries, (std::vector<std::uint16_t>{3, 0, 2}));
}

TEST(MaskStreamDeathTest, SumsOfDifferentSizesAreAProgrammerError) {
  Words sum(3);
  EXPECT_DEATH(add_words(sum, Words(2)), "");
}

TEST(MaskStream, TheChosenPathIsTheFastestAvailable) {
  EXPECT_EQ(mask_path(), mask_paths_available().front());
  EXPECT_EQ(mask_paths_available().back(), MaskPath::portable);
}

}  // namespace
}  // namespace fovea::crypto

#include "crypto/linear_hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include "crypto/hash.h"
#include "crypto/linear_hash_kernels.h"
#include "crypto/random_source.h"
#include "tests/support/hex.h"
#include "tests/support/reference_aes.h"

namespace fovea::crypto {
namespace {

using linear::kDegree;
using linear::kGroupWords;
using linear::kLanes;
using linear::kPrimes;
using linear::multiply;

using Words = std::vector<std::uint32_t>;
using Carries = std::vector<std::uint16_t>;
using Polynomial = std::vector<std::uint64_t>;

constexpr std::size_t kChunkWords = 240 * 1024;  // a message's

Digest key_of(std::uint64_t number) { return sha256(test::numbered_key(number).view()); }

Words some_words(std::size_t count, std::uint64_t seed) {
  SeededRandom random(test::numbered_key(seed));
  Words words(count);
  random.fill({reinterpret_cast<std::uint8_t*>(words.data()), 4 * words.size()});
  return words;
}

Carries some_carries(std::size_t count, std::uint64_t seed) {
  SeededRandom random(test::numbered_key(seed));
  Carries carries(count);
  random.fill({reinterpret_cast<std::uint8_t*>(carries.data()), 2 * carries.size()});
  return carries;
}

LinearTag tag_of(const Digest& key, const Words& low, const Carries& high, LinearPath path = linear_path()) {
  LinearHash hash(key, low.size(), path);
  hash.add(low, high);
  return hash.finish();
}

LinearTag tag_of(const Digest& key, const Words& low, LinearPath path = linear_path()) {
  LinearHash hash(key, low.size(), path);
  hash.add(low);
  return hash.finish();
}

// Coefficient `index` of a tag: 50 bits, little-endian.
std::uint64_t coefficient(const LinearTag& tag, std::size_t index) {
  std::uint64_t value = 0;
  for (std::size_t bit = 0; bit < 50; ++bit) {
    const std::size_t at = 50 * index + bit;
    value |= static_cast<std::uint64_t>(tag[at / 8] >> (at % 8) & 1U) << bit;
  }
  return value;
}

void set_coefficient(LinearTag& tag, std::size_t index, std::uint64_t value) {
  for (std::size_t bit = 0; bit < 50; ++bit) {
    const std::size_t at = 50 * index + bit;
    const auto mask = static_cast<std::uint8_t>(1U << (at % 8));
    tag[at / 8] = static_cast<std::uint8_t>((value >> bit & 1) != 0 ? tag[at / 8] | mask : tag[at / 8] & ~mask);
  }
}

// The hash by its definition in docs/linear-hash.md: polynomials multiplied term by term, nothing transformed but
// the factors (backwards, they are given as values) and the product (forwards), each value by itself.
class Definition {
 public:
  Definition(const Digest& key, std::size_t prime) : q_(kPrimes[prime].q), prime_(prime), powers_(2 * kDegree, 1) {
    for (std::size_t i = 1; i < powers_.size(); ++i) powers_[i] = multiply(powers_[i - 1], kPrimes[prime].root, q_);
    stream_key_ = TaggedHash("FOVEA/1/linear-hash").add(key).finish();
  }

  Polynomial hash(const Words& low, const Carries& high) const {
    Polynomial sum(kDegree);
    for (std::size_t first = 0; first < low.size(); first += kGroupWords)
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        Polynomial words(kDegree);
        for (std::size_t i = 0; i < kDegree; ++i)
          if (const std::size_t at = first + kLanes * i + lane; at < low.size())
            words[i] = (low[at] + (static_cast<std::uint64_t>(high[at]) << 32)) % q_;
        if (std::ranges::count(words, 0U) == static_cast<std::ptrdiff_t>(kDegree)) continue;
        const Polynomial product = values(negacyclic(factor(first / kGroupWords, lane), words));
        for (std::size_t j = 0; j < kDegree; ++j) sum[j] = (sum[j] + product[j]) % q_;
      }
    return sum;
  }

 private:
  static std::size_t exponent(std::size_t j) {
    std::size_t reversed = 0;
    for (std::size_t bit = 0; bit < 10; ++bit) reversed |= (j >> bit & 1) << (9 - bit);
    return 2 * reversed + 1;
  }

  Polynomial values(const Polynomial& p) const {
    Polynomial out(kDegree);
    for (std::size_t j = 0; j < kDegree; ++j)
      for (std::size_t i = 0; i < kDegree; ++i)
        out[j] = (out[j] + multiply(p[i], powers_[exponent(j) * i % (2 * kDegree)], q_)) % q_;
    return out;
  }

  // The coefficients of a_b, whose values are keystream words of 64 bits modulo q.
  Polynomial factor(std::size_t group, std::size_t lane) const {
    const std::size_t first = 2 * (2 * group + prime_) * kGroupWords;
    const Words stream = test::ReferenceAes256(stream_key_).mask(first, 2 * kGroupWords);
    Polynomial out(kDegree);
    const std::uint64_t inverse = linear::power(kDegree, q_ - 2, q_);
    for (std::size_t j = 0; j < kDegree; ++j) {
      const std::size_t at = 2 * (kLanes * j + lane);
      const std::uint64_t value = (stream[at] | static_cast<std::uint64_t>(stream[at + 1]) << 32) % q_;
      for (std::size_t i = 0; i < kDegree; ++i) {
        const std::size_t back = (2 * kDegree - exponent(j) * i % (2 * kDegree)) % (2 * kDegree);
        out[i] = (out[i] + multiply(value, powers_[back], q_)) % q_;
      }
    }
    for (std::uint64_t& c : out) c = multiply(c, inverse, q_);
    return out;
  }

  Polynomial negacyclic(const Polynomial& a, const Polynomial& b) const {
    Polynomial out(kDegree);
    for (std::size_t i = 0; i < kDegree; ++i) {
      if (b[i] == 0) continue;
      for (std::size_t j = 0; j < kDegree; ++j) {
        const std::uint64_t term = multiply(a[j], b[i], q_);
        std::uint64_t& place = out[(i + j) % kDegree];
        place = (i + j < kDegree ? place + term : place + q_ - term) % q_;
      }
    }
    return out;
  }

  std::uint64_t q_;
  std::size_t prime_;
  Polynomial powers_;
  Digest stream_key_{};
};

class EveryLinearPath : public ::testing::TestWithParam<LinearPath> {
 protected:
  void SetUp() override {
    if (!std::ranges::count(linear_paths_available(), GetParam()))
      GTEST_SKIP() << linear_path_name(GetParam()) << " is not available on this processor";
  }
};

INSTANTIATE_TEST_SUITE_P(Paths, EveryLinearPath,
                         ::testing::Values(LinearPath::avx512_ifma, LinearPath::avx2, LinearPath::portable),
                         [](const auto& path) {
                           std::string name(linear_path_name(path.param));
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

// One whole group, so that every coefficient of eight polynomials counts, and one word more.
TEST_P(EveryLinearPath, MatchesTheDefinition) {
  const Digest key = key_of(1);
  const Words low = some_words(kGroupWords + 1, 2);
  const Carries high = some_carries(low.size(), 3);
  static const std::array<Polynomial, 2> expected = {Definition(key, 0).hash(low, high),
                                                     Definition(key, 1).hash(low, high)};
  const LinearTag tag = tag_of(key, low, high, GetParam());
  for (std::size_t i = 0; i < kLinearTagCoefficients; ++i)
    ASSERT_EQ(coefficient(tag, i), expected[i / kDegree][i % kDegree]) << i;
}

// Lengths around a polynomial, a group and a message's chunk.
TEST_P(EveryLinearPath, MatchesThePortablePathAtEveryLength) {
  const Digest key = key_of(4);
  for (const std::size_t size : {0UL, 1UL, 7UL, 8UL, 9UL, 1023UL, 1024UL, 1025UL, 8191UL, 8192UL, 8193UL, 16384UL,
                                 kChunkWords - 1, kChunkWords, kChunkWords + 1}) {
    const Words low = some_words(size, size);
    EXPECT_TRUE(tag_of(key, low, GetParam()) == tag_of(key, low, LinearPath::portable)) << size;
    const Carries high = some_carries(size, size + 1);
    EXPECT_TRUE(tag_of(key, low, high, GetParam()) == tag_of(key, low, high, LinearPath::portable)) << size;
  }
}

// The largest words, in more groups than any path adds up before it reduces: nothing may overflow. All words equal:
// the expected tag is 2^48 - 1 times that of ones, which needs no large number.
TEST_P(EveryLinearPath, LargestWordsDoNotOverflow) {
  const Digest key = key_of(5);
  const std::size_t size = (linear::kGroupsAtOnce + 1) * kGroupWords + 5;
  const LinearTag ones = tag_of(key, Words(size, 1), GetParam());
  const LinearTag largest = tag_of(key, Words(size, 0xffffffff), Carries(size, 0xffff), GetParam());
  for (std::size_t i = 0; i < kLinearTagCoefficients; ++i)
    ASSERT_EQ(coefficient(largest, i),
              multiply((std::uint64_t{1} << 48) - 1, coefficient(ones, i), kPrimes[i / kDegree].q))
        << i;
}

// Words whose transform is as large as it gets: one coefficient only, or all but one, at either end of the range.
TEST_P(EveryLinearPath, MatchesThePortablePathOnExtremeWords) {
  const Digest key = key_of(6);
  for (const std::size_t place : {0U, 1U, 7U, 8U, 4096U, 8184U, 8191U})
    for (const bool inverted : {false, true}) {
      Words low(kGroupWords, inverted ? 0xffffffff : 0);
      Carries high(kGroupWords, inverted ? 0xffff : 0);
      low[place] = ~low[place];
      high[place] = static_cast<std::uint16_t>(~high[place]);
      EXPECT_TRUE(tag_of(key, low, high, GetParam()) == tag_of(key, low, high, LinearPath::portable)) << place;
    }
}

TEST_P(EveryLinearPath, PiecesOfAnySizeGiveTheSameAsTheWhole) {
  const Digest key = key_of(7);
  const Words low = some_words(3 * kGroupWords + 77, 8);
  const Carries high = some_carries(low.size(), 9);
  const LinearTag whole = tag_of(key, low, high, GetParam());
  for (const std::size_t piece : {1000UL, 1024UL, 8191UL, 8192UL, 8193UL, 16384UL, 20000UL}) {
    LinearHash hash(key, low.size(), GetParam());
    for (std::size_t done = 0; done < low.size(); done += piece) {
      const std::size_t count = std::min(piece, low.size() - done);
      hash.add(std::span(low).subspan(done, count), std::span(high).subspan(done, count));
    }
    EXPECT_TRUE(hash.finish() == whole) << piece;
  }
}

// What everything rests on: tags of masked vectors add up to the tag of their integer sum, carries included.
TEST_P(EveryLinearPath, TagsAddUpToTheTagOfTheIntegerSum) {
  const Digest key = key_of(10);
  const std::size_t size = 2 * kGroupWords + 1000;
  Words low(size);
  Carries high(size);
  LinearTagSum sum;
  for (std::uint64_t site = 0; site < 9; ++site) {
    const Words words = some_words(size, 100 + site);
    ASSERT_TRUE(sum.add(tag_of(key, words, GetParam())));
    for (std::size_t i = 0; i < size; ++i) {
      const std::uint64_t value = static_cast<std::uint64_t>(low[i]) + words[i];
      low[i] = static_cast<std::uint32_t>(value);
      high[i] = static_cast<std::uint16_t>(high[i] + (value >> 32));
    }
  }
  EXPECT_TRUE(sum.equals(tag_of(key, low, high, GetParam())));
  EXPECT_FALSE(sum.equals(tag_of(key, low, GetParam()))) << "a sum modulo 2^32 has another tag";
}

// A coordinator that publishes anything else than the sum is found out, wherever and however it differs.
TEST(LinearHash, AnotherSumThanTheSumHasAnotherTag) {
  const Digest key = key_of(11);
  const std::size_t size = kGroupWords + 100;
  const Words low = some_words(size, 12);
  const Carries high = some_carries(size, 13);
  LinearTagSum sum;
  ASSERT_TRUE(sum.add(tag_of(key, low, high)));
  ASSERT_TRUE(sum.equals(tag_of(key, low, high)));
  for (const std::size_t place :
       {std::size_t{0}, std::size_t{1}, std::size_t{8}, kGroupWords - 1, kGroupWords, size - 1}) {
    Words other = low;
    other[place] ^= 1;
    EXPECT_FALSE(sum.equals(tag_of(key, other, high))) << "word " << place;
    Carries carried = high;
    carried[place] ^= 0x8000;
    EXPECT_FALSE(sum.equals(tag_of(key, low, carried))) << "carry " << place;
    other = low;
    std::swap(other[place], other[(place + 1) % size]);
    EXPECT_FALSE(sum.equals(tag_of(key, other, high))) << "words exchanged at " << place;
  }
  EXPECT_FALSE(sum.equals(tag_of(key_of(14), low, high))) << "another round's key";
}

TEST(LinearHash, AnotherKeyIsAnotherHash) {
  const std::vector<std::uint32_t> words{1, 2, 3};
  EXPECT_NE(linear_hash(Digest{1}, words, {}, 1), linear_hash(Digest{2}, words, {}, 1));
}

// A tag that is right modulo one prime only is not the sum's tag.
TEST(LinearHash, BothPrimesCount) {
  const LinearTag right = tag_of(key_of(15), some_words(kDegree, 16));
  const LinearTag other = tag_of(key_of(15), some_words(kDegree, 17));
  LinearTagSum sum;
  ASSERT_TRUE(sum.add(right));
  ASSERT_TRUE(sum.equals(right));
  LinearTag first_half = right;
  std::ranges::copy(other.begin() + kLinearTagBytes / 2, other.end(), first_half.begin() + kLinearTagBytes / 2);
  LinearTag second_half = right;
  std::ranges::copy(other.begin(), other.begin() + kLinearTagBytes / 2, second_half.begin());
  EXPECT_FALSE(sum.equals(first_half));
  EXPECT_FALSE(sum.equals(second_half));
}

TEST(LinearHash, ThreadsGiveTheSame) {
  const Digest key = key_of(16);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kGroupWords, kGroupWords + 1, 5 * kGroupWords + 9}) {
    const Words low = some_words(size, 17);
    const Carries high = some_carries(size, 18);
    for (const unsigned threads : {1U, 2U, 3U, 64U}) {
      EXPECT_TRUE(linear_hash(key, low, {}, threads) == tag_of(key, low)) << size << ' ' << threads;
      EXPECT_TRUE(linear_hash(key, low, high, threads) == tag_of(key, low, high)) << size << ' ' << threads;
    }
  }
}

TEST(LinearHash, TheChosenPathIsTheFastestAvailable) {
  EXPECT_EQ(linear_path(), linear_paths_available().front());
  EXPECT_EQ(linear_paths_available().back(), LinearPath::portable);
}

// A vector that is not added whole, once and in order has no tag.
TEST(LinearHashDeathTest, WordsMissingTooManyOrAfterTheEnd) {
  const Digest key = key_of(19);
  const Words words = some_words(100, 20);
  EXPECT_DEATH(
      {
        LinearHash hash(key, 101);
        hash.add(words);
        (void)hash.finish();
      },
      "");
  EXPECT_DEATH(LinearHash(key, 99).add(words), "");
  EXPECT_DEATH(LinearHash(key, 100).add(words, Carries(99)), "");
  EXPECT_DEATH(LinearHash(key, 100).add(words, {}), "") << "carries are not left out by mistake";
  LinearHash hash(key, 100);
  hash.add(words);
  (void)hash.finish();
  EXPECT_DEATH(hash.add({}), "");
  EXPECT_DEATH((void)hash.finish(), "");
}

TEST(LinearTagSum, IsZeroWithoutTags) {
  EXPECT_TRUE(LinearTagSum().equals(LinearTag{}));
  EXPECT_TRUE(LinearTagSum().equals(tag_of(key_of(21), Words(2000, 0))));
}

TEST(LinearTagSum, RefusesAnotherLength) {
  LinearTagSum sum;
  for (const std::size_t size : {std::size_t{0}, kLinearTagBytes - 1, kLinearTagBytes + 1}) {
    const auto added = sum.add(Bytes(size));
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error(), invalid_argument("linear tag: expected 12800 bytes, found " + std::to_string(size)));
  }
}

// One hash, one encoding: q - 1 is the largest coefficient, for each of the two primes, at every place.
TEST(LinearTagSum, RefusesACoefficientThatIsNotBelowItsPrime) {
  for (const std::size_t place : {std::size_t{0}, std::size_t{1}, kDegree - 1, kDegree, kLinearTagCoefficients - 1}) {
    const std::uint64_t q = kPrimes[place / kDegree].q;
    LinearTag tag{};
    set_coefficient(tag, place, q - 1);
    LinearTagSum sum;
    ASSERT_TRUE(sum.add(tag)) << place;
    EXPECT_TRUE(sum.equals(tag));
    for (const std::uint64_t value : {q, (std::uint64_t{1} << 50) - 1}) {
      LinearTag wrong{};
      set_coefficient(wrong, place, value);
      const auto added = sum.add(wrong);
      ASSERT_FALSE(added) << place;
      EXPECT_EQ(added.error().message, "linear tag: coefficient " + std::to_string(place) + " must be below " +
                                           std::to_string(q) + ", found " + std::to_string(value));
      EXPECT_TRUE(sum.equals(tag)) << "a refused tag changes nothing";
    }
    LinearTag one{};
    set_coefficient(one, place, 1);
    ASSERT_TRUE(sum.add(one));
    EXPECT_TRUE(sum.equals(LinearTag{})) << "q is 0";
  }
}

TEST(LinearHashPrimes, ArePrimeByTrialDivision) {
  for (const linear::Prime& prime : kPrimes) {
    std::uint64_t divisor = 3;
    while (divisor * divisor <= prime.q && prime.q % divisor != 0) divisor += 2;
    EXPECT_GT(divisor * divisor, prime.q) << "divisible by " << divisor;
  }
}

TEST(LinearHashPrimes, RootsAreTheSmallestOfOrder2048) {
  for (const linear::Prime& prime : kPrimes) {
    std::uint64_t smallest = prime.root;
    for (std::uint64_t k = 1; k < 2 * kDegree; k += 2)
      smallest = std::min(smallest, linear::power(prime.root, k, prime.q));
    EXPECT_EQ(smallest, prime.root);
  }
}

}  // namespace
}  // namespace fovea::crypto

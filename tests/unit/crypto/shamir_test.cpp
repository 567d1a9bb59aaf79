#include "crypto/shamir.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <numeric>
#include <string>

#include "crypto/prime_field.h"
#include "tests/support/hex.h"

namespace fovea::crypto {
namespace {

std::vector<std::uint32_t> points_to(std::uint32_t count) {
  std::vector<std::uint32_t> points(count);
  std::iota(points.begin(), points.end(), 1U);
  return points;
}

std::vector<Share> pick(const std::vector<Share>& shares, const std::vector<std::size_t>& which) {
  std::vector<Share> picked;
  for (const std::size_t i : which) picked.push_back(shares[i].copy());
  return picked;
}

std::string text(const SecretKey& key) { return to_hex(key.view()); }

// A share with one value replaced, through its encoding.
Share changed(const Share& share, std::size_t limb, std::uint64_t value) {
  auto bytes = share.encode();
  for (std::size_t i = 0; i < 8; ++i) bytes.span()[4 + 8 * limb + i] = static_cast<std::uint8_t>(value >> (8 * i));
  return Share::decode(bytes.view()).value();
}

Share random_share(std::uint32_t point, RandomSource& random) {
  std::array<std::uint64_t, kShareLimbs> values{};
  for (std::uint64_t& value : values) {
    random.fill({reinterpret_cast<std::uint8_t*>(&value), sizeof(value)});
    value &= field::kPrime >> 1;
  }
  return ShareAccess::make(point, values);
}

TEST(PrimeField, AgreesWithWideArithmeticAtTheEdges) {
  const std::uint64_t p = field::kPrime;
  const std::vector<std::uint64_t> edges = {0, 1, 2, 7, (1ULL << 52) - 1, 1ULL << 60, p / 2, p / 2 + 1, p - 2, p - 1};
  for (const std::uint64_t a : edges) {
    for (const std::uint64_t b : edges) {
      EXPECT_EQ(field::add(a, b), static_cast<std::uint64_t>((field::Wide{a} + b) % p));
      EXPECT_EQ(field::subtract(a, b), static_cast<std::uint64_t>((field::Wide{a} + p - b) % p));
      EXPECT_EQ(field::multiply(a, b), static_cast<std::uint64_t>(field::Wide{a} * b % p));
    }
    if (a != 0) {
      EXPECT_EQ(field::multiply(a, field::inverse(a)), 1U);
    }
  }
}

TEST(Shamir, EveryThreeOfFiveReconstruct) {
  SeededRandom random(test::numbered_key(1));
  const SecretKey secret = random.secret_key();
  const auto shares = split_secret(secret, 3, points_to(5), random).value();
  for (std::size_t a = 0; a < 5; ++a)
    for (std::size_t b = 0; b < 5; ++b)
      for (std::size_t c = 0; c < 5; ++c) {
        if (a == b || b == c || a == c) continue;
        EXPECT_EQ(text(combine_shares(pick(shares, {a, b, c})).value()), text(secret));
      }
}

TEST(Shamir, AnyThresholdManyOfAnySizeReconstruct) {
  SeededRandom random(test::numbered_key(2));
  for (const std::uint32_t count : {1U, 2U, 3U, 7U, 20U, 64U, 128U}) {
    for (const std::uint32_t threshold : {1U, count / 2 + 1, count}) {
      SecretKey secret = random.secret_key();
      const auto shares = split_secret(secret, threshold, points_to(count), random).value();
      std::vector<std::size_t> order(count);
      std::iota(order.begin(), order.end(), 0U);
      for (std::size_t i = count; i > 1; --i) {
        std::uint32_t draw = 0;
        random.fill({reinterpret_cast<std::uint8_t*>(&draw), sizeof(draw)});
        std::swap(order[i - 1], order[draw % i]);
      }
      order.resize(threshold);
      EXPECT_EQ(text(combine_shares(pick(shares, order)).value()), text(secret)) << count << ' ' << threshold;
    }
  }
}

TEST(Shamir, ExtremeSecretsSurvive) {
  SeededRandom random(test::numbered_key(3));
  for (const std::uint8_t byte : std::initializer_list<std::uint8_t>{0x00, 0xff, 0x80, 0x01}) {
    SecretKey secret;
    std::ranges::fill(secret.span(), byte);
    const auto shares = split_secret(secret, 2, points_to(3), random).value();
    EXPECT_EQ(text(combine_shares(pick(shares, {2, 0})).value()), text(secret));
  }
}

// With t − 1 shares in hand every secret is still possible: for each there is a last share that yields it.
TEST(Shamir, FewerThanThresholdSharesFitEverySecret) {
  SeededRandom random(test::numbered_key(4));
  const SecretKey secret = random.secret_key();
  const auto shares = split_secret(secret, 3, points_to(3), random).value();
  const auto known = pick(shares, {0, 1});
  const SecretKey wanted = random.secret_key();
  // The difference of two sharings that agree at points 1 and 2 is a multiple of (x−1)(x−2): it grows from x = 0 to
  // x = 3 by (2·1)/((−1)(−2)) = 1, so the last share moves as the secret does, limb by limb.
  const auto own = split_secret(secret, 1, std::vector<std::uint32_t>{3}, random).value();
  const auto other = split_secret(wanted, 1, std::vector<std::uint32_t>{3}, random).value();
  std::array<std::uint64_t, kShareLimbs> values{};
  for (std::size_t limb = 0; limb < kShareLimbs; ++limb)
    values[limb] = field::add(ShareAccess::value(shares[2], limb),
                              field::subtract(ShareAccess::value(other[0], limb), ShareAccess::value(own[0], limb)));
  std::vector<Share> forged = pick(known, {0, 1});
  forged.push_back(ShareAccess::make(3, values));
  EXPECT_EQ(text(combine_shares(forged).value()), text(wanted));
}

// t − 1 shares look the same whatever the secret is: their values are uniform. Chi-square, 63 degrees of freedom;
// 120 is beyond the 0.99999 quantile and the seed is fixed.
TEST(Shamir, ASingleShareIsUniformWhateverTheSecret) {
  for (const std::uint8_t byte : std::initializer_list<std::uint8_t>{0x00, 0xff}) {
    SeededRandom random(test::numbered_key(5));
    SecretKey secret;
    std::ranges::fill(secret.span(), byte);
    constexpr int kDraws = 4096;
    std::array<int, 64> counts{};
    for (int draw = 0; draw < kDraws; ++draw) {
      const auto shares = split_secret(secret, 2, std::vector<std::uint32_t>{1, 2}, random).value();
      ++counts[ShareAccess::value(shares[0], 0) >> 55];
    }
    double chi_square = 0;
    for (const int count : counts) chi_square += (count - 64.0) * (count - 64.0) / 64.0;
    EXPECT_LT(chi_square, 120.0) << "seed 5, secret byte " << int{byte};
  }
}

// Were the limbs shared by one polynomial, a single share would show the differences between them.
TEST(Shamir, EachLimbHasAPolynomialOfItsOwn) {
  SeededRandom random(test::numbered_key(5));
  const auto shares = split_secret(SecretKey(), 3, points_to(3), random).value();
  for (const Share& share : shares)
    for (std::size_t limb = 1; limb < kShareLimbs; ++limb)
      for (std::size_t other = 0; other < limb; ++other)
        EXPECT_NE(ShareAccess::value(share, limb), ShareAccess::value(share, other)) << limb << " and " << other;
}

TEST(Shamir, FewerThanThresholdSharesDoNotReconstruct) {
  SeededRandom random(test::numbered_key(6));
  const SecretKey secret = random.secret_key();
  const auto shares = split_secret(secret, 4, points_to(6), random).value();
  const auto wrong = combine_shares(pick(shares, {0, 1, 2}));
  EXPECT_TRUE(!wrong.has_value() || text(*wrong) != text(secret));
}

TEST(Shamir, AnotherSourceGivesOtherSharesOfTheSameSecret) {
  SeededRandom one(test::numbered_key(7));
  SeededRandom two(test::numbered_key(8));
  const SecretKey secret = test::numbered_key(99);
  const auto a = split_secret(secret, 2, points_to(2), one).value();
  const auto b = split_secret(secret, 2, points_to(2), two).value();
  EXPECT_NE(to_hex(a[0].encode().view()), to_hex(b[0].encode().view()));
}

TEST(Shamir, RefusesBadPointsAndThresholds) {
  SeededRandom random(test::numbered_key(9));
  const SecretKey secret;
  const auto code = [&](std::uint32_t threshold, std::vector<std::uint32_t> points) {
    const auto shares = split_secret(secret, threshold, points, random);
    return shares.has_value() ? std::string("accepted") : shares.error().message;
  };
  EXPECT_EQ(code(2, {0, 1}), "share point: expected 1–1048576, found 0");
  EXPECT_EQ(code(2, {4, 1, 4}), "share point 4: given twice");
  EXPECT_EQ(code(2, {1, kSharePointMax + 1}), "share point: expected 1–1048576, found 1048577");
  EXPECT_EQ(code(0, {1, 2}), "share threshold: expected 1–2, found 0");
  EXPECT_EQ(code(3, {1, 2}), "share threshold: expected 1–2, found 3");
  EXPECT_EQ(code(1, {}), "shares: expected 1–4096, found 0");
}

TEST(Shamir, CombiningRefusesDuplicatesAndOtherPoints) {
  SeededRandom random(test::numbered_key(10));
  const auto shares = split_secret(random.secret_key(), 2, points_to(3), random).value();
  EXPECT_EQ(combine_shares(pick(shares, {1, 1})).error().message, "share point 2: given twice");
  EXPECT_FALSE(combine_shares({}).has_value());
  const SecretCombiner combiner = SecretCombiner::create(std::vector<std::uint32_t>{1, 2}).value();
  EXPECT_TRUE(combiner.combine(pick(shares, {0, 1})).has_value());
  EXPECT_EQ(combiner.combine(pick(shares, {0, 2})).error().message, "share 1: expected point 2, found 3");
  EXPECT_FALSE(combiner.combine(pick(shares, {0})).has_value());
}

TEST(Shamir, ARandomShareAmongThresholdManyIsNoticed) {
  SeededRandom random(test::numbered_key(11));
  for (int turn = 0; turn < 200; ++turn) {
    auto shares = split_secret(random.secret_key(), 3, points_to(3), random).value();
    shares[1] = random_share(2, random);
    const auto combined = combine_shares(shares);
    ASSERT_FALSE(combined.has_value()) << "seed 11, turn " << turn;
    EXPECT_EQ(combined.error().code, ErrorCode::corruption);
  }
}

TEST(Share, DecodesWhatItEncoded) {
  SeededRandom random(test::numbered_key(12));
  const auto shares = split_secret(random.secret_key(), 2, std::vector<std::uint32_t>{7, 65536}, random).value();
  for (const Share& share : shares) {
    const auto bytes = share.encode();
    const auto decoded = Share::decode(bytes.view());
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->point(), share.point());
    EXPECT_EQ(to_hex(decoded->encode().view()), to_hex(bytes.view()));
  }
}

TEST(Share, RefusesBadLengthsPointsAndValues) {
  const Share share = ShareAccess::make(1, {});
  auto bytes = share.encode();
  for (std::size_t size = 0; size < kShareBytes; ++size)
    EXPECT_FALSE(Share::decode(ByteView(bytes.view()).first(size)).has_value()) << size;
  Bytes longer(bytes.view().begin(), bytes.view().end());
  longer.push_back(0);
  EXPECT_FALSE(Share::decode(longer).has_value());
  bytes.span()[0] = 0;
  EXPECT_EQ(Share::decode(bytes.view()).error().message, "share point: expected 1–1048576, found 0");
  Bytes too_large(kShareBytes);
  too_large[0] = 1;
  for (std::size_t i = 0; i < 8; ++i) too_large[4 + 8 + i] = i == 7 ? 0x1f : 0xff;  // exactly p
  EXPECT_EQ(Share::decode(too_large).error().message, "share value: expected a number below 2^61 − 1");
  too_large[4 + 8] = 0xfe;  // p − 1
  EXPECT_TRUE(Share::decode(too_large).has_value());
}

// Decoding

TEST(ShamirDecode, GivesTheSecretWhenAllSharesAreGood) {
  SeededRandom random(test::numbered_key(20));
  const SecretKey secret = random.secret_key();
  const auto shares = split_secret(secret, 4, points_to(9), random).value();
  const auto decoded = decode_shares(shares, 4);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(text(decoded->secret), text(secret));
  EXPECT_TRUE(decoded->bad_points.empty());
}

TEST(ShamirDecode, NamesEveryBadShareUpToTheBound) {
  SeededRandom random(test::numbered_key(21));
  for (std::uint32_t count = 3; count <= 21; count += 3) {
    for (std::uint32_t threshold = 1; threshold <= count; ++threshold) {
      const std::uint32_t errors = (count - threshold) / 2;
      const SecretKey secret = random.secret_key();
      auto shares = split_secret(secret, threshold, points_to(count), random).value();
      std::vector<std::uint32_t> bad;
      for (std::uint32_t i = 0; i < errors; ++i) {
        const std::uint32_t place = (5 * i + threshold) % count;  // spread over the positions
        if (std::ranges::find(bad, place + 1) != bad.end()) continue;
        shares[place] = random_share(place + 1, random);
        bad.push_back(place + 1);
      }
      std::ranges::sort(bad);
      const auto decoded = decode_shares(shares, threshold);
      ASSERT_TRUE(decoded.has_value()) << "seed 21, " << threshold << " of " << count;
      EXPECT_EQ(text(decoded->secret), text(secret));
      EXPECT_EQ(decoded->bad_points, bad);
    }
  }
}

TEST(ShamirDecode, NamesAShareWithOneBitOfOneLimbChanged) {
  SeededRandom random(test::numbered_key(22));
  for (std::size_t limb = 0; limb < kShareLimbs; ++limb) {
    const SecretKey secret = random.secret_key();
    auto shares = split_secret(secret, 3, points_to(5), random).value();
    shares[4] = changed(shares[4], limb, ShareAccess::value(shares[4], limb) ^ 1);
    const auto decoded = decode_shares(shares, 3);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(text(decoded->secret), text(secret));
    EXPECT_EQ(decoded->bad_points, std::vector<std::uint32_t>{5});
  }
}

TEST(ShamirDecode, BadSharesInDifferentLimbsAreAllNamed) {
  SeededRandom random(test::numbered_key(23));
  const SecretKey secret = random.secret_key();
  auto shares = split_secret(secret, 3, points_to(7), random).value();
  shares[0] = changed(shares[0], 0, 12345);
  shares[6] = changed(shares[6], 4, 54321);
  const auto decoded = decode_shares(shares, 3);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(text(decoded->secret), text(secret));
  EXPECT_EQ(decoded->bad_points, (std::vector<std::uint32_t>{1, 7}));
}

TEST(ShamirDecode, RefusesMoreBadSharesThanItCanCorrect) {
  SeededRandom random(test::numbered_key(24));
  for (int turn = 0; turn < 50; ++turn) {
    auto shares = split_secret(random.secret_key(), 4, points_to(9), random).value();
    for (const std::uint32_t place : {0U, 3U, 8U}) shares[place] = random_share(place + 1, random);
    const auto decoded = decode_shares(shares, 4);
    ASSERT_FALSE(decoded.has_value()) << "seed 24, turn " << turn;
    EXPECT_EQ(decoded.error().code, ErrorCode::corruption);
  }
}

TEST(ShamirDecode, RefusesTooFewSharesAndDuplicates) {
  SeededRandom random(test::numbered_key(25));
  const auto shares = split_secret(random.secret_key(), 3, points_to(5), random).value();
  EXPECT_EQ(decode_shares(pick(shares, {0, 1}), 3).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(decode_shares(pick(shares, {0, 1, 1}), 2).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(decode_shares(pick(shares, {0, 1, 2}), 0).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace fovea::crypto

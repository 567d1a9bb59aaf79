#include "crypto/shamir.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "common/codec.h"
#include "common/result.h"
#include "crypto/prime_field.h"

namespace fovea::crypto {

namespace {

using Limbs = std::array<std::uint64_t, kShareLimbs>;

void wipe_limbs(Limbs& limbs) noexcept { wipe({reinterpret_cast<std::uint8_t*>(limbs.data()), sizeof(Limbs)}); }

// Bit i of the secret is bit i % 52 of limb i / 52; the bytes count from the least significant.
Limbs cut_limbs(const SecretKey& secret) {
  Limbs limbs{};
  const auto bytes = secret.view();
  for (std::size_t limb = 0; limb < kShareLimbs; ++limb) {
    // Every limb starts at a half byte: 52 is 6 bytes and a half.
    const std::size_t first = limb * kLimbBits / 8;
    const unsigned skip = limb * kLimbBits % 8;
    std::uint64_t window = 0;
    for (std::size_t i = 0; i < 7 && first + i < bytes.size(); ++i)
      window |= static_cast<std::uint64_t>(bytes[first + i]) << (8 * i);
    limbs[limb] = (window >> skip) & ((std::uint64_t{1} << kLimbBits) - 1);
  }
  return limbs;
}

// Uniform below p: 61 random bits, drawn again when they are all ones. No modulo, hence no bias.
void draw_field_elements(std::span<std::uint64_t> out, RandomSource& random) {
  random.fill({reinterpret_cast<std::uint8_t*>(out.data()), out.size_bytes()});
  for (std::uint64_t& element : out) {
    element &= field::kPrime;
    while (element == field::kPrime) {
      random.fill({reinterpret_cast<std::uint8_t*>(&element), sizeof(element)});
      element &= field::kPrime;
    }
  }
}

// Whether shares fit together is public. Kept apart so that the check of constant time
// (tests/unit/crypto/constant_time_check.cpp) can name this one branch.
[[gnu::noinline]] Result<void> public_verdict(std::uint64_t excess) {
  if (excess == 0) return {};
  return corruption("shares: they do not belong to one secret; at least one is wrong");
}

Result<void> check_split(std::uint32_t threshold, std::span<const std::uint32_t> points) {
  FOVEA_TRY(check_points(points));
  if (threshold < 1 || threshold > points.size())
    return invalid_argument("share threshold: expected 1–" + std::to_string(points.size()) + ", found " +
                            std::to_string(threshold));
  return {};
}

}  // namespace

Result<void> check_points(std::span<const std::uint32_t> points) {
  if (points.empty() || points.size() > kSharesMax)
    return invalid_argument("shares: expected 1–" + std::to_string(kSharesMax) + ", found " +
                            std::to_string(points.size()));
  std::vector<std::uint32_t> sorted(points.begin(), points.end());
  std::sort(sorted.begin(), sorted.end());
  if (sorted.front() == 0 || sorted.back() > kSharePointMax)
    return invalid_argument("share point: expected 1–" + std::to_string(kSharePointMax) + ", found " +
                            std::to_string(sorted.front() == 0 ? 0 : sorted.back()));
  if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
    return invalid_argument("share point " + std::to_string(*twice) + ": given twice");
  return {};
}

Result<SecretKey> join_limbs(Limbs& limbs) {
  SecretKey secret;
  const auto bytes = secret.span();
  std::uint64_t excess = 0;
  for (std::size_t limb = 0; limb < kShareLimbs; ++limb) {
    excess |= limbs[limb] >> (limb + 1 == kShareLimbs ? kLastLimbBits : kLimbBits);
    const std::size_t first = limb * kLimbBits / 8;
    const std::uint64_t window = limbs[limb] << (limb * kLimbBits % 8);
    for (std::size_t i = 0; i < 7 && first + i < bytes.size(); ++i)
      bytes[first + i] = static_cast<std::uint8_t>(bytes[first + i] | (window >> (8 * i)));
  }
  wipe_limbs(limbs);
  FOVEA_TRY(public_verdict(excess));
  return secret;
}

Share::Share(Share&& other) noexcept : point_(other.point_), values_(other.values_) { wipe_limbs(other.values_); }

Share& Share::operator=(Share&& other) noexcept {
  if (this != &other) {
    point_ = other.point_;
    values_ = other.values_;
    wipe_limbs(other.values_);
  }
  return *this;
}

Share::~Share() { wipe_limbs(values_); }

Share Share::copy() const { return Share(point_, values_); }

Result<Share> Share::decode(ByteView bytes) {
  ByteReader reader(bytes);
  FOVEA_TRY_ASSIGN(const std::uint32_t point, reader.u32("share point"));
  Share share(point, {});
  if (point < 1 || point > kSharePointMax)
    return invalid_argument("share point: expected 1–" + std::to_string(kSharePointMax) + ", found " +
                            std::to_string(point));
  for (std::uint64_t& value : share.values_) {
    FOVEA_TRY_ASSIGN(value, reader.u64("share value"));
    if (value >= field::kPrime) return invalid_argument("share value: expected a number below 2^61 − 1");
  }
  FOVEA_TRY(reader.finish("share"));
  return share;
}

SecretArray<kShareBytes> Share::encode() const {
  SecretArray<kShareBytes> out;
  const auto bytes = out.span();
  for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::uint8_t>(point_ >> (8 * i));
  for (std::size_t limb = 0; limb < kShareLimbs; ++limb)
    for (std::size_t i = 0; i < 8; ++i) bytes[4 + 8 * limb + i] = static_cast<std::uint8_t>(values_[limb] >> (8 * i));
  return out;
}

Result<std::vector<Share>> split_secret(const SecretKey& secret, std::uint32_t threshold,
                                        std::span<const std::uint32_t> points, RandomSource& random) {
  FOVEA_TRY(check_split(threshold, points));
  // Coefficients 1 … t−1 of limb 0, then of limb 1, and so on; coefficient 0 is the limb.
  const std::size_t degree = threshold - 1;
  FieldWords coefficients(kShareLimbs * degree);
  draw_field_elements(coefficients, random);
  Limbs limbs = cut_limbs(secret);

  std::vector<Share> shares;
  shares.reserve(points.size());
  for (const std::uint32_t point : points) {
    Limbs values{};
    for (std::size_t limb = 0; limb < kShareLimbs; ++limb) {
      std::uint64_t value = 0;
      for (std::size_t i = degree; i-- > 0;)
        value = field::multiply(field::add(value, coefficients[limb * degree + i]), point);
      values[limb] = field::add(value, limbs[limb]);
    }
    shares.push_back(ShareAccess::make(point, values));
    wipe_limbs(values);
  }
  wipe_limbs(limbs);
  return shares;
}

Result<SecretCombiner> SecretCombiner::create(std::span<const std::uint32_t> points) {
  FOVEA_TRY(check_points(points));
  // Lagrange's weights at x = 0: ∏ x_j / (x_j − x_i) over j ≠ i. All public.
  std::vector<std::uint64_t> weights(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    std::uint64_t numerator = 1;
    std::uint64_t denominator = 1;
    for (std::size_t j = 0; j < points.size(); ++j) {
      if (j == i) continue;
      numerator = field::multiply(numerator, points[j]);
      denominator = field::multiply(denominator, field::subtract(points[j], points[i]));
    }
    weights[i] = field::multiply(numerator, field::inverse(denominator));
  }
  return SecretCombiner(std::vector<std::uint32_t>(points.begin(), points.end()), std::move(weights));
}

Result<SecretKey> SecretCombiner::combine(std::span<const Share> shares) const {
  if (shares.size() != points_.size())
    return invalid_argument("shares: expected " + std::to_string(points_.size()) + ", found " +
                            std::to_string(shares.size()));
  Limbs limbs{};
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (shares[i].point() != points_[i])
      return invalid_argument("share " + std::to_string(i) + ": expected point " + std::to_string(points_[i]) +
                              ", found " + std::to_string(shares[i].point()));
    for (std::size_t limb = 0; limb < kShareLimbs; ++limb)
      limbs[limb] = field::add(limbs[limb], field::multiply(weights_[i], ShareAccess::value(shares[i], limb)));
  }
  return join_limbs(limbs);
}

Result<SecretKey> combine_shares(std::span<const Share> shares) {
  std::vector<std::uint32_t> points;
  for (const Share& share : shares) points.push_back(share.point());
  FOVEA_TRY_ASSIGN(const SecretCombiner combiner, SecretCombiner::create(points));
  return combiner.combine(shares);
}

}  // namespace fovea::crypto

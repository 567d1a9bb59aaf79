// Shamir's secret sharing (CACM 1979) of 32-byte secrets over p = 2^61 − 1.
// A secret is cut into five limbs of 52 bits (the last of 48), little-endian, each shared by its own polynomial
// of degree t − 1 with coefficients drawn by rejection. A share is (x, five values below p), x = roster index + 1.
// A limb needs 52 of the field's 61 bits, so random values in place of one of exactly t shares go unnoticed with
// probability below 2^-48; a share changed in one limb on purpose, up to 2^-9: the protocol also checks the secret
// against its commitment. With more than t shares the bad ones are named (Reed–Solomon decoding, Gao 2003).
// split and combine run without branches or table look-ups on secrets. decode is for the coordinator, to whom
// the shares have been released: its running time depends on them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/result.h"
#include "crypto/random_source.h"
#include "crypto/secret_bytes.h"

namespace fovea::crypto {

inline constexpr std::size_t kShareLimbs = 5;
inline constexpr std::size_t kShareBytes = 4 + 8 * kShareLimbs;  // x as u32, then the values as u64, little-endian
inline constexpr std::uint32_t kSharePointMax = 1U << 20;
inline constexpr std::size_t kSharesMax = 4096;  // of one secret

// One share of one secret. Wiped on destruction; move-only.
class Share {
 public:
  // invalid_argument: not 44 bytes, x outside 1–kSharePointMax, or a value not below p.
  static Result<Share> decode(ByteView bytes);
  SecretArray<kShareBytes> encode() const;

  std::uint32_t point() const noexcept { return point_; }
  Share copy() const;

  Share(Share&& other) noexcept;
  Share& operator=(Share&& other) noexcept;
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;
  ~Share();

 private:
  friend struct ShareAccess;
  Share(std::uint32_t point, const std::array<std::uint64_t, kShareLimbs>& values) : point_(point), values_(values) {}
  std::uint32_t point_ = 0;
  std::array<std::uint64_t, kShareLimbs> values_{};
};

// One share for each point, in order. invalid_argument: a zero, duplicate or too large point, a threshold of 0
// or above the number of points.
Result<std::vector<Share>> split_secret(const SecretKey& secret, std::uint32_t threshold,
                                        std::span<const std::uint32_t> points, RandomSource& random);

// Reconstructs many secrets whose shares lie at the same points: the Lagrange weights are computed once.
class SecretCombiner {
 public:
  // `points` are exactly the threshold's number. invalid_argument: none, zero, duplicate or too large.
  static Result<SecretCombiner> create(std::span<const std::uint32_t> points);

  // The shares in the order of the points. invalid_argument: another number or another point.
  // corruption: the shares do not fit together (a limb out of range); which one is bad cannot be told from t shares.
  Result<SecretKey> combine(std::span<const Share> shares) const;

 private:
  explicit SecretCombiner(std::vector<std::uint32_t> points, std::vector<std::uint64_t> weights)
      : points_(std::move(points)), weights_(std::move(weights)) {}
  std::vector<std::uint32_t> points_;
  std::vector<std::uint64_t> weights_;
};

// The secret from exactly threshold shares; errors as SecretCombiner.
Result<SecretKey> combine_shares(std::span<const Share> shares);

struct DecodedSecret {
  SecretKey secret;
  std::vector<std::uint32_t> bad_points;  // shares that are not on the polynomial, ascending
};

// The secret from n ≥ threshold shares of which at most ⌊(n − threshold) / 2⌋ are wrong, and which ones.
// invalid_argument as above. corruption: more are wrong than can be corrected.
Result<DecodedSecret> decode_shares(std::span<const Share> shares, std::uint32_t threshold);

}  // namespace fovea::crypto

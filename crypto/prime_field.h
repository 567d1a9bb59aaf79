// Arithmetic modulo p = 2^61 − 1, without branches, and the door to a share's values. For crypto/shamir*.cpp only.
// All operands and results are canonical: below p.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/result.h"
#include "crypto/secret_bytes.h"
#include "crypto/shamir.h"

namespace fovea::crypto {

namespace field {

__extension__ using Wide = unsigned __int128;

inline constexpr std::uint64_t kPrime = (std::uint64_t{1} << 61) - 1;

// v < 2^62 to canonical form.
inline std::uint64_t reduce(std::uint64_t v) noexcept {
  v = (v & kPrime) + (v >> 61);
  const std::uint64_t less = v - kPrime;
  return less + (kPrime & (std::uint64_t{0} - (less >> 63)));
}

inline std::uint64_t add(std::uint64_t a, std::uint64_t b) noexcept { return reduce(a + b); }
inline std::uint64_t subtract(std::uint64_t a, std::uint64_t b) noexcept { return reduce(a + kPrime - b); }

inline std::uint64_t multiply(std::uint64_t a, std::uint64_t b) noexcept {
  const Wide product = static_cast<Wide>(a) * b;
  return reduce((static_cast<std::uint64_t>(product) & kPrime) + static_cast<std::uint64_t>(product >> 61));
}

// a^(p−2), by Fermat; a is public here and not zero.
inline std::uint64_t inverse(std::uint64_t a) noexcept {
  std::uint64_t result = 1;
  for (std::uint64_t exponent = kPrime - 2; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = multiply(result, a);
    a = multiply(a, a);
  }
  return result;
}

}  // namespace field

using FieldWords = std::vector<std::uint64_t, WipingAllocator<std::uint64_t>>;

inline constexpr unsigned kLimbBits = 52;
inline constexpr unsigned kLastLimbBits = 48;

struct ShareAccess {
  static Share make(std::uint32_t point, const std::array<std::uint64_t, kShareLimbs>& values) {
    return Share(point, values);
  }
  static std::uint64_t value(const Share& share, std::size_t limb) { return share.values_[limb]; }
};

// invalid_argument: a zero, duplicate or too large point, or more than kSharesMax.
Result<void> check_points(std::span<const std::uint32_t> points);

// The 32 bytes of five limbs; corruption when a limb is too long. Wipes the limbs.
Result<SecretKey> join_limbs(std::array<std::uint64_t, kShareLimbs>& limbs);

}  // namespace fovea::crypto

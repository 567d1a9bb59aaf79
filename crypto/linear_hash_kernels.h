// The arithmetic of crypto/linear_hash.h: its two primes, the tables of its number-theoretic transform, and the inner
// loops for one kind of processor each. For crypto/linear_hash*.cpp and their tests only.
//
// Words are taken in groups of 8192: word 8 * i + l of a group is coefficient i of its polynomial l. So eight
// polynomials are transformed side by side, one in each lane of a vector register, and no lane ever needs another.
// Coefficient j of a transform is the polynomial's value at root^(2 * reversed(j) + 1), the ten bits of j reversed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "crypto/linear_hash.h"

#if defined(__x86_64__)
#define FOVEA_LINEAR_KERNELS_X86 1
#else
#define FOVEA_LINEAR_KERNELS_X86 0
#endif

namespace fovea::crypto::linear {

__extension__ using Wide = unsigned __int128;

inline constexpr std::size_t kDegree = 1024;
inline constexpr unsigned kLevels = 10;
inline constexpr std::size_t kLanes = 8;
inline constexpr std::size_t kGroupWords = kDegree * kLanes;
inline constexpr std::size_t kPrimeCount = 2;
inline constexpr unsigned kBits = 50;
inline constexpr std::size_t kFactorWords = kPrimeCount * kGroupWords * 2;  // keystream for one group

struct Prime {
  std::uint64_t q;
  std::uint64_t root;  // the smallest primitive root of unity of order 2048
  constexpr std::uint64_t gap() const { return (std::uint64_t{1} << kBits) - q; }
};

inline constexpr std::array<Prime, kPrimeCount> kPrimes = {{
    {.q = (std::uint64_t{1} << kBits) - 16383, .root = 816736452416},
    {.q = (std::uint64_t{1} << kBits) - 22527, .root = 2747491564049},
}};

constexpr std::uint64_t multiply(std::uint64_t a, std::uint64_t b, std::uint64_t q) {
  return static_cast<std::uint64_t>(static_cast<Wide>(a) * b % q);
}

constexpr std::uint64_t power(std::uint64_t base, std::uint64_t exponent, std::uint64_t q) {
  std::uint64_t result = 1;
  for (; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = multiply(result, base, q);
    base = multiply(base, base, q);
  }
  return result;
}

constexpr bool prime_fits(const Prime& p) {
  // The order of the root is 2048; no word with its carry reaches q, or q * e_j would hash to nothing; and all bounds
  // in the kernels: 4q < 2^52 (IFMA), 8q < 2^53 (double), and a gap that one multiplication folds.
  return p.q % (2 * kDegree) == 1 && power(p.root, kDegree, p.q) == p.q - 1 && p.q > std::uint64_t{1} << 48 &&
         p.q < std::uint64_t{1} << kBits && p.gap() < std::uint64_t{1} << 15;
}
static_assert(prime_fits(kPrimes[0]) && prime_fits(kPrimes[1]) && kPrimes[0].q != kPrimes[1].q);

// A factor a_b[j] is a keystream word of 64 bits modulo q, here folded to less than 2^50 + 2^29.
constexpr std::uint64_t fold(std::uint64_t word, std::uint64_t gap) {
  return (word & ((std::uint64_t{1} << kBits) - 1)) + (word >> kBits) * gap;
}

// Entry m + i belongs to butterfly group i of the level with m groups: root^reversed(m + i), ten bits reversed.
struct Table {
  std::array<std::uint64_t, kDegree> factor;
  std::array<std::uint64_t, kDegree> quotient64;  // floor(factor * 2^64 / q)
  std::array<std::uint64_t, kDegree> quotient52;  // floor(factor * 2^52 / q)
  std::array<double, kDegree> centred;            // factor or factor - q, at most q / 2 in size
  std::array<double, kDegree> ratio;              // centred / q
};

const Table& table(std::size_t prime);

// What a kernel works on. Pointers are aligned to 64 bytes except those of the words.
struct Group {
  const std::uint32_t* low;     // kGroupWords
  const std::uint16_t* high;    // kGroupWords, or none
  const std::uint32_t* factor;  // kFactorWords: two a factor, the lower first; all of one prime, then of the other
  std::uint64_t* scratch;       // kGroupWords
  std::uint64_t* sums;          // the kernel's own form of the sum so far, zeros at first
};

// The sums of every kernel have room for so many groups; then they are reduced and begun again.
inline constexpr std::size_t kGroupsAtOnce = 1024;

struct Kernel {
  std::size_t sum_words;
  void (*add)(const Group& group) noexcept;
  void (*reduce)(const std::uint64_t* sums, std::uint64_t* coefficients) noexcept;  // canonical, kLinearTagCoefficients
};

bool kernel_available(LinearPath path) noexcept;
const Kernel& kernel(LinearPath path) noexcept;

extern const Kernel kPortableKernel;
#if FOVEA_LINEAR_KERNELS_X86
extern const Kernel kAvx2Kernel;
extern const Kernel kIfmaKernel;
#endif

}  // namespace fovea::crypto::linear

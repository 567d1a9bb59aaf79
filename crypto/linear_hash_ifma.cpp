// Eight polynomials at once in 52-bit integers, with AVX-512 IFMA.
#include "crypto/linear_hash_kernels.h"

#if FOVEA_LINEAR_KERNELS_X86

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#define FOVEA_IFMA __attribute__((target("avx512f,avx512ifma")))

namespace fovea::crypto::linear {

namespace {

constexpr std::uint64_t kMask52 = (std::uint64_t{1} << 52) - 1;
constexpr std::size_t kFirstStep = kDegree / 16;  // after four levels: 16 parts of 64 coefficients

FOVEA_IFMA inline __m512i each(std::uint64_t value) noexcept {
  return _mm512_set1_epi64(static_cast<long long>(value));
}

// The forms without a mask draw warnings from gcc 12 about its own deliberately undefined operand (PR 105593).
constexpr __mmask8 kAll = 0xff;

struct Constants {
  __m512i two_q;
  __m512i minus_q;  // 2^52 - q
  __m512i mask;
  __m512i zero;
};

// x, y below 4q before and after. The product is Shoup's: y * w - floor(y * w' / 2^52) * q lies in [0, 2q), and only
// its low 52 bits are computed.
FOVEA_IFMA inline void butterfly(__m512i& x, __m512i& y, std::uint64_t factor, std::uint64_t quotient,
                                 const Constants& c) noexcept {
  const __m512i estimate = _mm512_madd52hi_epu64(c.zero, y, each(quotient));
  const __m512i product = _mm512_madd52lo_epu64(c.zero, y, each(factor));
  const __m512i t = _mm512_and_epi64(_mm512_madd52lo_epu64(product, estimate, c.minus_q), c.mask);
  x = _mm512_maskz_min_epu64(kAll, x, _mm512_sub_epi64(x, c.two_q));
  y = _mm512_add_epi64(x, _mm512_sub_epi64(c.two_q, t));
  x = _mm512_add_epi64(x, t);
}

// `Levels` levels on 2^Levels coefficients, the first of them with twiddle `entry`.
template <unsigned Levels>
FOVEA_IFMA inline void levels(__m512i* v, std::size_t entry, const Table& table, const Constants& c) noexcept {
#pragma GCC unroll 4
  for (unsigned level = 0; level < Levels; ++level) {
    const std::size_t half = std::size_t{1} << (Levels - 1 - level);
#pragma GCC unroll 8
    for (std::size_t pair = 0; pair < std::size_t{1} << (Levels - 1); ++pair) {
      const std::size_t part = pair / half;
      const std::size_t w = (entry << level) + part;
      const std::size_t at = pair + half * part;  // (2 * part) * half + pair % half
      butterfly(v[at], v[at + half], table.factor[w], table.quotient52[w], c);
    }
  }
}

FOVEA_IFMA inline __m512i load_words(const Group& group, std::size_t at) noexcept {
  const __m512i low =
      _mm512_maskz_cvtepu32_epi64(kAll, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(group.low + at)));
  if (group.high == nullptr) return low;
  const __m512i high =
      _mm512_maskz_cvtepu16_epi64(kAll, _mm_loadu_si128(reinterpret_cast<const __m128i*>(group.high + at)));
  return _mm512_or_epi64(low, _mm512_maskz_slli_epi64(kAll, high, 32));
}

FOVEA_IFMA inline void first_levels(const Group& group, const Table& table, const Constants& c) noexcept {
  for (std::size_t j = 0; j < kFirstStep; ++j) {
    __m512i v[16];
#pragma GCC unroll 16
    for (std::size_t k = 0; k < 16; ++k) v[k] = load_words(group, kLanes * (j + k * kFirstStep));
    levels<4>(v, 1, table, c);
#pragma GCC unroll 16
    for (std::size_t k = 0; k < 16; ++k) _mm512_store_si512(group.scratch + kLanes * (j + k * kFirstStep), v[k]);
  }
}

// Three levels inside a part of 64 coefficients.
FOVEA_IFMA inline void middle_levels(std::uint64_t* part, std::size_t entry, const Table& table,
                                     const Constants& c) noexcept {
  for (std::size_t j = 0; j < 8; ++j) {
    __m512i v[8];
#pragma GCC unroll 8
    for (std::size_t k = 0; k < 8; ++k) v[k] = _mm512_load_si512(part + kLanes * (j + 8 * k));
    levels<3>(v, entry, table, c);
#pragma GCC unroll 8
    for (std::size_t k = 0; k < 8; ++k) _mm512_store_si512(part + kLanes * (j + 8 * k), v[k]);
  }
}

// The last three levels on eight coefficients, times their factors. The sums: for each coefficient eight lanes with the
// low 52 bits of the products, then eight with the rest; 2^12 products fit.
static_assert(kGroupsAtOnce <= 4096);
FOVEA_IFMA inline void last_levels(const std::uint64_t* values, std::size_t entry, const std::uint32_t* factor,
                                   std::uint64_t* sums, __m512i gap, const Table& table, const Constants& c) noexcept {
  const __m512i low_bits = each((std::uint64_t{1} << kBits) - 1);
  __m512i v[8];
#pragma GCC unroll 8
  for (std::size_t k = 0; k < 8; ++k) v[k] = _mm512_load_si512(values + kLanes * k);
  levels<3>(v, entry, table, c);
#pragma GCC unroll 8
  for (std::size_t k = 0; k < 8; ++k) {
    const __m512i word = _mm512_load_si512(factor + 2 * kLanes * k);
    const __m512i a = _mm512_madd52lo_epu64(_mm512_and_epi64(word, low_bits),
                                            _mm512_maskz_srli_epi64(kAll, word, kBits), gap);  // fold()
    std::uint64_t* const sum = sums + 2 * kLanes * k;
    _mm512_store_si512(sum, _mm512_madd52lo_epu64(_mm512_load_si512(sum), v[k], a));
    _mm512_store_si512(sum + kLanes, _mm512_madd52hi_epu64(_mm512_load_si512(sum + kLanes), v[k], a));
  }
}

FOVEA_IFMA void add(const Group& group) noexcept {
  for (std::size_t p = 0; p < kPrimeCount; ++p) {
    const Table& twiddles = table(p);
    const std::uint64_t q = kPrimes[p].q;
    const Constants c = {.two_q = each(2 * q),
                         .minus_q = each((std::uint64_t{1} << 52) - q),
                         .mask = each(kMask52),
                         .zero = _mm512_setzero_si512()};
    first_levels(group, twiddles, c);
    for (std::size_t part = 0; part < 16; ++part) {
      std::uint64_t* const values = group.scratch + part * 64 * kLanes;
      middle_levels(values, 16 + part, twiddles, c);
      for (std::size_t i = 0; i < 8; ++i) {
        const std::size_t first = kLanes * (64 * part + 8 * i);
        last_levels(values + 8 * kLanes * i, 128 + 8 * part + i, group.factor + 2 * (p * kGroupWords + first),
                    group.sums + 2 * (p * kGroupWords + first), each(kPrimes[p].gap()), twiddles, c);
      }
    }
  }
}

void reduce(const std::uint64_t* sums, std::uint64_t* coefficients) noexcept {
  for (std::size_t i = 0; i < kLinearTagCoefficients; ++i, sums += 2 * kLanes) {
    Wide sum = 0;
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      sum += sums[lane] + (static_cast<Wide>(sums[kLanes + lane]) << 52);
    coefficients[i] = static_cast<std::uint64_t>(sum % kPrimes[i / kDegree].q);
  }
}

}  // namespace

const Kernel kIfmaKernel = {.sum_words = 2 * kPrimeCount * kGroupWords, .add = add, .reduce = reduce};

}  // namespace fovea::crypto::linear

#endif

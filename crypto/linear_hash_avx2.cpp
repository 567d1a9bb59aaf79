// Four polynomials at once in doubles, with AVX2 and FMA: the processors without a wide integer multiplication have an
// exact one of 53 bits. Every value below is an integer of at most 2^53 in size, so every result that is kept is exact,
// and roundings only decide which of two representatives of a residue is taken.
#include "crypto/linear_hash_kernels.h"

#if FOVEA_LINEAR_KERNELS_X86

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#define FOVEA_AVX2 __attribute__((target("avx2,fma")))

namespace fovea::crypto::linear {

namespace {

constexpr std::size_t kHalf = 4;  // lanes of a register
constexpr double kTwo52 = 4503599627370496.0;

struct Constants {
  __m256d q;
  __m256d inverse;  // 1 / q, rounded
};

FOVEA_AVX2 inline __m256d nearest(__m256d value) noexcept {
  return _mm256_round_pd(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

// x minus its nearest multiple of q: at most q / 2 and a little in size, for x up to 8q.
FOVEA_AVX2 inline __m256d centre(__m256d x, const Constants& c) noexcept {
  return _mm256_fnmadd_pd(nearest(_mm256_mul_pd(x, c.inverse)), c.q, x);
}

// y * w - b * q, where b is the given estimate of y * w / q: high and low half of the product are both exact.
FOVEA_AVX2 inline __m256d product(__m256d y, __m256d w, __m256d high, __m256d b, const Constants& c) noexcept {
  const __m256d low = _mm256_fmsub_pd(y, w, high);
  return _mm256_add_pd(_mm256_fnmadd_pd(b, c.q, high), low);
}

// With |y| <= B * q and |w| <= q / 2, the estimate of y * w / q is wrong by at most 1/2 + B/8, so |t| <= (1/2 + B/8) q
// and B grows by that much a level.
FOVEA_AVX2 inline void butterfly(__m256d& x, __m256d& y, double factor, double ratio, const Constants& c) noexcept {
  const __m256d w = _mm256_set1_pd(factor);
  const __m256d b = nearest(_mm256_mul_pd(y, _mm256_set1_pd(ratio)));
  const __m256d t = product(y, w, _mm256_mul_pd(y, w), b, c);
  y = _mm256_sub_pd(x, t);
  x = _mm256_add_pd(x, t);
}

FOVEA_AVX2 inline void two_levels(__m256d* v, std::size_t entry, const Table& table, const Constants& c) noexcept {
  butterfly(v[0], v[2], table.centred[entry], table.ratio[entry], c);
  butterfly(v[1], v[3], table.centred[entry], table.ratio[entry], c);
  butterfly(v[0], v[1], table.centred[2 * entry], table.ratio[2 * entry], c);
  butterfly(v[2], v[3], table.centred[2 * entry + 1], table.ratio[2 * entry + 1], c);
}

// Integers below 2^52 as doubles: placed into the fraction of 2^52.
FOVEA_AVX2 inline __m256d as_double(__m256i value) noexcept {
  const __m256d offset = _mm256_set1_pd(kTwo52);
  return _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(value, _mm256_castpd_si256(offset))), offset);
}

FOVEA_AVX2 inline __m256d load_words(const Group& group, std::size_t at) noexcept {
  __m256i value = _mm256_cvtepu32_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i*>(group.low + at)));
  if (group.high != nullptr) {
    const __m256i high = _mm256_cvtepu16_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(group.high + at)));
    value = _mm256_or_si256(value, _mm256_slli_epi64(high, 32));
  }
  return as_double(value);
}

FOVEA_AVX2 inline void first_levels(const Group& group, std::size_t half, double* values, const Table& table,
                                    const Constants& c) noexcept {
  constexpr std::size_t kStep = kDegree / 4;
  for (std::size_t j = 0; j < kStep; ++j) {
    __m256d v[4];
#pragma GCC unroll 4
    for (std::size_t k = 0; k < 4; ++k) v[k] = load_words(group, kLanes * (j + k * kStep) + half * kHalf);
    two_levels(v, 1, table, c);
#pragma GCC unroll 4
    for (std::size_t k = 0; k < 4; ++k) _mm256_store_pd(values + kHalf * (j + k * kStep), v[k]);
  }
}

template <bool Centre>
FOVEA_AVX2 inline void middle_levels(std::size_t groups, double* values, const Table& table,
                                     const Constants& c) noexcept {
  const std::size_t step = kDegree / (4 * groups);
  for (std::size_t i = 0; i < groups; ++i) {
    double* const part = values + kHalf * 4 * step * i;
    for (std::size_t j = 0; j < step; ++j) {
      __m256d v[4];
#pragma GCC unroll 4
      for (std::size_t k = 0; k < 4; ++k) {
        v[k] = _mm256_load_pd(part + kHalf * (j + k * step));
        if (Centre) v[k] = centre(v[k], c);
      }
      two_levels(v, groups + i, table, c);
#pragma GCC unroll 4
      for (std::size_t k = 0; k < 4; ++k) _mm256_store_pd(part + kHalf * (j + k * step), v[k]);
    }
  }
}

// fold() of four keystream words, as doubles; a gap has 15 bits, and the upper bits of a word 14.
FOVEA_AVX2 inline __m256d load_factors(const std::uint32_t* factor, __m256i gap) noexcept {
  const __m256i word = _mm256_load_si256(reinterpret_cast<const __m256i*>(factor));
  const __m256i low = _mm256_and_si256(word, _mm256_set1_epi64x((1LL << kBits) - 1));
  return as_double(_mm256_add_epi64(low, _mm256_mul_epu32(_mm256_srli_epi64(word, kBits), gap)));
}

// The last two levels, times the factors. |v| <= q/2 makes |t| < q < 2^51, which 1.5 * 2^52 + t holds as an integer in
// its low bits; the sums are signed integers, and kGroupsAtOnce of them stay below 2^61.
static_assert(kGroupsAtOnce <= 1024);
FOVEA_AVX2 inline void last_levels(const double* values, std::size_t entry, const std::uint32_t* factor,
                                   std::uint64_t* sums, __m256i gap, const Table& table, const Constants& c) noexcept {
  const __m256d offset = _mm256_set1_pd(1.5 * kTwo52);
  __m256d v[4];
#pragma GCC unroll 4
  for (std::size_t k = 0; k < 4; ++k) v[k] = _mm256_load_pd(values + kHalf * k);
  two_levels(v, entry, table, c);
#pragma GCC unroll 4
  for (std::size_t k = 0; k < 4; ++k) {
    const __m256d a = load_factors(factor + 2 * kLanes * k, gap);
    const __m256d y = centre(v[k], c);
    const __m256d high = _mm256_mul_pd(y, a);
    const __m256d t = product(y, a, high, nearest(_mm256_mul_pd(high, c.inverse)), c);
    const __m256i integer =
        _mm256_sub_epi64(_mm256_castpd_si256(_mm256_add_pd(t, offset)), _mm256_castpd_si256(offset));
    auto* const sum = reinterpret_cast<__m256i*>(sums + kLanes * k);
    _mm256_store_si256(sum, _mm256_add_epi64(_mm256_load_si256(sum), integer));
  }
}

FOVEA_AVX2 void add_half(const Group& group, std::size_t p, std::size_t half) noexcept {
  const Table& twiddles = table(p);
  const auto q = static_cast<double>(kPrimes[p].q);
  const Constants c = {.q = _mm256_set1_pd(q), .inverse = _mm256_set1_pd(1.0 / q)};
  const __m256i gap = _mm256_set1_epi64x(static_cast<long long>(kPrimes[p].gap()));
  // In units of q: 0.25 at first, at most 2.9 after four levels; then 0.5 again, and at most 5.2 after six more.
  auto* const values = reinterpret_cast<double*>(group.scratch);
  first_levels(group, half, values, twiddles, c);
  middle_levels<false>(4, values, twiddles, c);
  middle_levels<true>(16, values, twiddles, c);
  middle_levels<false>(64, values, twiddles, c);
  for (std::size_t i = 0; i < 256; ++i) {
    const std::size_t first = p * kGroupWords + half * kHalf + 4 * kLanes * i;
    last_levels(values + 4 * kHalf * i, 256 + i, group.factor + 2 * first, group.sums + first, gap, twiddles, c);
  }
}

void add(const Group& group) noexcept {
  for (std::size_t p = 0; p < kPrimeCount; ++p)
    for (const std::size_t half : {0U, 1U}) add_half(group, p, half);
}

void reduce(const std::uint64_t* sums, std::uint64_t* coefficients) noexcept {
  for (std::size_t i = 0; i < kLinearTagCoefficients; ++i, sums += kLanes) {
    const auto q = static_cast<std::int64_t>(kPrimes[i / kDegree].q);
    std::int64_t sum = 0;
    for (std::size_t lane = 0; lane < kLanes; ++lane) sum += static_cast<std::int64_t>(sums[lane]) % q;
    sum %= q;
    coefficients[i] = static_cast<std::uint64_t>(sum < 0 ? sum + q : sum);
  }
}

}  // namespace

const Kernel kAvx2Kernel = {.sum_words = kPrimeCount * kGroupWords, .add = add, .reduce = reduce};

}  // namespace fovea::crypto::linear

#endif

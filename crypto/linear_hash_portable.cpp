// One polynomial after the other in 64-bit integers.
#include <cstddef>
#include <cstdint>

#include "crypto/linear_hash_kernels.h"

namespace fovea::crypto::linear {

namespace {

using Polynomial = std::array<std::uint64_t, kDegree>;

struct Twiddle {
  std::uint64_t factor;
  std::uint64_t quotient;
};

// y * w modulo q, in [0, 2q), for any y of 64 bits (Shoup).
inline std::uint64_t times(std::uint64_t y, Twiddle w, std::uint64_t q) noexcept {
  const auto estimate = static_cast<std::uint64_t>(static_cast<Wide>(y) * w.quotient >> 64);
  return y * w.factor - estimate * q;
}

// Each level adds at most 2q, so that values stay below 2^48 + 20q < 2^55 and no level has to reduce them.
inline void butterfly(std::uint64_t& x, std::uint64_t& y, Twiddle w, std::uint64_t q) noexcept {
  const std::uint64_t t = times(y, w, q);
  y = x + (2 * q - t);
  x += t;
}

// Two levels in one pass over the memory: the one with `groups` butterfly groups and the next.
void two_levels(Polynomial& values, std::size_t groups, const Table& table, std::uint64_t q) noexcept {
  const std::size_t step = kDegree / (4 * groups);
  const auto twiddle = [&](std::size_t i) { return Twiddle{table.factor[i], table.quotient64[i]}; };
  for (std::size_t i = 0; i < groups; ++i) {
    const Twiddle outer = twiddle(groups + i);
    const Twiddle left = twiddle(2 * (groups + i));
    const Twiddle right = twiddle(2 * (groups + i) + 1);
    std::uint64_t* const a = values.data() + 4 * i * step;
    for (std::size_t j = 0; j < step; ++j) {
      std::uint64_t v0 = a[j], v1 = a[j + step], v2 = a[j + 2 * step], v3 = a[j + 3 * step];
      butterfly(v0, v2, outer, q);
      butterfly(v1, v3, outer, q);
      butterfly(v0, v1, left, q);
      butterfly(v2, v3, right, q);
      a[j] = v0;
      a[j + step] = v1;
      a[j + 2 * step] = v2;
      a[j + 3 * step] = v3;
    }
  }
}

void load_lane(const Group& group, std::size_t lane, Polynomial& values) noexcept {
  for (std::size_t i = 0; i < kDegree; ++i) values[i] = group.low[kLanes * i + lane];
  if (group.high == nullptr) return;
  for (std::size_t i = 0; i < kDegree; ++i)
    values[i] += static_cast<std::uint64_t>(group.high[kLanes * i + lane]) << 32;
}

// The sums: for each prime and coefficient a number of 128 bits, its lower half first. A product has at most 106 bits.
void add(const Group& group) noexcept {
  Polynomial words;
  Polynomial values;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    load_lane(group, lane, words);
    for (std::size_t p = 0; p < kPrimeCount; ++p) {
      const std::uint64_t q = kPrimes[p].q;
      values = words;
      for (std::size_t groups = 1; groups < kDegree; groups *= 4) two_levels(values, groups, table(p), q);
      const std::uint32_t* const factors = group.factor + 2 * (p * kGroupWords + lane);
      std::uint64_t* const sums = group.sums + p * 2 * kDegree;
      for (std::size_t j = 0; j < kDegree; ++j) {
        const std::uint64_t factor = static_cast<std::uint64_t>(factors[2 * kLanes * j + 1]) << 32 |
                                     factors[2 * kLanes * j];
        const Wide sum = (static_cast<Wide>(sums[2 * j + 1]) << 64 | sums[2 * j]) +
                         static_cast<Wide>(values[j]) * fold(factor, kPrimes[p].gap());
        sums[2 * j] = static_cast<std::uint64_t>(sum);
        sums[2 * j + 1] = static_cast<std::uint64_t>(sum >> 64);
      }
    }
  }
}

void reduce(const std::uint64_t* sums, std::uint64_t* coefficients) noexcept {
  for (std::size_t i = 0; i < kLinearTagCoefficients; ++i) {
    const Wide sum = static_cast<Wide>(sums[2 * i + 1]) << 64 | sums[2 * i];
    coefficients[i] = static_cast<std::uint64_t>(sum % kPrimes[i / kDegree].q);
  }
}

}  // namespace

const Kernel kPortableKernel = {.sum_words = 2 * kLinearTagCoefficients, .add = add, .reduce = reduce};

}  // namespace fovea::crypto::linear

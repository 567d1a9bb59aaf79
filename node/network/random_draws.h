// Seeded draws for sampling and augmentation: SplitMix64 (Steele, Lea and Flood 2014). The same on every
// machine; never for secrets or masks.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace fovea::node {

class RandomDraws {
 public:
  explicit RandomDraws(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() noexcept {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t word = state_;
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9U;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBU;
    return word ^ (word >> 31);
  }
  double uniform() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }  // [0, 1)
  double uniform(double low, double high) noexcept { return low + (high - low) * uniform(); }
  std::size_t below(std::size_t bound) noexcept {
    return static_cast<std::size_t>(uniform() * static_cast<double>(bound));
  }
  bool chance(double probability) noexcept { return uniform() < probability; }
  double normal() noexcept {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }
  // A stream of its own. Seeds a multiple of next()'s step apart would give the same stream, some draws later.
  RandomDraws fork(std::uint64_t key) noexcept { return RandomDraws(next() ^ (key * 0xD1B54A32D192ED03U)); }

 private:
  std::uint64_t state_;
};

// What one site draws in one round of a plan.
inline RandomDraws draws_of_round(std::uint64_t seed, std::uint64_t site, std::uint64_t round) noexcept {
  return RandomDraws(seed).fork(site).fork(round);
}

}  // namespace fovea::node

// Seeded draws for sampling, augmentation and phantoms: SplitMix64 (Steele, Lea and Flood 2014). The same on every
// machine; never for secrets or masks.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <numbers>

namespace fovea::node::network {

// SplitMix64's finaliser: a bijection that spreads each bit over the whole word.
constexpr std::uint64_t mixed_bits(std::uint64_t word) noexcept {
  word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9U;
  word = (word ^ (word >> 27)) * 0x94D049BB133111EBU;
  return word ^ (word >> 31);
}

class RandomDraws {
 public:
  explicit RandomDraws(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() noexcept {
    state_ += 0x9E3779B97F4A7C15U;
    return mixed_bits(state_);
  }
  double uniform() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }  // [0, 1)
  double uniform(double low, double high) noexcept { return low + (high - low) * uniform(); }
  std::size_t below(std::size_t bound) noexcept {
    return static_cast<std::size_t>(uniform() * static_cast<double>(bound));
  }
  bool chance(double probability) noexcept { return uniform() < probability; }
  double normal() noexcept {  // Box–Muller
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }
  // A stream of its own. Two seeds that differ by a multiple of next()'s step would give one stream, only shifted.
  RandomDraws fork(std::uint64_t key) noexcept { return RandomDraws(next() ^ (key * 0xD1B54A32D192ED03U)); }

 private:
  std::uint64_t state_;
};

// The draws of one site towards one sum of a plan.
inline RandomDraws draws_of_sum(std::uint64_t seed, std::uint64_t site, std::uint64_t sum) noexcept {
  return RandomDraws(seed).fork(site).fork(sum);
}

// A stream of its own for each tuple of keys.
inline RandomDraws keyed_draws(std::initializer_list<std::uint64_t> keys) noexcept {
  std::uint64_t state = 0;
  for (const std::uint64_t key : keys) state = RandomDraws(state ^ key).next();
  return RandomDraws(state);
}

}  // namespace fovea::node::network

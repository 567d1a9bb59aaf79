// A small seeded generator for phantoms: SplitMix64 (Steele, Lea, Flood 2014). Reproducible on every
// machine; not for anything secret.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <initializer_list>

namespace fovea::demo {

class RandomStream {
 public:
  explicit RandomStream(std::uint64_t seed) : state_(seed) {}

  // A stream of its own for each tuple of keys: (seed, hospital, split, patient, purpose).
  static RandomStream keyed(std::initializer_list<std::uint64_t> keys) {
    RandomStream mixer(0x9e3779b97f4a7c15ULL);
    std::uint64_t state = 0;
    for (std::uint64_t key : keys) {
      mixer.state_ = state ^ key;
      state = mixer.next();
    }
    return RandomStream(state);
  }

  std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31U);
  }

  double uniform() noexcept { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }
  double uniform(double low, double high) noexcept { return low + (high - low) * uniform(); }
  std::uint64_t below(std::uint64_t bound) noexcept {
    return static_cast<std::uint64_t>(uniform() * static_cast<double>(bound));
  }
  bool chance(double probability) noexcept { return uniform() < probability; }

  double normal() noexcept {  // Box–Muller
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(2.0 * 3.14159265358979323846 * uniform());
  }

 private:
  std::uint64_t state_;
};

}  // namespace fovea::demo

// A fuzzer's bytes as choices and numbers: the ones that break things come up often.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <string>

#include "common/bytes.h"

namespace fovea::fuzz {

class Feed {
 public:
  explicit Feed(ByteView bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {  // 0 when nothing is left
    if (rest_.empty()) return 0;
    const std::uint8_t out = rest_.front();
    rest_ = rest_.subspan(1);
    return out;
  }
  std::size_t below(std::size_t bound) { return (byte() | static_cast<std::size_t>(byte()) << 8) % bound; }
  bool chance() { return byte() % 4 == 3; }
  // Within ±bound, in eighths.
  double near(double bound) { return (static_cast<double>(below(256)) / 128 - 1) * bound; }
  double real() {
    constexpr std::array<double, 12> kSpecial{0,
                                              -0.0,
                                              1,
                                              -1,
                                              0.01,
                                              1e-300,
                                              1e300,
                                              -1e300,
                                              1e9,
                                              std::numeric_limits<double>::infinity(),
                                              std::numeric_limits<double>::quiet_NaN(),
                                              0.1};
    const std::uint8_t kind = byte() % 3;
    if (kind == 0) return kSpecial[below(kSpecial.size())];
    if (kind == 1) return near(100);
    std::uint64_t bits = 0;
    for (int n = 0; n < 8; ++n) bits = bits << 8 | byte();
    return std::bit_cast<double>(bits);
  }
  Bytes take(std::size_t size) {
    const ByteView out = rest_.first(std::min(size, rest_.size()));
    rest_ = rest_.subspan(out.size());
    return {out.begin(), out.end()};
  }
  std::string text(std::size_t size_max) { return std::string(as_text(take(below(size_max + 1)))); }

 private:
  ByteView rest_;
};

}  // namespace fovea::fuzz

#include "node/egress/uniformity.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace fovea::node::egress {
namespace {

// Chi-square = (sum of squared byte counts) / 16 − 4096. Under uniform bytes P(chi-square > 452) = 7e-13: computed
// exactly, as the multinomial's distribution (Fourier inversion of 256 Poisson bins conditioned on their sum); the
// usual chi-square tail with 255 degrees of freedom is too small by half out here.
constexpr std::uint64_t kSquaresMax = (4096 + 452) * 16;

bool block_is_suspicious(ByteView block) {
  std::array<std::array<std::uint32_t, 256>, 4> counts{};  // four, or equal neighbours would wait for each other
  for (std::size_t i = 0; i < block.size(); i += 4)
    for (std::size_t lane = 0; lane < 4; ++lane) ++counts[lane][block[i + lane]];
  std::uint64_t squares = 0;
  for (std::size_t value = 0; value < 256; ++value) {
    const std::uint64_t count = counts[0][value] + counts[1][value] + counts[2][value] + counts[3][value];
    squares += count * count;
  }
  return squares > kSquaresMax;
}

bool short_piece_is_suspicious(ByteView bytes) {
  constexpr double kLogTwoOverAlpha = 28.324;  // ln(2 / 1e-12)
  std::uint64_t ones = 0;
  for (const std::uint8_t byte : bytes) ones += static_cast<std::uint64_t>(std::popcount(byte));
  const double bits = static_cast<double>(bytes.size()) * 8;
  return std::abs(static_cast<double>(ones) - bits / 2) > std::sqrt(bits * kLogTwoOverAlpha / 2);
}

}  // namespace

std::optional<std::size_t> first_non_uniform_block(ByteView bytes) {
  if (bytes.size() < kUniformityBlockBytes)
    return short_piece_is_suspicious(bytes) ? std::optional<std::size_t>(0) : std::nullopt;
  for (std::size_t at = 0; at < bytes.size(); at += kUniformityBlockBytes) {
    const std::size_t start = std::min(at, bytes.size() - kUniformityBlockBytes);
    if (block_is_suspicious(bytes.subspan(start, kUniformityBlockBytes))) return start;
  }
  return std::nullopt;
}

}  // namespace fovea::node::egress

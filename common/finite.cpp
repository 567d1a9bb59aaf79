#include "common/finite.h"

#include <bit>
#include <cstdint>

namespace fovea {

bool all_finite(std::span<const float> values) noexcept {
  std::uint32_t found = 0;
  for (const float value : values)
    found |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(value) & 0x7F800000U) == 0x7F800000U);
  return found == 0;
}

}  // namespace fovea

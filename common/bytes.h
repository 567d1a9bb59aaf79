// Byte containers and their text forms.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace fovea {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

// A SHA-256 value. Public data: compare with ==.
using Digest = std::array<std::uint8_t, 32>;

ByteView as_bytes(std::string_view text) noexcept;
std::string_view as_text(ByteView bytes) noexcept;

std::string to_hex(ByteView bytes);                // lower case
Result<Bytes> from_hex(std::string_view text);     // invalid_argument: odd length, or not 0-9 and a-f
std::string to_base64(ByteView bytes);             // RFC 4648 section 4, padded
Result<Bytes> from_base64(std::string_view text);  // strict: padding and unused bits are checked

// The array with these bytes; invalid_argument names `field` when the length differs.
template <std::size_t N>
Result<std::array<std::uint8_t, N>> to_array(ByteView bytes, std::string_view field) {
  if (bytes.size() != N)
    return invalid_argument(std::string(field) + ": expected " + std::to_string(N) + " bytes, found " +
                            std::to_string(bytes.size()));
  std::array<std::uint8_t, N> out{};
  for (std::size_t i = 0; i < N; ++i) out[i] = bytes[i];
  return out;
}

}  // namespace fovea

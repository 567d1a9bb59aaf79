// Test constants written as hex; a typing mistake aborts.
#pragma once

#include <string_view>

#include "common/bytes.h"
#include "crypto/secret_bytes.h"

namespace fovea::test {

inline Bytes hex(std::string_view text) { return from_hex(text).value(); }

template <std::size_t N = 32>
std::array<std::uint8_t, N> hex_array(std::string_view text) {
  return to_array<N>(hex(text), "test constant").value();
}

inline crypto::SecretKey hex_key(std::string_view text) {
  return crypto::SecretKey::from(hex(text), "test constant").value();
}

// A seed that differs from test to test and from case to case: the bytes are `tag`, then zeros.
inline crypto::SecretKey numbered_key(std::uint64_t tag) {
  crypto::SecretKey key;
  for (std::size_t i = 0; i < 8; ++i) key.span()[i] = static_cast<std::uint8_t>(tag >> (8 * i));
  return key;
}

}  // namespace fovea::test

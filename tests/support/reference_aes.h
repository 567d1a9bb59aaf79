// AES-256 (FIPS 197) written from the definition, byte by byte: what the fast mask paths are checked against.
// Slow and not constant-time; for tests only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace fovea::test {

class ReferenceAes256 {
 public:
  using Block = std::array<std::uint8_t, 16>;

  explicit ReferenceAes256(std::span<const std::uint8_t, 32> key) : sbox_(make_sbox()) {
    for (std::size_t i = 0; i < 32; ++i) expanded_[i] = key[i];
    std::uint8_t constant = 1;
    for (std::size_t word = 8; word < 60; ++word) {
      std::array<std::uint8_t, 4> last{};
      for (std::size_t i = 0; i < 4; ++i) last[i] = expanded_[4 * (word - 1) + i];
      if (word % 8 == 0) {
        last = {sbox_[last[1]], sbox_[last[2]], sbox_[last[3]], sbox_[last[0]]};
        last[0] = static_cast<std::uint8_t>(last[0] ^ constant);
        constant = twice(constant);
      } else if (word % 8 == 4) {
        for (std::uint8_t& byte : last) byte = sbox_[byte];
      }
      for (std::size_t i = 0; i < 4; ++i)
        expanded_[4 * word + i] = static_cast<std::uint8_t>(expanded_[4 * (word - 8) + i] ^ last[i]);
    }
  }

  Block encrypt(Block state) const {
    add_round_key(state, 0);
    for (std::size_t round = 1; round <= 14; ++round) {
      state = substitute_and_shift(state);
      if (round != 14) mix_columns(state);
      add_round_key(state, round);
    }
    return state;
  }

  // CTR keystream words from a 128-bit big-endian counter.
  std::vector<std::uint32_t> words(Block counter, std::size_t skip, std::size_t count) const {
    std::vector<std::uint32_t> out;
    std::size_t position = 0;
    while (out.size() < count) {
      const Block block = encrypt(counter);
      for (std::size_t word = 0; word < 4 && out.size() < count; ++word, ++position) {
        if (position < skip) continue;
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < 4; ++i) value |= static_cast<std::uint32_t>(block[4 * word + i]) << (8 * i);
        out.push_back(value);
      }
      for (std::size_t i = 16; i-- > 0;)
        if (++counter[i] != 0) break;
    }
    return out;
  }

  // The mask as crypto/mask_stream.h defines it.
  std::vector<std::uint32_t> mask(std::uint64_t word_offset, std::size_t count) const {
    Block counter{};
    for (std::size_t i = 0; i < 8; ++i) counter[15 - i] = static_cast<std::uint8_t>((word_offset / 4) >> (8 * i));
    return words(counter, word_offset % 4, count);
  }

 private:
  static std::uint8_t twice(std::uint8_t a) {
    return static_cast<std::uint8_t>((a << 1) ^ ((a & 0x80) != 0 ? 0x1b : 0));
  }
  static std::uint8_t product(std::uint8_t a, std::uint8_t b) {
    std::uint8_t result = 0;
    for (; b != 0; b = static_cast<std::uint8_t>(b >> 1), a = twice(a))
      if ((b & 1) != 0) result = static_cast<std::uint8_t>(result ^ a);
    return result;
  }
  static std::array<std::uint8_t, 256> make_sbox() {
    std::array<std::uint8_t, 256> sbox{};
    for (unsigned x = 0; x < 256; ++x) {
      std::uint8_t inverse = 0;
      for (unsigned y = 1; y < 256 && x != 0; ++y)
        if (product(static_cast<std::uint8_t>(x), static_cast<std::uint8_t>(y)) == 1)
          inverse = static_cast<std::uint8_t>(y);
      unsigned value = 0x63;
      const unsigned bits = inverse;
      for (unsigned turn = 0; turn < 5; ++turn) value ^= ((bits << turn) | (bits >> (8 - turn))) & 0xff;
      sbox[x] = static_cast<std::uint8_t>(value);
    }
    return sbox;
  }
  void add_round_key(Block& state, std::size_t round) const {
    for (std::size_t i = 0; i < 16; ++i) state[i] = static_cast<std::uint8_t>(state[i] ^ expanded_[16 * round + i]);
  }
  Block substitute_and_shift(const Block& state) const {
    Block out{};
    for (std::size_t column = 0; column < 4; ++column)
      for (std::size_t row = 0; row < 4; ++row) out[4 * column + row] = sbox_[state[4 * ((column + row) % 4) + row]];
    return out;
  }
  static void mix_columns(Block& state) {
    for (std::size_t column = 0; column < 4; ++column) {
      std::array<std::uint8_t, 4> in{};
      for (std::size_t row = 0; row < 4; ++row) in[row] = state[4 * column + row];
      for (std::size_t row = 0; row < 4; ++row)
        state[4 * column + row] = static_cast<std::uint8_t>(twice(in[row]) ^ product(in[(row + 1) % 4], 3) ^
                                                            in[(row + 2) % 4] ^ in[(row + 3) % 4]);
    }
  }

  std::array<std::uint8_t, 256> sbox_;
  std::array<std::uint8_t, 240> expanded_{};
};

}  // namespace fovea::test

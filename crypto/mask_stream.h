// The mask of a seed and its addition to a vector, in one pass.
// A mask is the AES-256-CTR keystream (SP 800-38A; IV 0, 128-bit big-endian block counter) under the 32-byte seed,
// read as little-endian u32. Word w of a mask lies in block w / 4, so any range can be computed by itself.
// Three paths give the same bits: VAES with AVX-512, AES-NI, and OpenSSL's EVP. None branches on or indexes by a
// secret; expanded keys are wiped before return. Calls on different accumulators may run on different threads.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "crypto/secret_bytes.h"

namespace fovea::crypto {

enum class MaskSign : std::uint8_t { add, subtract };

struct MaskKey {
  SecretKey seed;
  MaskSign sign = MaskSign::add;
};

// accumulator[i] ±= mask of each key at word (word_offset + i), modulo 2^32.
// Works through the accumulator in tiles that stay in the first-level cache, all keys inside a tile.
void apply_masks(std::span<std::uint32_t> accumulator, std::uint64_t word_offset, std::span<const MaskKey> keys);

// The same on up to `threads` threads, each with its own part of the accumulator.
void apply_masks(std::span<std::uint32_t> accumulator, std::uint64_t word_offset, std::span<const MaskKey> keys,
                 std::uint32_t threads);

// sum[i] += values[i] modulo 2^32: how the coordinator adds a masked chunk to its sum. Sizes must be equal.
void add_words(std::span<std::uint32_t> sum, std::span<const std::uint32_t> values) noexcept;

// The same, and counts in carries[i] how often sum[i] passed 2^32: sum + 2^32 · carries is the sum of the values as
// integers. At most 65 535 vectors may be added.
void add_words(std::span<std::uint32_t> sum, std::span<std::uint16_t> carries,
               std::span<const std::uint32_t> values) noexcept;

enum class MaskPath { vaes_avx512, aes_ni, portable };

std::string_view mask_path_name(MaskPath path) noexcept;
MaskPath mask_path() noexcept;                 // what apply_masks uses on this machine
std::vector<MaskPath> mask_paths_available();  // fastest first; portable is always last

// For tests and benchmarks: apply_masks by a given path. Aborts where the machine lacks it.
void apply_masks_by(MaskPath path, std::span<std::uint32_t> accumulator, std::uint64_t word_offset,
                    std::span<const MaskKey> keys);

}  // namespace fovea::crypto

// The instruction-set-specific inner loops of crypto/mask_stream.h. For crypto/mask_stream*.cpp only.
// A kernel adds or subtracts whole 16-byte keystream blocks, from block `first_block` of the mask, onto words.
// Callers check the processor first (kernel_available).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "crypto/mask_stream.h"
#include "crypto/secret_bytes.h"

#if defined(__x86_64__)
#define FOVEA_MASK_KERNELS_X86 1
#else
#define FOVEA_MASK_KERNELS_X86 0
#endif

namespace fovea::crypto::mask {

inline constexpr std::size_t kRoundKeys = 15;  // AES-256
inline constexpr std::size_t kBlockWords = 4;

// An expanded AES-256 key. Wiped on destruction.
struct alignas(64) KeySchedule {
  std::array<std::uint8_t, 16 * kRoundKeys> bytes{};
  KeySchedule() = default;
  KeySchedule(const KeySchedule&) = delete;
  KeySchedule& operator=(const KeySchedule&) = delete;
  ~KeySchedule() { wipe(bytes); }
};

bool kernel_available(MaskPath path) noexcept;

#if FOVEA_MASK_KERNELS_X86

void expand_key(const SecretKey& seed, KeySchedule& schedule) noexcept;  // with AES-NI

using Kernel = void (*)(const KeySchedule& schedule, MaskSign sign, std::uint64_t first_block, std::uint32_t* words,
                        std::size_t blocks) noexcept;

void add_blocks_aes_ni(const KeySchedule& schedule, MaskSign sign, std::uint64_t first_block, std::uint32_t* words,
                       std::size_t blocks) noexcept;
void add_blocks_vaes(const KeySchedule& schedule, MaskSign sign, std::uint64_t first_block, std::uint32_t* words,
                     std::size_t blocks) noexcept;

#endif

}  // namespace fovea::crypto::mask

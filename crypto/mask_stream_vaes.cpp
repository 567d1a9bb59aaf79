// The same with VAES on 512-bit registers: four blocks per register, eight registers in flight, the fifteen round
// keys held in registers for the whole tile.
#include "crypto/mask_kernels.h"

#if FOVEA_MASK_KERNELS_X86

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#define FOVEA_VAES __attribute__((target("aes,vaes,avx512f,avx512bw")))

namespace fovea::crypto::mask {

namespace {

constexpr std::size_t kRegisterBlocks = 4;
constexpr std::size_t kRegisterWords = kRegisterBlocks * kBlockWords;
constexpr std::size_t kLanes = 8;
constexpr std::size_t kGroupBlocks = kLanes * kRegisterBlocks;

// Not _mm512_broadcast_i32x4: gcc 12 warns of its own deliberately undefined operand (PR 105593).
FOVEA_VAES inline __m512i in_each_lane(__m128i value) noexcept {
  return _mm512_maskz_broadcast_i32x4(static_cast<__mmask16>(0xffff), value);
}

struct RoundKeys {
  __m512i key[kRoundKeys];
};

// Four consecutive counters as 64-bit numbers in the upper half of each 128-bit lane, and the shuffle that makes
// them big-endian. Adding to the number and shuffling costs less than carrying in big-endian.
FOVEA_VAES inline __m512i first_counters(std::uint64_t block) noexcept {
  const auto number = static_cast<long long>(block);
  return _mm512_set_epi64(number + 3, 0, number + 2, 0, number + 1, 0, number, 0);
}

FOVEA_VAES inline __m512i step(long long blocks) noexcept {
  return _mm512_set_epi64(blocks, 0, blocks, 0, blocks, 0, blocks, 0);
}

FOVEA_VAES inline __m512i big_endian_shuffle() noexcept {
  return in_each_lane(_mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1));
}

template <MaskSign Sign>
FOVEA_VAES inline __m512i combine(__m512i words, __m512i mask) noexcept {
  return Sign == MaskSign::add ? _mm512_add_epi32(words, mask) : _mm512_sub_epi32(words, mask);
}

template <MaskSign Sign>
FOVEA_VAES inline void add_group(const RoundKeys& keys, __m512i& counters, std::uint32_t* words) noexcept {
  const __m512i shuffle = big_endian_shuffle();
  const __m512i four = step(kRegisterBlocks);
  __m512i state[kLanes];
#pragma GCC unroll 8
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    state[lane] = _mm512_xor_si512(_mm512_shuffle_epi8(counters, shuffle), keys.key[0]);
    counters = _mm512_add_epi64(counters, four);
  }
#pragma GCC unroll 13
  for (std::size_t round = 1; round + 1 < kRoundKeys; ++round) {
#pragma GCC unroll 8
    for (std::size_t lane = 0; lane < kLanes; ++lane) state[lane] = _mm512_aesenc_epi128(state[lane], keys.key[round]);
  }
#pragma GCC unroll 8
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    std::uint32_t* const place = words + lane * kRegisterWords;
    const __m512i mask = _mm512_aesenclast_epi128(state[lane], keys.key[kRoundKeys - 1]);
    _mm512_storeu_si512(place, combine<Sign>(_mm512_loadu_si512(place), mask));
  }
}

// The last blocks, at most four at a time; a masked store leaves the words behind them alone.
template <MaskSign Sign>
FOVEA_VAES inline void add_few(const RoundKeys& keys, std::uint64_t block, std::uint32_t* words,
                               std::size_t blocks) noexcept {
  const auto lanes = static_cast<__mmask16>((1U << (blocks * kBlockWords)) - 1U);
  __m512i state = _mm512_xor_si512(_mm512_shuffle_epi8(first_counters(block), big_endian_shuffle()), keys.key[0]);
  for (std::size_t round = 1; round + 1 < kRoundKeys; ++round) state = _mm512_aesenc_epi128(state, keys.key[round]);
  const __m512i mask = _mm512_aesenclast_epi128(state, keys.key[kRoundKeys - 1]);
  _mm512_mask_storeu_epi32(words, lanes, combine<Sign>(_mm512_maskz_loadu_epi32(lanes, words), mask));
}

template <MaskSign Sign>
FOVEA_VAES void add_blocks(const KeySchedule& schedule, std::uint64_t block, std::uint32_t* words,
                           std::size_t blocks) noexcept {
  RoundKeys keys;
#pragma GCC unroll 15
  for (std::size_t round = 0; round < kRoundKeys; ++round)
    keys.key[round] =
        in_each_lane(_mm_load_si128(reinterpret_cast<const __m128i*>(schedule.bytes.data() + 16 * round)));

  __m512i counters = first_counters(block);
  for (; blocks >= kGroupBlocks; blocks -= kGroupBlocks, block += kGroupBlocks, words += kGroupBlocks * kBlockWords)
    add_group<Sign>(keys, counters, words);
  while (blocks != 0) {
    const std::size_t few = blocks < kRegisterBlocks ? blocks : kRegisterBlocks;
    add_few<Sign>(keys, block, words, few);
    blocks -= few;
    block += few;
    words += few * kBlockWords;
  }
}

}  // namespace

FOVEA_VAES void add_blocks_vaes(const KeySchedule& schedule, MaskSign sign, std::uint64_t first_block,
                                std::uint32_t* words, std::size_t blocks) noexcept {
  if (sign == MaskSign::add) {
    add_blocks<MaskSign::add>(schedule, first_block, words, blocks);
  } else {
    add_blocks<MaskSign::subtract>(schedule, first_block, words, blocks);
  }
}

}  // namespace fovea::crypto::mask

#endif

// FIPS 197 with the AES-NI instructions: constant time, no tables. Eight blocks are in flight, which hides the
// latency of aesenc on every processor that has it.
#include "crypto/mask_kernels.h"
#include "crypto/secret_bytes.h"

#if FOVEA_MASK_KERNELS_X86

#include <immintrin.h>
#include <cstddef>
#include <cstdint>

#define FOVEA_AES_NI __attribute__((target("aes,ssse3,sse4.1")))

namespace fovea::crypto::mask {

namespace {

// One step of the key expansion: mixes `previous` into itself and adds the substituted word `assist`.
FOVEA_AES_NI inline __m128i next_round_key(__m128i previous, __m128i assist) noexcept {
  previous = _mm_xor_si128(previous, _mm_slli_si128(previous, 4));
  previous = _mm_xor_si128(previous, _mm_slli_si128(previous, 8));
  return _mm_xor_si128(previous, assist);
}

template <int RoundConstant>
FOVEA_AES_NI inline void two_round_keys(__m128i& even, __m128i& odd, __m128i* out) noexcept {
  even = next_round_key(even, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(odd, RoundConstant), 0xff));
  out[0] = even;
  odd = next_round_key(odd, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(even, 0), 0xaa));
  out[1] = odd;
}

constexpr std::size_t kLanes = 8;

// Counter blocks: 64 zero bits, then the block number, big-endian. A mask is far shorter than 2^64 blocks.
FOVEA_AES_NI inline __m128i counter_block(std::uint64_t block) noexcept {
  return _mm_set_epi64x(static_cast<long long>(__builtin_bswap64(block)), 0);
}

template <MaskSign Sign>
FOVEA_AES_NI inline void add_one(std::uint32_t* words, __m128i mask) noexcept {
  auto* const place = reinterpret_cast<__m128i*>(words);
  const __m128i sum = _mm_loadu_si128(place);
  _mm_storeu_si128(place, Sign == MaskSign::add ? _mm_add_epi32(sum, mask) : _mm_sub_epi32(sum, mask));
}

template <MaskSign Sign, std::size_t Lanes>
FOVEA_AES_NI inline void add_group(const __m128i* keys, std::uint64_t block, std::uint32_t* words) noexcept {
  __m128i state[Lanes];
#pragma GCC unroll 8
  for (std::size_t lane = 0; lane < Lanes; ++lane) state[lane] = _mm_xor_si128(counter_block(block + lane), keys[0]);
#pragma GCC unroll 13
  for (std::size_t round = 1; round + 1 < kRoundKeys; ++round) {
#pragma GCC unroll 8
    for (std::size_t lane = 0; lane < Lanes; ++lane) state[lane] = _mm_aesenc_si128(state[lane], keys[round]);
  }
#pragma GCC unroll 8
  for (std::size_t lane = 0; lane < Lanes; ++lane)
    add_one<Sign>(words + lane * kBlockWords, _mm_aesenclast_si128(state[lane], keys[kRoundKeys - 1]));
}

template <MaskSign Sign>
FOVEA_AES_NI void add_blocks(const KeySchedule& schedule, std::uint64_t block, std::uint32_t* words,
                             std::size_t blocks) noexcept {
  const auto* const keys = reinterpret_cast<const __m128i*>(schedule.bytes.data());
  for (; blocks >= kLanes; blocks -= kLanes, block += kLanes, words += kLanes * kBlockWords)
    add_group<Sign, kLanes>(keys, block, words);
  for (; blocks != 0; --blocks, ++block, words += kBlockWords) add_group<Sign, 1>(keys, block, words);
}

}  // namespace

FOVEA_AES_NI void expand_key(const SecretKey& seed, KeySchedule& schedule) noexcept {
  const auto* const in = reinterpret_cast<const __m128i*>(seed.view().data());
  auto* const out = reinterpret_cast<__m128i*>(schedule.bytes.data());
  __m128i even = _mm_loadu_si128(in);
  __m128i odd = _mm_loadu_si128(in + 1);
  out[0] = even;
  out[1] = odd;
  two_round_keys<0x01>(even, odd, out + 2);
  two_round_keys<0x02>(even, odd, out + 4);
  two_round_keys<0x04>(even, odd, out + 6);
  two_round_keys<0x08>(even, odd, out + 8);
  two_round_keys<0x10>(even, odd, out + 10);
  two_round_keys<0x20>(even, odd, out + 12);
  out[14] = next_round_key(even, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(odd, 0x40), 0xff));
}

void add_blocks_aes_ni(const KeySchedule& schedule, MaskSign sign, std::uint64_t first_block, std::uint32_t* words,
                       std::size_t blocks) noexcept {
  if (sign == MaskSign::add) {
    add_blocks<MaskSign::add>(schedule, first_block, words, blocks);
  } else {
    add_blocks<MaskSign::subtract>(schedule, first_block, words, blocks);
  }
}

}  // namespace fovea::crypto::mask

#endif

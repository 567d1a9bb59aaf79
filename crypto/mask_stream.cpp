#include "crypto/mask_stream.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <memory>
#include <thread>

#include "common/bytes.h"
#include "common/check.h"
#include "crypto/mask_kernels.h"
#include "crypto/openssl_objects.h"

#if FOVEA_MASK_KERNELS_X86
#include <cpuid.h>
#endif

namespace fovea::crypto {

static_assert(std::endian::native == std::endian::little, "mask words are little-endian in memory");

namespace {

using Words = std::span<std::uint32_t>;

constexpr std::size_t kTileWords = 8192;   // 32 KiB: the accumulator's tile stays in the first-level cache
constexpr std::size_t kKeysAtOnce = 1024;  // their schedules take 256 KiB, however many keys there are
// The portable path: the tile, four streams and the zeros they encrypt, 24 KiB together. One pass adds four streams, or
// loading and storing the tile would cost a fifth of the time.
constexpr std::size_t kPortableTileWords = 1024;
constexpr std::size_t kStreamsAtOnce = 4;

void combine(std::uint32_t& word, std::uint32_t mask, MaskSign sign) noexcept {
  word = sign == MaskSign::add ? word + mask : word - mask;
}

#if FOVEA_MASK_KERNELS_X86

// Some words of one block: computed aside, so that kernels see whole blocks only.
void apply_part_of_block(mask::Kernel kernel, const mask::KeySchedule& schedule, MaskSign sign,
                         std::uint64_t word_offset, Words words) {
  std::array<std::uint32_t, mask::kBlockWords> block{};
  kernel(schedule, MaskSign::add, word_offset / mask::kBlockWords, block.data(), 1);
  const std::size_t first = word_offset % mask::kBlockWords;
  for (std::size_t i = 0; i < words.size(); ++i) combine(words[i], block[first + i], sign);
  wipe({reinterpret_cast<std::uint8_t*>(block.data()), sizeof(block)});
}

void apply_tile(mask::Kernel kernel, const mask::KeySchedule& schedule, MaskSign sign, std::uint64_t word_offset,
                Words tile) {
  if (const std::size_t into = word_offset % mask::kBlockWords; into != 0) {
    const std::size_t head = std::min(tile.size(), mask::kBlockWords - into);
    apply_part_of_block(kernel, schedule, sign, word_offset, tile.first(head));
    tile = tile.subspan(head);
    word_offset += head;
  }
  const std::size_t blocks = tile.size() / mask::kBlockWords;
  kernel(schedule, sign, word_offset / mask::kBlockWords, tile.data(), blocks);
  const Words tail = tile.subspan(blocks * mask::kBlockWords);
  if (!tail.empty()) apply_part_of_block(kernel, schedule, sign, word_offset + blocks * mask::kBlockWords, tail);
}

void apply_with_kernel(mask::Kernel kernel, Words accumulator, std::uint64_t word_offset,
                       std::span<const MaskKey> keys) {
  const auto schedules = std::make_unique<mask::KeySchedule[]>(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) mask::expand_key(keys[i].seed, schedules[i]);
  while (!accumulator.empty()) {
    const Words tile = accumulator.first(std::min(accumulator.size(), kTileWords));
    for (std::size_t i = 0; i < keys.size(); ++i) apply_tile(kernel, schedules[i], keys[i].sign, word_offset, tile);
    accumulator = accumulator.subspan(tile.size());
    word_offset += tile.size();
  }
}

#endif

// Encrypting zeros gives the keystream.
void keystream(EVP_CIPHER_CTX* cipher, std::span<const std::uint8_t> zeros, std::uint8_t* out) {
  int written = 0;
  FOVEA_CHECK(EVP_EncryptUpdate(cipher, out, &written, zeros.data(), static_cast<int>(zeros.size())) == 1);
  FOVEA_CHECK(written == static_cast<int>(zeros.size()));
}

openssl::CipherContext cipher_at(const SecretKey& seed, std::uint64_t word_offset, ByteView zeros) {
  std::array<std::uint8_t, 16> counter{};
  const std::uint64_t block = word_offset / mask::kBlockWords;
  for (std::size_t i = 0; i < 8; ++i) counter[15 - i] = static_cast<std::uint8_t>(block >> (8 * i));
  openssl::CipherContext cipher = openssl::new_cipher_context();
  FOVEA_CHECK(EVP_EncryptInit_ex2(cipher.get(), openssl::aes_256_ctr(), seed.view().data(), counter.data(), nullptr) ==
              1);
  if (const std::size_t into = word_offset % mask::kBlockWords; into != 0) {
    std::array<std::uint8_t, 16> skipped{};
    keystream(cipher.get(), zeros.first(into * sizeof(std::uint32_t)), skipped.data());
    wipe(skipped);
  }
  return cipher;
}

struct PortableStream {
  openssl::CipherContext cipher;
  MaskSign sign;
};

// The keystreams of `group`, all of one sign, into `tile`.
void apply_streams(Words tile, std::span<PortableStream> group, ByteView zeros, Words scratch) {
  for (std::size_t k = 0; k < group.size(); ++k)
    keystream(group[k].cipher.get(), zeros.first(tile.size_bytes()),
              reinterpret_cast<std::uint8_t*>(scratch.data() + k * kPortableTileWords));
  const std::uint32_t* const a = scratch.data();
  if (group.size() < kStreamsAtOnce) {
    for (std::size_t i = 0; i < tile.size(); ++i) combine(tile[i], a[i], group.front().sign);
    return;
  }
  const std::uint32_t* const b = a + kPortableTileWords;
  const std::uint32_t* const c = b + kPortableTileWords;
  const std::uint32_t* const d = c + kPortableTileWords;
  if (group.front().sign == MaskSign::add) {
    for (std::size_t i = 0; i < tile.size(); ++i) tile[i] += (a[i] + b[i]) + (c[i] + d[i]);
  } else {
    for (std::size_t i = 0; i < tile.size(); ++i) tile[i] -= (a[i] + b[i]) + (c[i] + d[i]);
  }
}

void apply_portable(Words accumulator, std::uint64_t word_offset, std::span<const MaskKey> keys) {
  const std::vector<std::uint8_t> zeros(kPortableTileWords * sizeof(std::uint32_t));
  std::vector<std::uint32_t, WipingAllocator<std::uint32_t>> scratch(kStreamsAtOnce * kPortableTileWords);
  // Signs and positions are public; with equal signs side by side, four streams can be added in one pass.
  std::vector<PortableStream> streams;
  streams.reserve(keys.size());
  for (const MaskSign sign : {MaskSign::add, MaskSign::subtract})
    for (const MaskKey& key : keys)
      if (key.sign == sign) streams.push_back({cipher_at(key.seed, word_offset, zeros), sign});

  while (!accumulator.empty()) {
    const Words tile = accumulator.first(std::min(accumulator.size(), kPortableTileWords));
    for (std::span<PortableStream> left(streams); !left.empty();) {
      const bool four = left.size() >= kStreamsAtOnce && left[kStreamsAtOnce - 1].sign == left.front().sign;
      const std::span<PortableStream> group = left.first(four ? kStreamsAtOnce : 1);
      apply_streams(tile, group, zeros, scratch);
      left = left.subspan(group.size());
    }
    accumulator = accumulator.subspan(tile.size());
  }
}

void apply_group(MaskPath path, Words accumulator, std::uint64_t word_offset, std::span<const MaskKey> keys) {
  switch (path) {
#if FOVEA_MASK_KERNELS_X86
    case MaskPath::vaes_avx512: return apply_with_kernel(mask::add_blocks_vaes, accumulator, word_offset, keys);
    case MaskPath::aes_ni: return apply_with_kernel(mask::add_blocks_aes_ni, accumulator, word_offset, keys);
#else
    case MaskPath::vaes_avx512:
    case MaskPath::aes_ni:
#endif
    case MaskPath::portable: return apply_portable(accumulator, word_offset, keys);
  }
}

#if FOVEA_MASK_KERNELS_X86
// CPUID leaf 7, ECX bit 9 (Intel SDM, volume 2A). clang 14's __builtin_cpu_supports does not know the word.
bool processor_has_vaes() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c >> 9 & 1U) != 0;
}
#endif

}  // namespace

bool mask::kernel_available(MaskPath path) noexcept {
#if FOVEA_MASK_KERNELS_X86
  const bool aes_ni = __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1");
  switch (path) {
    case MaskPath::vaes_avx512:
      return aes_ni && processor_has_vaes() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
    case MaskPath::aes_ni: return aes_ni;
    case MaskPath::portable: return true;
  }
#endif
  return path == MaskPath::portable;
}

std::string_view mask_path_name(MaskPath path) noexcept {
  switch (path) {
    case MaskPath::vaes_avx512: return "vaes-avx512";
    case MaskPath::aes_ni: return "aes-ni";
    case MaskPath::portable: return "portable";
  }
  return "unknown";
}

std::vector<MaskPath> mask_paths_available() {
  std::vector<MaskPath> paths;
  for (const MaskPath path : {MaskPath::vaes_avx512, MaskPath::aes_ni, MaskPath::portable})
    if (mask::kernel_available(path)) paths.push_back(path);
  return paths;
}

MaskPath mask_path() noexcept {
  static const MaskPath path = mask_paths_available().front();
  return path;
}

void apply_masks_by(MaskPath path, Words accumulator, std::uint64_t word_offset, std::span<const MaskKey> keys) {
  FOVEA_CHECK(mask::kernel_available(path));
  while (!keys.empty()) {
    const std::span<const MaskKey> group = keys.first(std::min(keys.size(), kKeysAtOnce));
    apply_group(path, accumulator, word_offset, group);
    keys = keys.subspan(group.size());
  }
}

void apply_masks(Words accumulator, std::uint64_t word_offset, std::span<const MaskKey> keys) {
  apply_masks_by(mask_path(), accumulator, word_offset, keys);
}

void apply_masks(Words accumulator, std::uint64_t word_offset, std::span<const MaskKey> keys, std::uint32_t threads) {
  FOVEA_CHECK(threads >= 1);
  // Parts end on tile borders, so no two threads write into one cache line of a 64-byte-aligned accumulator.
  const std::size_t tiles = (accumulator.size() + kTileWords - 1) / kTileWords;
  const std::size_t part = std::max<std::size_t>((tiles + threads - 1) / threads, 1) * kTileWords;
  std::vector<std::jthread> workers;
  while (accumulator.size() > part) {
    workers.emplace_back(
        [words = accumulator.first(part), word_offset, keys] { apply_masks(words, word_offset, keys); });
    accumulator = accumulator.subspan(part);
    word_offset += part;
  }
  apply_masks(accumulator, word_offset, keys);
}

void add_words(Words sum, std::span<const std::uint32_t> values) noexcept {
  FOVEA_CHECK(sum.size() == values.size());
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += values[i];
}

void add_words(Words sum, std::span<std::uint16_t> carries, std::span<const std::uint32_t> values) noexcept {
  FOVEA_CHECK(sum.size() == values.size() && sum.size() == carries.size());
  for (std::size_t i = 0; i < sum.size(); ++i) {
    sum[i] += values[i];
    carries[i] = static_cast<std::uint16_t>(carries[i] + (sum[i] < values[i] ? 1 : 0));
  }
}

}  // namespace fovea::crypto

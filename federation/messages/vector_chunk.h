// A piece of a ring vector on the wire, masked or summed: raw little-endian u32 words, never text.
//   payload := attempt ref · u32 index · words
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/bytes.h"
#include "common/result.h"
#include "crypto/signature.h"
#include "federation/messages/attempt_ref.h"
#include "federation/messages/envelope.h"

namespace fovea::federation::messages {

inline constexpr std::size_t kChunkWords = 240 * 1024;  // 983 040 bytes: a message stays below 1 MiB

constexpr std::size_t chunk_count(std::size_t words) { return (words + kChunkWords - 1) / kChunkWords; }
// Words in chunk `index` of a vector; 0 past the end.
constexpr std::size_t chunk_size(std::size_t words, std::size_t index) {
  const std::size_t start = index * kChunkWords;
  return start >= words ? 0 : (words - start < kChunkWords ? words - start : kChunkWords);
}

struct ChunkView {
  AttemptRef ref;
  std::uint32_t index = 0;
  ByteView words;  // a multiple of four bytes, at least one word; little-endian u32
};

// The sealed message of a chunk, and its payload digest, in one pass and without a copy of the words in between.
SealedPayload seal_chunk(const MessageHeader& header, const AttemptRef& ref, std::uint32_t index,
                         std::span<const std::uint32_t> words, const crypto::SigningKey& key);

// The payload alone.
Bytes encode_chunk(const AttemptRef& ref, std::uint32_t index, std::span<const std::uint32_t> words);
Result<ChunkView> decode_chunk(ByteView payload);

// out[i] = word i; sizes must agree.
void copy_words(ByteView words, std::span<std::uint32_t> out);

}  // namespace fovea::federation::messages

// What is published beside a sum so that every site can check that it is the sum of the vectors that the sites of U3
// signed (docs/protocol.md, S8 to S10): the linear tag of each vector, and for each word of the sum of the masked
// vectors how often it passed 2^32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/bytes.h"
#include "common/ids.h"
#include "common/result.h"
#include "crypto/linear_hash.h"
#include "federation/messages/attempt_ref.h"

namespace fovea::federation::messages {

inline constexpr std::size_t kTagsPerMessage = 64;  // 819 200 bytes: a message stays below 1 MiB

// Tags of the sites at places `first`, first + 1, … of U3.
struct TagList {
  AttemptRef ref;
  std::uint16_t first = 0;
  std::vector<crypto::LinearTag> tags;  // 1 to kTagsPerMessage
  Bytes encode() const;
  static Result<TagList> decode(ByteView payload);
};

// Carries of the words of chunk `index` (federation/messages/vector_chunk.h).
struct CarryChunk {
  AttemptRef ref;
  std::uint32_t index = 0;
  Bytes packed;
  Bytes encode() const;
  static Result<CarryChunk> decode(ByteView payload);
};

// Carries of a sum of `sites` vectors: one byte a word, two planes of bytes (low, then high) above 256 sites, as a raw
// deflate stream (RFC 1951) of Huffman codes alone. Their entropy, of a sum of n uniform fractions, is about
// ½ log2(2πe n / 12) bits a word: 1.3 for 4 sites, 3.6 for 100.
Bytes pack_carries(std::span<const std::uint16_t> carries, std::size_t sites);
// Exactly out.size() carries, each below `sites`; invalid_argument otherwise.
Result<void> unpack_carries(ByteView packed, std::size_t sites, std::span<std::uint16_t> out);

}  // namespace fovea::federation::messages

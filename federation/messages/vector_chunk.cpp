#include "federation/messages/vector_chunk.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "common/byte_fields.h"
#include "common/bytes.h"
#include "common/check.h"
#include "common/codec.h"
#include "common/result.h"
#include "crypto/signature.h"

namespace fovea::federation::messages {

static_assert(std::endian::native == std::endian::little, "ring words are copied as they lie in memory");

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, ChunkView> chunk) {
  fields(f, chunk.ref);
  f.u32("chunk.index", chunk.index);
  f.rest("chunk.words", chunk.words);
}

namespace {

constexpr std::size_t kChunkHeaderBytes = 4 + 4 + 32 + 4;

void write_chunk(ByteWriter& writer, const AttemptRef& ref, std::uint32_t index, std::span<const std::uint32_t> words) {
  FOVEA_CHECK(!words.empty() && words.size() <= kChunkWords);
  write_fields(writer,
               ChunkView{ref, index, {reinterpret_cast<const std::uint8_t*>(words.data()), words.size_bytes()}});
}

}  // namespace

SealedPayload seal_chunk(const MessageHeader& header, const AttemptRef& ref, std::uint32_t index,
                         std::span<const std::uint32_t> words, const crypto::SigningKey& key) {
  return seal_written(
      header, kChunkHeaderBytes + words.size_bytes(),
      [&](ByteWriter& writer) { write_chunk(writer, ref, index, words); }, key);
}

Bytes encode_chunk(const AttemptRef& ref, std::uint32_t index, std::span<const std::uint32_t> words) {
  ByteWriter writer;
  writer.reserve(kChunkHeaderBytes + words.size_bytes());
  write_chunk(writer, ref, index, words);
  return std::move(writer).take();
}

Result<ChunkView> decode_chunk(ByteView payload) {
  FOVEA_TRY_ASSIGN(const ChunkView chunk, decode_fields<ChunkView>(payload, "chunk"));
  const std::size_t size = chunk.words.size();
  if (size == 0 || size % 4 != 0 || size > 4 * kChunkWords)
    return invalid_argument("chunk.words: " + std::to_string(size) + " bytes, expected 4 to 983040 in fours");
  return chunk;
}

void copy_words(ByteView words, std::span<std::uint32_t> out) {
  FOVEA_CHECK(words.size() == out.size_bytes());
  std::memcpy(out.data(), words.data(), words.size());
}

}  // namespace fovea::federation::messages

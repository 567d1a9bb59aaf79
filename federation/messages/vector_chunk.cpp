#include "federation/messages/vector_chunk.h"

#include <bit>
#include <cstring>

namespace fovea::federation {

static_assert(std::endian::native == std::endian::little, "ring words are copied as they lie in memory");

namespace {

constexpr std::size_t kChunkHeaderBytes = 4 + 4 + 32 + 4;

void write_chunk(ByteWriter& writer, const AttemptRef& ref, std::uint32_t index, std::span<const std::uint32_t> words) {
  FOVEA_CHECK(!words.empty() && words.size() <= kChunkWords);
  write(writer, ref);
  writer.u32(index);
  writer.raw(ByteView(reinterpret_cast<const std::uint8_t*>(words.data()), words.size_bytes()));
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
  ByteReader reader(payload);
  ChunkView chunk;
  FOVEA_TRY_ASSIGN(chunk.ref, read_attempt_ref(reader));
  FOVEA_TRY_ASSIGN(chunk.index, reader.u32("chunk.index"));
  const std::size_t size = reader.left();
  if (size == 0 || size % 4 != 0 || size > 4 * kChunkWords)
    return invalid_argument("chunk.words: " + std::to_string(size) + " bytes, expected 4 to 983040 in fours");
  FOVEA_TRY_ASSIGN(chunk.words, reader.raw("chunk.words", size));
  return chunk;
}

void copy_words(ByteView words, std::span<std::uint32_t> out) {
  FOVEA_CHECK(words.size() == out.size_bytes());
  std::memcpy(out.data(), words.data(), words.size());
}

}  // namespace fovea::federation

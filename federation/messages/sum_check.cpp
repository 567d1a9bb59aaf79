#include "federation/messages/sum_check.h"

#include <zlib.h>

#include <algorithm>
#include <string>
#include <utility>

#include "common/byte_fields.h"
#include "common/check.h"
#include "federation/messages/envelope.h"
#include "federation/messages/vector_chunk.h"

namespace fovea::federation::messages {

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, TagList> list) {
  fields(f, list.ref);
  f.u16("tags.first", list.first);
  f.list("tags", list.tags, {kTagsPerMessage, "tags"}, [](Fields& g, auto& tag, auto*) { g.array("tags.tag", tag); });
  f.require(!list.tags.empty(), "tags", "expected at least one");
}
Bytes TagList::encode() const { return encode_fields(*this); }
Result<TagList> TagList::decode(ByteView payload) { return decode_fields<TagList>(payload, "tags"); }

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, CarryChunk> chunk) {
  fields(f, chunk.ref);
  f.u32("carries.index", chunk.index);
  f.bytes("carries.packed", chunk.packed, kWireBytesMax);
}
Bytes CarryChunk::encode() const { return encode_fields(*this); }
Result<CarryChunk> CarryChunk::decode(ByteView payload) { return decode_fields<CarryChunk>(payload, "carries"); }

namespace {

constexpr std::size_t kOnePlaneSites = 256;
constexpr int kRawDeflate = -15;  // no header, no checksum: the envelope's signature covers the bytes

std::size_t planes_of(std::size_t sites) { return sites > kOnePlaneSites ? 2 : 1; }

}  // namespace

Bytes pack_carries(std::span<const std::uint16_t> carries, std::size_t sites) {
  FOVEA_CHECK(!carries.empty() && carries.size() <= kChunkWords);
  Bytes plain(planes_of(sites) * carries.size());
  for (std::size_t i = 0; i < carries.size(); ++i) plain[i] = static_cast<std::uint8_t>(carries[i]);
  if (planes_of(sites) == 2)
    for (std::size_t i = 0; i < carries.size(); ++i)
      plain[carries.size() + i] = static_cast<std::uint8_t>(carries[i] >> 8U);
  z_stream stream{};
  constexpr int kMemoryLevel = 9;
  FOVEA_CHECK(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kRawDeflate, kMemoryLevel, Z_HUFFMAN_ONLY) ==
              Z_OK);
  Bytes packed(deflateBound(&stream, static_cast<uLong>(plain.size())));
  stream.next_in = plain.data();
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = packed.data();
  stream.avail_out = static_cast<uInt>(packed.size());
  const int done = deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  FOVEA_CHECK(done == Z_STREAM_END);
  return packed;
}

Result<void> unpack_carries(ByteView packed, std::size_t sites, std::span<std::uint16_t> out) {
  FOVEA_CHECK(!out.empty() && out.size() <= kChunkWords);
  Bytes plain(planes_of(sites) * out.size());
  Bytes in(packed.begin(), packed.end());  // zlib's next_in is not const
  z_stream stream{};
  FOVEA_CHECK(inflateInit2(&stream, kRawDeflate) == Z_OK);
  stream.next_in = in.data();
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = plain.data();
  stream.avail_out = static_cast<uInt>(plain.size());
  const int done = inflate(&stream, Z_FINISH);
  const bool whole = done == Z_STREAM_END && stream.avail_in == 0 && stream.avail_out == 0;
  inflateEnd(&stream);
  if (!whole)
    return invalid_argument("carries.packed: not a deflate stream of " + std::to_string(plain.size()) + " bytes");
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = plain[i];
  if (planes_of(sites) == 2)
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<std::uint16_t>(out[i] | plain[out.size() + i] << 8U);
  if (std::any_of(out.begin(), out.end(), [sites](std::uint16_t carry) { return carry >= sites; }))
    return invalid_argument("carries.packed: a carry of " + std::to_string(sites) + " or more, of a sum of " +
                            std::to_string(sites) + " vectors");
  return {};
}

}  // namespace fovea::federation::messages

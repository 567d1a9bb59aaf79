#include "federation/membership/blame.h"

#include <cstdint>
#include <utility>

#include "common/byte_fields.h"
#include "common/codec.h"
#include "crypto/hash.h"

namespace fovea::federation::membership {
namespace {

constexpr std::uint32_t kMagic = 0x314c'4246;  // "FBL1"
constexpr std::size_t kNameMax = 40;
constexpr std::size_t kEvidenceMax = 2048;           // messages: at most two of each site
constexpr std::size_t kMessageBytesMax = 1U << 20U;  // as on the wire

}  // namespace

Digest Blame::digest() const {
  crypto::TaggedHash hash("FOVEA/1/blame");
  hash.add(site.text()).add(ByteView(key)).add(ByteView(run.bytes)).add_u64(round).add(reason);
  for (const Bytes& wire : evidence) hash.add(wire);
  return hash.finish();
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, Blame> blame) {
  std::uint32_t form = kMagic;
  f.u32("form", form);
  f.require(form == kMagic, "form", "is not that of a blame which this version of the program wrote");
  std::string site = blame.site.text();
  f.text("site", site, kNameMax);
  if constexpr (Fields::kReads) f.read(blame.site, [&] { return SiteId::create(site); });
  f.array("key", blame.key);
  f.array("run", blame.run.bytes);
  f.u32("round", blame.round);
  f.text("reason", blame.reason, kNameMax);
  // It goes into logs at other sites.
  f.require(blame.reason.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos, "reason",
            "is not the name of a refusal");
  f.list("evidence", blame.evidence, {kEvidenceMax, "messages"},
         [](auto& messages, auto& wire, auto*) { messages.bytes("evidence", wire, kMessageBytesMax); });
  const Digest expected = blame.digest();
  Digest digest = expected;
  f.array("digest", digest);
  f.require(digest == expected, "digest", "is another; the blame was changed");
}

Bytes Blame::encode() const { return encode_fields(*this); }

Result<Blame> Blame::decode(ByteView bytes) {
  ByteReader in(bytes);
  FieldReader reader(in);
  Blame out{.site = SiteId::create("unread").value()};
  fields(reader, out);
  if (const auto read = reader.finish("blame"); !read) return corruption(read.error().message);
  return out;
}

}  // namespace fovea::federation::membership

#include "federation/membership/blame.h"

#include <cstdint>
#include <utility>

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

Bytes Blame::encode() const {
  ByteWriter writer;
  writer.u32(kMagic);
  writer.sized(site.text());
  writer.raw(key);
  writer.raw(run.bytes);
  writer.u32(round);
  writer.sized(reason);
  writer.u32(static_cast<std::uint32_t>(evidence.size()));
  for (const Bytes& wire : evidence) writer.sized(wire);
  writer.raw(digest());
  return std::move(writer).take();
}

Result<Blame> Blame::decode(ByteView bytes) {
  ByteReader reader(bytes);
  FOVEA_TRY_ASSIGN(const std::uint32_t magic, reader.u32("form"));
  if (magic != kMagic) return corruption("is not a blame that this version of the program wrote");
  FOVEA_TRY_ASSIGN(const std::string name, reader.text("site", kNameMax));
  FOVEA_TRY_ASSIGN(SiteId site, SiteId::create(name));
  Blame out{.site = std::move(site)};
  FOVEA_TRY_ASSIGN(out.key, reader.array<32>("key"));
  FOVEA_TRY_ASSIGN(out.run.bytes, reader.array<16>("run"));
  FOVEA_TRY_ASSIGN(out.round, reader.u32("round"));
  FOVEA_TRY_ASSIGN(out.reason, reader.text("reason", kNameMax));
  // It goes into logs at other sites.
  if (out.reason.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos)
    return corruption("reason: is not the name of a refusal");
  FOVEA_TRY_ASSIGN(const std::uint32_t count, reader.u32("evidence"));
  if (count > kEvidenceMax)
    return corruption("evidence: " + std::to_string(count) + " messages, at most " + std::to_string(kEvidenceMax));
  for (std::uint32_t i = 0; i < count; ++i) {
    FOVEA_TRY_ASSIGN(const ByteView wire, reader.sized("evidence", kMessageBytesMax));
    out.evidence.emplace_back(wire.begin(), wire.end());
  }
  FOVEA_TRY_ASSIGN(const Digest digest, reader.array<32>("digest"));
  FOVEA_TRY(reader.finish("blame"));
  if (digest != out.digest()) return corruption("was changed: its digest is another");
  return out;
}

}  // namespace fovea::federation::membership

#include "coordinator/store/blame_folder.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <system_error>

#include "common/codec.h"
#include "common/durable_file.h"
#include "crypto/hash.h"
#include "federation/files/signed_document_file.h"
#include "federation/messages/envelope.h"

namespace fovea::coordinator::store {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kMagic = 0x314c'4246;  // "FBL1"
constexpr std::size_t kNameMax = 40;
constexpr std::size_t kEvidenceMax = 2048;  // messages: at most two of each site
constexpr std::size_t kBlameBytesMax = std::size_t{1} << 30U;

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
  FOVEA_TRY_ASSIGN(const std::uint32_t count, reader.u32("evidence"));
  if (count > kEvidenceMax)
    return corruption("evidence: " + std::to_string(count) + " messages, at most " + std::to_string(kEvidenceMax));
  for (std::uint32_t i = 0; i < count; ++i) {
    FOVEA_TRY_ASSIGN(const ByteView wire, reader.sized("evidence", federation::messages::kWireBytesMax));
    out.evidence.emplace_back(wire.begin(), wire.end());
  }
  FOVEA_TRY_ASSIGN(const Digest digest, reader.array<32>("digest"));
  FOVEA_TRY(reader.finish("blame"));
  if (digest != out.digest()) return corruption("was changed: its digest is another");
  return out;
}

Result<std::vector<Blame>> BlameFolder::standing() const {
  std::vector<Blame> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    if (!entry.is_regular_file()) continue;
    const auto site = SiteId::create(entry.path().filename().string());
    if (!site) continue;  // a pardon, or what a killed write left
    FOVEA_TRY_ASSIGN(std::optional<Blame> blame, find(*site));
    if (blame) out.push_back(std::move(*blame));
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return unavailable(folder_.string() + ": " + error.message());
  std::sort(out.begin(), out.end(), [](const Blame& a, const Blame& b) { return a.site < b.site; });
  return out;
}

Result<std::optional<Blame>> BlameFolder::find(const SiteId& site) const {
  const auto bytes = read_file(file(site), kBlameBytesMax);
  if (!bytes && bytes.error().code == ErrorCode::not_found) return std::optional<Blame>();
  if (!bytes) return bytes.error();
  auto blame = Blame::decode(*bytes);
  if (!blame)
    return corruption(file(site).string() + ": " + blame.error().message +
                      "; bring the file back from a backup, or move it away to let the site in again");
  if (blame->site != site) return corruption(file(site).string() + ": is about " + blame->site.text());
  return std::optional(std::move(*blame));
}

Result<void> BlameFolder::add(const Blame& blame) const {
  FOVEA_TRY(create_directories_durably(folder_));
  return write_file_durably(file(blame.site), blame.encode());
}

Result<void> BlameFolder::put_pardon(const SiteId& site, const federation::membership::SignedDocument& pardon) const {
  return write_file_durably(pardon_file(site), pardon.serialize());
}

Result<std::optional<federation::membership::SignedDocument>> BlameFolder::pardon_of(const SiteId& site) const {
  auto document = federation::files::read_signed_document(pardon_file(site));
  if (!document && document.error().code == ErrorCode::not_found)
    return std::optional<federation::membership::SignedDocument>();
  if (!document) return document.error();
  return std::optional(std::move(*document));
}

Result<void> BlameFolder::close(const Blame& blame, const federation::membership::SignedDocument& pardon) const {
  const fs::path kept = folder_ / "pardoned";
  const std::string name = to_hex(blame.digest());
  FOVEA_TRY(create_directories_durably(kept));
  FOVEA_TRY(write_file_durably(kept / (name + ".pardon"), pardon.serialize()));
  FOVEA_TRY(write_file_durably(kept / name, blame.encode()));
  // A crash in between leaves the pardon, which is then taken up again, or a pardon of nothing.
  std::error_code error;
  fs::remove(file(blame.site), error);
  if (error) return unavailable(file(blame.site).string() + ": cannot be removed: " + error.message());
  drop_pardon(blame.site);
  return {};
}

void BlameFolder::drop_pardon(const SiteId& site) const {
  std::error_code ignored;
  fs::remove(pardon_file(site), ignored);
}

}  // namespace fovea::coordinator::store

#include "node/io/site_folder.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/durable_file.h"
#include "common/json_fields.h"
#include "crypto/hash.h"
#include "crypto/key_file.h"
#include "federation/membership/plan.h"
#include "federation/membership/site_fields.h"
#include "node/io/default_config.h"

namespace fovea::node {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSiteFileMax = 64 * 1024;

ByteView text_bytes(const std::string& text) { return as_bytes(text); }

std::string config_text(const SiteId& id) {
  std::string text(kDefaultConfig);
  const std::string example = "id = \"st-anna\"";
  const std::size_t at = text.find(example);
  FOVEA_CHECK(at != std::string::npos);
  text.replace(at, example.size(), "id = \"" + id.text() + "\"");
  return text;
}

Result<federation::SignedDocument> read_document(const fs::path& path) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(path, federation::kSignedDocumentBytesMax));
  auto document = federation::SignedDocument::parse(bytes);
  if (!document) return document.error().with_context(path.string());
  return document;
}

}  // namespace

Result<federation::RosterSite> SiteFolder::create(const SiteId& id) const {
  if (fs::exists(root_ / "site.json"))
    return failed_precondition(root_.string() + ": is a site already; choose another folder with --site");
  for (const char* part : {"keys", "plans", "approvals", "runs", "data"})
    FOVEA_TRY(create_directories_durably(root_ / part));
  std::error_code error;
  fs::permissions(root_ / "keys", fs::perms::owner_all, error);
  crypto::SystemRandom random;
  const crypto::SigningKey identity = crypto::SigningKey::create(random);
  const crypto::SigningKey log = crypto::SigningKey::create(random);
  const crypto::SigningKey approver = crypto::SigningKey::create(random);
  const crypto::AgreementKey transport = crypto::AgreementKey::generate(random);
  FOVEA_TRY(crypto::write_key_file(root_ / "keys/identity.key", identity.seed()));
  FOVEA_TRY(crypto::write_key_file(root_ / "keys/log.key", log.seed()));
  FOVEA_TRY(crypto::write_key_file(root_ / "keys/approver.key", approver.seed()));
  FOVEA_TRY(crypto::write_key_file(root_ / "keys/transport.key", transport.private_key()));
  FOVEA_TRY(write_file_durably(config(), text_bytes(config_text(id))));
  federation::RosterSite site{id, identity.verify_key(), transport.public_key(), log.verify_key(),
                              approver.verify_key()};
  nlohmann::ordered_json value = {{"fovea_site", 1}};
  federation::write_site_fields(site, value);
  // Last: a folder with site.json is a complete site.
  FOVEA_TRY(write_file_durably(root_ / "site.json", text_bytes(value.dump(1) + "\n")));
  return site;
}

Result<federation::RosterSite> SiteFolder::site() const {
  const auto bytes = read_file(root_ / "site.json", kSiteFileMax);
  if (!bytes && bytes.error().code == ErrorCode::not_found)
    return not_found(root_.string() + ": is not a site's folder; run: fovea-node --site " + root_.string() +
                     " init NAME");
  if (!bytes) return bytes.error();
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(*bytes, "site.json", kSiteFileMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, "site.json"));
  FOVEA_TRY(fields.integer("fovea_site", 1, 1));
  FOVEA_TRY_ASSIGN(federation::RosterSite site, federation::read_site_fields(fields));
  FOVEA_TRY(fields.finish());
  return site;
}

Result<SiteKeys> SiteFolder::keys() const {
  FOVEA_TRY_ASSIGN(const crypto::SecretKey identity, crypto::read_key_file(root_ / "keys/identity.key"));
  FOVEA_TRY_ASSIGN(const crypto::SecretKey log, crypto::read_key_file(root_ / "keys/log.key"));
  FOVEA_TRY_ASSIGN(const crypto::SecretKey transport, crypto::read_key_file(root_ / "keys/transport.key"));
  return SiteKeys{crypto::SigningKey::from_seed(identity), crypto::SigningKey::from_seed(log),
                  crypto::AgreementKey::from_private(transport)};
}

Result<crypto::SigningKey> SiteFolder::approver_key() const {
  FOVEA_TRY_ASSIGN(const crypto::SecretKey seed, crypto::read_key_file(root_ / "keys/approver.key"));
  return crypto::SigningKey::from_seed(seed);
}

Result<federation::Invite> SiteFolder::invite() const {
  auto document = read_document(root_ / "invite.json");
  if (!document && document.error().code == ErrorCode::not_found)
    return not_found(root_.string() + ": has not joined a federation; run: fovea-node --site " + root_.string() +
                     " join INVITE");
  if (!document) return document.error();
  return federation::verify_invite(*document);
}

Result<void> SiteFolder::pin_invite(const federation::SignedDocument& invite) const {
  return write_file_durably(root_ / "invite.json", invite.serialize());
}

Result<std::optional<federation::Roster>> SiteFolder::roster(UnixMs now) const {
  using Out = std::optional<federation::Roster>;
  FOVEA_TRY_ASSIGN(const federation::Invite pinned, invite());
  auto document = read_document(root_ / "roster.json");
  if (!document && document.error().code == ErrorCode::not_found) return Out();
  if (!document) return document.error();
  auto roster = federation::verify_roster(*document, {pinned.federation, pinned.administrators, 1}, now);
  if (!roster && roster.error().code == ErrorCode::deadline_exceeded)
    return Out();  // the coordinator offers a newer one
  if (!roster) return roster.error().with_context((root_ / "roster.json").string());
  return Out(std::move(roster).value());
}

Result<void> SiteFolder::keep_roster(const federation::SignedDocument& roster, EpochNumber epoch) const {
  FOVEA_TRY(create_directories_durably(root_ / "rosters"));
  FOVEA_TRY(write_file_durably(root_ / "rosters" / (std::to_string(epoch) + ".json"), roster.serialize()));
  return write_file_durably(root_ / "roster.json", roster.serialize());
}

std::vector<federation::Roster> SiteFolder::past_rosters() const {
  std::vector<federation::Roster> out;
  const auto pinned = invite();
  if (!pinned) return out;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root_ / "rosters", ignored)) {
    const auto document = read_document(entry.path());
    if (!document) continue;
    const auto valid = document->count_valid("roster", pinned->administrators);
    if (!valid || *valid != pinned->administrators.size()) continue;  // a damaged file is a missing one
    if (auto roster = federation::Roster::parse(document->document)) out.push_back(std::move(roster).value());
  }
  return out;
}

Result<std::vector<Digest>> SiteFolder::plans() const {
  std::vector<Digest> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root_ / "plans", error)) {
    const auto bytes = from_hex(entry.path().stem().string());
    if (entry.path().extension() != ".json" || !bytes) continue;
    if (const auto hash = to_array<32>(*bytes, "plan")) out.push_back(*hash);
  }
  if (error) return not_found((root_ / "plans").string() + ": " + error.message());
  std::sort(out.begin(), out.end());
  return out;
}

Result<Bytes> SiteFolder::plan_bytes(const Digest& hash) const {
  FOVEA_TRY_ASSIGN(Bytes bytes, read_file(plan(hash), federation::kPlanBytesMax));
  if (crypto::sha256(bytes) != hash)
    return corruption(plan(hash).string() + ": the bytes do not have the hash of the name");
  return bytes;
}

Result<Digest> SiteFolder::find_plan(std::string_view prefix) const {
  constexpr std::size_t kPrefixMin = 4;
  FOVEA_TRY_ASSIGN(const std::vector<Digest> known, plans());
  std::vector<Digest> found;
  for (const Digest& hash : known)
    if (to_hex(hash).starts_with(prefix)) found.push_back(hash);
  if (prefix.size() < kPrefixMin || found.size() > 1)
    return invalid_argument("plan \"" + std::string(prefix) +
                            "\": give more digits of the hash; see fovea-node plan list");
  if (found.empty())
    return not_found("plan \"" + std::string(prefix) + "\": no such plan at this site; see fovea-node plan list");
  return found.front();
}

Result<std::optional<federation::SignedDocument>> SiteFolder::decision(const Digest& hash) const {
  using Out = std::optional<federation::SignedDocument>;
  auto document = read_document(approval(hash));
  if (!document && document.error().code == ErrorCode::not_found) return Out();
  if (!document) return document.error();
  return Out(std::move(document).value());
}

}  // namespace fovea::node

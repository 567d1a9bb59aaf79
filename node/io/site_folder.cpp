#include "node/io/site_folder.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/config_fields.h"
#include "common/durable_file.h"
#include "common/json_fields.h"
#include "crypto/hash.h"
#include "crypto/key_file.h"
#include "crypto/random_source.h"
#include "federation/files/signed_document_file.h"
#include "federation/membership/plan.h"
#include "federation/membership/site_fields.h"
#include "node/io/default_config.h"

namespace fovea::node::io {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSiteFileMax = 64 * 1024;
constexpr std::uint64_t kFormat = 2;

using federation::membership::RosterTrust;

bool is_signed_under(const federation::membership::SignedDocument& roster, const std::vector<RosterTrust>& trusts) {
  return std::any_of(trusts.begin(), trusts.end(), [&](const RosterTrust& trust) {
    return federation::membership::verify_roster_signatures(roster, trust).has_value();
  });
}

Result<std::optional<federation::membership::SignedDocument>> read_if_there(const fs::path& file) {
  using Out = std::optional<federation::membership::SignedDocument>;
  auto document = federation::files::read_signed_document(file);
  if (!document && document.error().code == ErrorCode::not_found) return Out();
  if (!document) return document.error();
  return Out(std::move(document).value());
}

}  // namespace

Result<federation::membership::RosterSite> SiteFolder::create(
    const SiteId& id, const federation::files::PassphraseSource& passphrase) const {
  if (fs::exists(root_ / "site.json"))
    return failed_precondition(root_.string() + ": is a site already; choose another folder with --site");
  const federation::files::KeyFolder keys = key_folder();
  FOVEA_TRY_ASSIGN(const crypto::SecretBytes secret,
                   passphrase.fresh("the key " + keys.protected_file("approver").string()));
  FOVEA_TRY(keys.create());
  for (const char* part : {"plans", "approvals", "runs", "data"}) FOVEA_TRY(create_directories_durably(root_ / part));
  crypto::SystemRandom random;
  FOVEA_TRY_ASSIGN(const crypto::SigningKey identity, keys.create_signing_key("identity", random));
  FOVEA_TRY_ASSIGN(const crypto::SigningKey log, keys.create_signing_key("log", random));
  FOVEA_TRY_ASSIGN(const crypto::SigningKey approver, keys.create_protected_key("approver", random, secret));
  FOVEA_TRY_ASSIGN(const crypto::AgreementKey transport, keys.create_agreement_key("transport", random));
  const std::string settings = with_setting(kDefaultNodeConfig, "id = \"st-anna\"", "id = \"" + id.text() + "\"");
  FOVEA_TRY(write_file_durably(config(), as_bytes(settings)));
  federation::membership::RosterSite site{id, identity.verify_key(), transport.public_key(), log.verify_key(),
                                          approver.verify_key()};
  nlohmann::ordered_json value = {{"fovea_site", kFormat}};
  federation::membership::write_site_fields(site, value);
  // Last: a folder with site.json is a complete site.
  FOVEA_TRY(write_file_durably(root_ / "site.json", as_bytes(value.dump(1) + "\n")));
  return site;
}

Result<federation::membership::RosterSite> SiteFolder::site() const {
  const auto bytes = read_file(root_ / "site.json", kSiteFileMax);
  if (!bytes && bytes.error().code == ErrorCode::not_found)
    return not_found(root_.string() + ": is not a site's folder; run: fovea-node --site " + root_.string() +
                     " init NAME");
  if (!bytes) return bytes.error();
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(*bytes, "site.json", kSiteFileMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, "site.json"));
  FOVEA_TRY_ASSIGN(const std::uint64_t format, fields.integer("fovea_site", 1, kFormat));
  if (format != kFormat)
    return failed_precondition(root_.string() +
                               ": site.json says fovea_site 1, the format of version 0.1, whose approver's key lies "
                               "open; make a new site in another folder (fovea-node init), move data/ there, and join "
                               "with a new invite");
  FOVEA_TRY_ASSIGN(federation::membership::RosterSite site, federation::membership::read_site_fields(fields));
  FOVEA_TRY(fields.finish());
  return site;
}

Result<SiteKeys> SiteFolder::keys() const {
  const federation::files::KeyFolder keys = key_folder();
  FOVEA_TRY_ASSIGN(crypto::SigningKey identity, keys.signing_key("identity"));
  FOVEA_TRY_ASSIGN(crypto::SigningKey log, keys.signing_key("log"));
  FOVEA_TRY_ASSIGN(crypto::AgreementKey transport, keys.agreement_key("transport"));
  return SiteKeys{std::move(identity), std::move(log), std::move(transport)};
}

Result<crypto::SigningKey> SiteFolder::approver_key(const federation::files::PassphraseSource& passphrase) const {
  const fs::path file = key_folder().protected_file("approver");
  FOVEA_TRY_ASSIGN(const crypto::SecretBytes secret, passphrase.existing("the key " + file.string()));
  return crypto::read_protected_key_file(file, secret);
}

Result<federation::membership::Invite> SiteFolder::invite() const {
  auto document = federation::files::read_signed_document(root_ / "invite.json");
  if (!document && document.error().code == ErrorCode::not_found)
    return not_found(root_.string() + ": has not joined a federation; run: fovea-node --site " + root_.string() +
                     " join INVITE");
  if (!document) return document.error();
  auto pinned = federation::membership::verify_invite(*document);
  if (!pinned) return pinned.error().with_context((root_ / "invite.json").string());
  return pinned;
}

Result<void> SiteFolder::pin_invite(const federation::membership::SignedDocument& document) const {
  if (const auto former = invite()) {
    // Sums made under its rosters must still be checked.
    FOVEA_TRY_ASSIGN(const Bytes bytes,
                     read_file(root_ / "invite.json", federation::membership::kSignedDocumentBytesMax));
    FOVEA_TRY(create_directories_durably(root_ / "invites"));
    FOVEA_TRY(write_file_durably(root_ / "invites" / (to_hex(former->hash) + ".json"), bytes));
  }
  return write_file_durably(root_ / "invite.json", document.serialize());
}

Result<federation::membership::Roster> SiteFolder::roster_in(const fs::path& file) const {
  FOVEA_TRY_ASSIGN(const federation::membership::Invite pinned, invite());
  FOVEA_TRY_ASSIGN(const federation::membership::SignedDocument document,
                   federation::files::read_signed_document(file));
  auto roster = federation::membership::verify_roster_signatures(document, pinned.trust());
  if (!roster) return roster.error().with_context(file.string());
  return roster;
}

Result<std::optional<federation::membership::Roster>> SiteFolder::newest_roster() const {
  using Out = std::optional<federation::membership::Roster>;
  FOVEA_TRY(invite());
  auto document = federation::files::read_signed_document(root_ / "roster.json");
  if (!document && document.error().code == ErrorCode::not_found) return Out();
  if (!document) return document.error();
  auto roster = roster_in(root_ / "roster.json");
  if (!roster && is_signed_under(*document, federation::files::former_trusts(root_ / "invites")))
    return Out();  // the coordinator offers one under the new document
  if (!roster) return roster.error();
  return Out(std::move(roster).value());
}

Result<void> SiteFolder::keep_roster(const federation::membership::SignedDocument& roster, EpochNumber epoch) const {
  FOVEA_TRY(create_directories_durably(root_ / "rosters"));
  fs::path kept = root_ / "rosters" / (std::to_string(epoch) + ".json");
  // A federation that was founded anew counts its epochs from 1 again: the older roster of this number stays.
  const auto older = federation::files::read_signed_document(kept);
  if (older && older->document != roster.document)
    kept = root_ / "rosters" /
           (std::to_string(epoch) + "-" + to_hex(crypto::sha256(as_bytes(roster.document))).substr(0, 8) + ".json");
  FOVEA_TRY(write_file_durably(kept, roster.serialize()));
  return write_file_durably(root_ / "roster.json", roster.serialize());
}

std::vector<federation::membership::Roster> SiteFolder::past_rosters() const {
  std::vector<federation::membership::Roster> out;
  const auto pinned = invite();
  if (!pinned) return out;
  std::vector<RosterTrust> trusts = federation::files::former_trusts(root_ / "invites");
  trusts.push_back(pinned->trust());
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root_ / "rosters", ignored)) {
    const auto document = federation::files::read_signed_document(entry.path());
    if (!document) continue;
    if (!is_signed_under(*document, trusts)) continue;  // a damaged file is a missing one
    if (auto roster = federation::membership::Roster::parse(document->document))
      out.push_back(std::move(roster).value());
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
  FOVEA_TRY_ASSIGN(Bytes bytes, read_file(plan(hash), federation::membership::kPlanBytesMax));
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

Result<std::optional<federation::membership::SignedDocument>> SiteFolder::decision(const Digest& hash) const {
  return read_if_there(approval(hash));
}

Result<std::optional<federation::membership::SignedDocument>> SiteFolder::acceptance(const Digest& entry) const {
  return read_if_there(acquaintance(entry));
}

}  // namespace fovea::node::io

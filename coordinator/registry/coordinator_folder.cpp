#include "coordinator/registry/coordinator_folder.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/config_fields.h"
#include "common/durable_file.h"
#include "coordinator/registry/default_config.h"
#include "crypto/key_file.h"
#include "crypto/random_source.h"
#include "federation/files/signed_document_file.h"
#include "federation/membership/site_fields.h"

namespace fovea::coordinator::registry {
namespace {

namespace fs = std::filesystem;

// Clocks of hospitals differ: a roster is valid from a little before it is signed.
constexpr std::int64_t kClockSlackMs = 10 * 60 * 1000;

Result<std::vector<federation::membership::RosterSite>> changed_sites(
    std::vector<federation::membership::RosterSite> sites, const RosterChange& change) {
  for (const SiteId& id : change.removed) {
    const auto found = std::find_if(sites.begin(), sites.end(), [&](const auto& site) { return site.id == id; });
    if (found == sites.end())
      return not_found("site " + id.text() + ": is not on the roster; see fovea-coordinator sites");
    sites.erase(found);
  }
  for (const federation::membership::RosterSite& site : change.added) {
    std::erase_if(sites, [&](const auto& entry) { return entry.id == site.id; });
    sites.push_back(site);
  }
  std::sort(sites.begin(), sites.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return sites;
}

}  // namespace

Result<federation::membership::Invite> CoordinatorFolder::create(const NewFederation& federation, UnixMs now) const {
  FOVEA_TRY(federation::membership::check_federation_name(federation.name));
  if (fs::exists(root_ / "invite.json"))
    return failed_precondition(root_.string() + ": holds a federation already; choose another folder with --home");
  const federation::files::KeyFolder keys = key_folder();
  FOVEA_TRY(keys.create());
  FOVEA_TRY(create_directories_durably(runs()));
  crypto::SystemRandom random;
  FOVEA_TRY_ASSIGN(const crypto::SigningKey administrator, keys.create_signing_key("administrator", random));
  FOVEA_TRY_ASSIGN(const crypto::SigningKey signing, keys.create_signing_key("signing", random));
  FOVEA_TRY_ASSIGN(const crypto::AgreementKey transport, keys.create_agreement_key("transport", random));
  const std::string settings =
      with_setting(kDefaultCoordinatorConfig, "port = 7443", "port = " + std::to_string(federation.port));
  FOVEA_TRY(write_file_durably(config(), as_bytes(settings)));
  federation::membership::Invite invite{
      .federation = federation.name,
      .endpoint = "tcp://" + federation.public_host + ":" + std::to_string(federation.port),
      .coordinator_transport_key = transport.public_key(),
      .coordinator_signing_key = signing.verify_key(),
      .administrators = {administrator.verify_key()}};
  if (federation.second_administrator) invite.administrators.push_back(*federation.second_administrator);
  FOVEA_TRY_ASSIGN(std::string text, invite.document());
  federation::membership::SignedDocument document{"invite", std::move(text), {}};
  FOVEA_TRY(document.sign(administrator));
  // Last: a folder with invite.json is a complete federation.
  FOVEA_TRY(write_file_durably(root_ / "invite.json", document.serialize()));
  if (invite.administrators.size() == 1) FOVEA_TRY(sign_next({}, administrator, now));
  return invite;
}

Result<federation::membership::Invite> CoordinatorFolder::federation() const {
  auto document = federation::files::read_signed_document(root_ / "invite.json");
  if (!document && document.error().code == ErrorCode::not_found)
    return not_found(root_.string() + ": holds no federation; run: fovea-coordinator --home " + root_.string() +
                     " init NAME");
  if (!document) return document.error();
  return federation::membership::verify_invite(*document);
}

Result<Bytes> CoordinatorFolder::invite_bytes() const {
  return read_file(root_ / "invite.json", federation::membership::kSignedDocumentBytesMax);
}

Result<CoordinatorKeys> CoordinatorFolder::keys() const {
  FOVEA_TRY_ASSIGN(crypto::SigningKey signing, key_folder().signing_key("signing"));
  FOVEA_TRY_ASSIGN(crypto::AgreementKey transport, key_folder().agreement_key("transport"));
  return CoordinatorKeys{std::move(signing), std::move(transport)};
}

Result<crypto::SigningKey> CoordinatorFolder::administrator_key(const fs::path& key_file) const {
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, federation());
  FOVEA_TRY_ASSIGN(const crypto::SecretKey seed, crypto::read_key_file(key_file));
  crypto::SigningKey key = crypto::SigningKey::from_seed(seed);
  if (std::find(facts.administrators.begin(), facts.administrators.end(), key.verify_key()) ==
      facts.administrators.end())
    return permission_denied(key_file.string() + ": is not the key of an administrator of this federation");
  return key;
}

Result<federation::membership::SignedDocument> CoordinatorFolder::roster_document() const {
  auto document = federation::files::read_signed_document(roster_file());
  if (!document && document.error().code == ErrorCode::not_found)
    return not_found(roster_file().string() +
                     ": no roster is in force yet; run fovea-coordinator sign, and cosign with two administrators");
  return document;
}

Result<federation::membership::Roster> CoordinatorFolder::roster(UnixMs now) const {
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, federation());
  FOVEA_TRY_ASSIGN(const federation::membership::SignedDocument document, roster_document());
  return federation::membership::verify_roster(document, {facts.federation, facts.administrators, 1}, now);
}

Result<federation::membership::Roster> CoordinatorFolder::signed_roster(
    const fs::path& file, const federation::membership::SignedDocument& document) const {
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, federation());
  FOVEA_TRY_ASSIGN(const std::size_t valid, document.count_valid("roster", facts.administrators));
  if (valid != facts.administrators.size()) return corruption(file.string() + ": lacks an administrator's signature");
  return federation::membership::Roster::parse(document.document);
}

Result<federation::membership::Roster> CoordinatorFolder::newest_roster() const {
  FOVEA_TRY_ASSIGN(const federation::membership::SignedDocument document, roster_document());
  return signed_roster(roster_file(), document);
}

Result<federation::membership::Roster> CoordinatorFolder::replaced_roster(const Digest& hash) const {
  const fs::path file = root_ / "rosters" / (to_hex(hash) + ".json");
  FOVEA_TRY_ASSIGN(const federation::membership::SignedDocument document,
                   federation::files::read_signed_document(file));
  FOVEA_TRY_ASSIGN(federation::membership::Roster roster, signed_roster(file, document));
  if (roster.hash != hash) return corruption(file.string() + ": is another roster than its name says");
  return roster;
}

Result<void> CoordinatorFolder::keep_replaced() const {
  const auto current = newest_roster();
  if (!current && current.error().code == ErrorCode::not_found) return {};
  if (!current) return current.error();
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(roster_file(), federation::membership::kSignedDocumentBytesMax));
  FOVEA_TRY(create_directories_durably(root_ / "rosters"));
  return write_file_durably(root_ / "rosters" / (to_hex(current->hash) + ".json"), bytes);
}

Result<SignedRoster> CoordinatorFolder::sign_next(const RosterChange& change, const crypto::SigningKey& administrator,
                                                  UnixMs now) const {
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, federation());
  federation::membership::Roster next;
  auto current = newest_roster();
  if (!current && current.error().code != ErrorCode::not_found) return current.error();
  if (current) next = std::move(current).value();
  next.federation = facts.federation;
  next.epoch += 1;
  next.valid_from = UnixMs{now.value - kClockSlackMs};
  next.valid_until = UnixMs{next.valid_from.value + federation::membership::kRosterValidityMaxMs};
  next.coordinator_signing_key = facts.coordinator_signing_key;
  FOVEA_TRY_ASSIGN(next.sites, changed_sites(std::move(next.sites), change));
  FOVEA_TRY_ASSIGN(std::string text, next.document());
  federation::membership::SignedDocument document{"roster", std::move(text), {}};
  FOVEA_TRY(document.sign(administrator));
  return put_in_force(std::move(document));
}

Result<SignedRoster> CoordinatorFolder::cosign(const crypto::SigningKey& administrator) const {
  auto document = federation::files::read_signed_document(root_ / "roster-next.json");
  if (!document && document.error().code == ErrorCode::not_found)
    return not_found("no roster waits for a second signature; run fovea-coordinator sign first");
  if (!document) return document.error();
  FOVEA_TRY(document->sign(administrator));
  return put_in_force(std::move(document).value());
}

Result<SignedRoster> CoordinatorFolder::put_in_force(federation::membership::SignedDocument document) const {
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, federation());
  FOVEA_TRY_ASSIGN(const std::size_t valid, document.count_valid("roster", facts.administrators));
  FOVEA_TRY_ASSIGN(federation::membership::Roster roster, federation::membership::Roster::parse(document.document));
  const bool complete = valid == facts.administrators.size();
  if (complete) FOVEA_TRY(keep_replaced());
  FOVEA_TRY(write_file_durably(complete ? roster_file() : root_ / "roster-next.json", document.serialize()));
  std::error_code ignored;
  if (complete) fs::remove(root_ / "roster-next.json", ignored);
  return SignedRoster{std::move(roster), complete};
}

}  // namespace fovea::coordinator::registry

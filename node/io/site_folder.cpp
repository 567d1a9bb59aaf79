#include "node/io/site_folder.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/config_fields.h"
#include "common/durable_file.h"
#include "common/file_lock.h"
#include "common/json_fields.h"
#include "crypto/hash.h"
#include "crypto/key_file.h"
#include "crypto/random_source.h"
#include "federation/files/signed_document_file.h"
#include "federation/membership/acquaintance.h"
#include "federation/membership/join_request.h"
#include "federation/membership/plan.h"
#include "federation/membership/site_fields.h"
#include "node/io/default_config.h"
#include "node/io/node_config.h"

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

// Half a file: what is wrong with it, and what to do. One of a newer version says itself what to do.
Error with_fix(const Error& error, const std::string& fix) {
  if (error.code == ErrorCode::failed_precondition) return error;
  return Error{error.code, error.message + "\n  fix: " + fix};
}

Result<std::optional<federation::membership::SignedDocument>> read_if_there(const fs::path& file,
                                                                            const std::string& fix) {
  using Out = std::optional<federation::membership::SignedDocument>;
  auto document = federation::files::read_signed_document(file);
  if (!document && document.error().code == ErrorCode::not_found) return Out();
  if (!document) return with_fix(document.error(), fix);
  return Out(std::move(document).value());
}

// What has to be done where a key of the site is gone for good.
std::string new_identity() {
  return "restore it from your backup; without one this site needs new keys: make a site in another folder (fovea-node "
         "init), move data/ and register there, join with the invite, have the administrators sign the new join "
         "request, and the other hospitals accept the new fingerprint";
}

template <class Key>
Result<void> check_own(const Key& key, const federation::membership::PublicKeyBytes& named, const fs::path& file) {
  if (key == named) return {};
  return corruption(file.string() + ": is not the key that site.json names\n  fix: " + new_identity());
}

Result<federation::membership::RosterSite> read_site(ByteView bytes) {
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(bytes, "site.json", kSiteFileMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, "site.json"));
  FOVEA_TRY_ASSIGN(const std::uint64_t format, federation::membership::read_format(fields, "fovea_site", kFormat));
  if (format != kFormat)
    return failed_precondition(
        "site.json says fovea_site 1, the format of version 0.1, whose approver's key lies open; make a new site in "
        "another folder (fovea-node init), move data/ and register there, and join with a new invite");
  FOVEA_TRY_ASSIGN(federation::membership::RosterSite site, federation::membership::read_site_fields(fields));
  FOVEA_TRY(fields.finish());
  return site;
}

}  // namespace

Result<federation::membership::RosterSite> SiteFolder::create(
    const SiteId& id, const federation::files::PassphraseSource& passphrase) const {
  const Error is_site = failed_precondition(root_.string() + ": is a site already; choose another folder with --site");
  if (fs::exists(root_ / "site.json")) return is_site;
  FOVEA_TRY(create_directories_durably(root_));
  FOVEA_TRY_ASSIGN(const FileLock lock, lock_changes("fovea-node init"));
  if (fs::exists(root_ / "site.json")) return is_site;  // made by one who was faster
  for (const char* part : {"plans", "approvals", "runs", "data"}) FOVEA_TRY(create_directories_durably(root_ / part));
  FOVEA_TRY(begin_settings(id));
  const federation::files::KeyFolder keys = key_folder();
  const auto secret = passphrase.fresh("the key " + keys.protected_file("approver").string());
  if (!secret)
    return Error{secret.error().code,
                 secret.error().message + "\n  fix: " + root_.string() +
                     " has its settings and takes scans, but no keys yet: run the same init again"};
  FOVEA_TRY(keys.create());
  crypto::SystemRandom random;
  FOVEA_TRY_ASSIGN(const crypto::SigningKey identity, keys.create_signing_key("identity", random));
  FOVEA_TRY_ASSIGN(const crypto::SigningKey log, keys.create_signing_key("log", random));
  FOVEA_TRY_ASSIGN(const crypto::SigningKey approver, keys.create_protected_key("approver", random, *secret));
  FOVEA_TRY_ASSIGN(const crypto::AgreementKey transport, keys.create_agreement_key("transport", random));
  federation::membership::RosterSite site{id, identity.verify_key(), transport.public_key(), log.verify_key(),
                                          approver.verify_key()};
  nlohmann::ordered_json value = {{"fovea_site", kFormat}};
  federation::membership::write_site_fields(site, value);
  const std::string text = value.dump(1) + "\n";
  FOVEA_TRY(pin_new(as_bytes(text), id, log));
  // Last: a folder with site.json is a complete site.
  FOVEA_TRY(write_file_durably(root_ / "site.json", as_bytes(text)));
  return site;
}

// Those of an earlier init that came to no keys stay, with what a person has set in them since.
Result<void> SiteFolder::begin_settings(const SiteId& id) const {
  if (const auto begun = NodeConfig::read(config()); begun && begun->site == id) return {};
  const std::string settings = with_setting(kDefaultNodeConfig, "id = \"st-anna\"", "id = \"" + id.text() + "\"");
  return write_file_durably(config(), as_bytes(settings));
}

Result<void> SiteFolder::check_begun() const {
  std::error_code error;
  if (fs::exists(config(), error)) return {};
  FOVEA_TRY(site());  // says to run init
  return {};
}

Result<FileLock> SiteFolder::lock_changes(std::string_view program) const {
  return FileLock::take_as(root_ / "changes.lock", program, root_.string());
}

SiteFolder SiteFolder::read_once() const {
  SiteFolder out(root_);
  out.read_ = std::make_shared<Documents>();
  return out;
}

Result<Bytes> SiteFolder::site_bytes() const {
  if (read_ && read_->site) return *read_->site;
  auto bytes = read_file(root_ / "site.json", kSiteFileMax);
  if (read_ && bytes) read_->site = *bytes;
  return bytes;
}

Result<federation::membership::SignedDocument> SiteFolder::invite_document() const {
  if (read_ && read_->invite) return *read_->invite;
  auto document = federation::files::read_signed_document(root_ / "invite.json");
  if (read_ && document) read_->invite = *document;
  return document;
}

Result<federation::membership::RosterSite> SiteFolder::site() const {
  const auto bytes = site_bytes();
  if (!bytes && bytes.error().code == ErrorCode::not_found)
    return not_found(root_.string() + ": is not a site's folder; run: fovea-node --site " + root_.string() +
                     " init NAME");
  if (!bytes) return bytes.error();
  auto site = read_site(*bytes);
  if (!site)
    return with_fix(site.error().with_context(root_.string()),
                    "put site.json back from your backup; it holds this site's name and public keys, as every roster "
                    "with this site does");
  return site;
}

Result<SiteKeys> SiteFolder::keys() const {
  const federation::files::KeyFolder keys = key_folder();
  FOVEA_TRY_ASSIGN(const federation::membership::RosterSite self, site());
  for (const char* name : {"identity", "log", "transport"})
    if (const fs::path file = keys.file(name); !fs::exists(file))
      return failed_precondition(file.string() +
                                 ": is missing; the node cannot run without this key\n  fix: " + new_identity());
  FOVEA_TRY_ASSIGN(crypto::SigningKey identity, keys.signing_key("identity"));
  FOVEA_TRY_ASSIGN(crypto::SigningKey log, keys.signing_key("log"));
  FOVEA_TRY_ASSIGN(crypto::AgreementKey transport, keys.agreement_key("transport"));
  if (identity.verify_key() != self.identity_key && log.verify_key() != self.log_key &&
      transport.public_key() != self.transport_key)
    return of_two_sites(self);
  FOVEA_TRY(check_own(identity.verify_key(), self.identity_key, keys.file("identity")));
  FOVEA_TRY(check_own(log.verify_key(), self.log_key, keys.file("log")));
  FOVEA_TRY(check_own(transport.public_key(), self.transport_key, keys.file("transport")));
  return SiteKeys{std::move(identity), std::move(log), std::move(transport)};
}

// No key fits: a file of another site came into this folder. Its settings say which name this site has.
Error SiteFolder::of_two_sites(const federation::membership::RosterSite& self) const {
  const std::string file = (root_ / "site.json").string();
  const auto config = NodeConfig::read(this->config());
  if (config && config->site != self.id)
    return corruption(file + ": is the site " + self.id.text() + "'s; this folder was made for " + config->site.text() +
                      ", and no key in keys/ is one that it names\n  fix: put site.json of " + config->site.text() +
                      " back from your backup; it holds this site's name and public keys, as every roster with this "
                      "site does");
  return corruption((root_ / "keys").string() + ": no key in it is one that " + file +
                    " names, so it is another site's\n  fix: " + new_identity());
}

Result<void> SiteFolder::check_approver_key() const {
  const fs::path file = key_folder().protected_file("approver");
  if (!fs::exists(file))
    return failed_precondition(file.string() +
                               ": is missing; it is the key with which a person here decides (plan approve, plan "
                               "reject, roster accept), and nothing can be decided without it\n  fix: " +
                               new_identity());
  return crypto::check_protected_key_file(file);
}

Result<crypto::SigningKey> SiteFolder::approver_key(const federation::files::PassphraseSource& passphrase) const {
  FOVEA_TRY(check_pins());
  // Where there is no founding document yet, there is no roster either.
  if (invite()) {
    FOVEA_TRY_ASSIGN(const auto roster, newest_roster());
    if (roster) FOVEA_TRY(check_own_entry(*roster));
  }
  return unpinned_approver_key(passphrase);
}

Result<crypto::SigningKey> SiteFolder::unpinned_approver_key(
    const federation::files::PassphraseSource& passphrase) const {
  const fs::path file = key_folder().protected_file("approver");
  if (const auto daemon = keys(); !daemon && daemon.error().code == ErrorCode::corruption) return daemon.error();
  FOVEA_TRY(check_approver_key());  // before a passphrase is asked for
  FOVEA_TRY_ASSIGN(const federation::membership::RosterSite self, site());
  FOVEA_TRY_ASSIGN(const crypto::SecretBytes secret, passphrase.existing("the key " + file.string()));
  FOVEA_TRY_ASSIGN(crypto::SigningKey key, crypto::read_protected_key_file(file, secret));
  FOVEA_TRY(check_own(key.verify_key(), self.approver_key, file));  // else nobody would believe what is signed
  return key;
}

Result<federation::membership::Invite> SiteFolder::invite() const {
  const auto document = invite_document();
  if (!document && document.error().code == ErrorCode::not_found)
    return not_found(root_.string() + ": has not joined a federation; run: fovea-node --site " + root_.string() +
                     " join INVITE");
  auto pinned = document ? federation::membership::verify_invite(*document)
                         : Result<federation::membership::Invite>(document.error());
  if (pinned) return pinned;
  return with_fix(document ? pinned.error().with_context((root_ / "invite.json").string()) : pinned.error(),
                  "fovea-node --site " + root_.string() +
                      " join INVITE --accept-change, with an invite whose fingerprint was compared by telephone");
}

std::optional<UnixMs> SiteFolder::replaced_at(const Digest& founding) const {
  std::error_code error;
  const auto time = fs::last_write_time(root_ / "invites" / (to_hex(founding) + ".json"), error);
  if (error) return std::nullopt;
  return UnixMs{
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::file_clock::to_sys(time).time_since_epoch())
          .count()};
}

Result<void> SiteFolder::pin_invite(const federation::membership::SignedDocument& document) const {
  if (const auto former = invite()) {
    // Sums made under its rosters must still be checked.
    FOVEA_TRY_ASSIGN(const Bytes bytes,
                     read_file(root_ / "invite.json", federation::membership::kSignedDocumentBytesMax));
    FOVEA_TRY(create_directories_durably(root_ / "invites"));
    FOVEA_TRY(write_file_durably(root_ / "invites" / (to_hex(former->hash) + ".json"), bytes));
  }
  FOVEA_TRY_ASSIGN(const federation::membership::Invite invite, federation::membership::verify_invite(document));
  FOVEA_TRY(write_file_durably(root_ / "invite.json", document.serialize()));
  if (read_) read_->invite = document;
  return pin(invite.hash);
}

Result<federation::membership::Roster> SiteFolder::roster_in(const fs::path& file) const {
  FOVEA_TRY_ASSIGN(const federation::membership::Invite pinned, invite());
  FOVEA_TRY_ASSIGN(const federation::membership::SignedDocument document,
                   federation::files::read_signed_document(file));
  auto roster = federation::membership::verify_roster_signatures(document, pinned.trust());
  if (!roster) return roster.error().with_context(file.string());
  return roster;
}

Result<void> SiteFolder::check_own_entry(const federation::membership::Roster& roster) const {
  FOVEA_TRY_ASSIGN(const federation::membership::RosterSite self, site());
  const federation::membership::RosterSite* named = roster.find(self.id);
  if (named == nullptr) return {};
  std::string others;
  const auto differs = [&](const char* key, bool equal) {
    if (!equal) others += (others.empty() ? "" : ", ") + std::string(key);
  };
  differs("identity_key", named->identity_key == self.identity_key);
  differs("transport_key", named->transport_key == self.transport_key);
  differs("log_key", named->log_key == self.log_key);
  differs("approver_key", named->approver_key == self.approver_key);
  if (others.empty()) return {};
  return permission_denied((root_ / "site.json").string() + ": " + others + ": not what the roster of epoch " +
                           std::to_string(roster.epoch) +
                           " has for this site, so site.json and keys/ were changed or put back from another copy\n"
                           "  fix: put back those that the roster names; if the administrators have signed these keys, "
                           "remove roster.json, and a start fetches the newer roster");
}

// A roster that was verified here is of the federation that this site has joined; if it is of another one than
// invite.json, that file came from elsewhere, unless the request to join names its federation, too.
Result<void> SiteFolder::check_invite_of(const federation::membership::SignedDocument& roster) const {
  FOVEA_TRY_ASSIGN(const federation::membership::Invite pinned, invite());
  const auto facts = federation::membership::Roster::parse(roster.document);
  if (!facts) return {};
  const bool other_federation = facts->federation != pinned.federation;
  if (!other_federation && facts->coordinator_signing_key == pinned.coordinator_signing_key) return {};
  const auto document = federation::files::read_signed_document(root_ / "join-request.json");
  const auto request = document ? federation::membership::verify_join_request(*document)
                                : Result<federation::membership::JoinRequest>(document.error());
  if (other_federation && request && request->federation == pinned.federation) return {};
  return permission_denied((root_ / "invite.json").string() + ": is the founding document of " +
                           (other_federation
                                ? pinned.federation + ", and roster.json is of " + facts->federation
                                : "another coordinator of " + pinned.federation + " than roster.json names") +
                           "\n  fix: put this site's invite.json back from your backup, or ask the administrators for "
                           "it: fovea-node --site " +
                           root_.string() + " join INVITE --accept-change");
}

Result<std::optional<federation::membership::Roster>> SiteFolder::newest_roster() const {
  using Out = std::optional<federation::membership::Roster>;
  FOVEA_TRY(invite());
  auto document = federation::files::read_signed_document(root_ / "roster.json");
  if (!document && document.error().code == ErrorCode::not_found) return Out();
  const std::string fix = "put back the newest of " + (root_ / "rosters").string() +
                          ", the file NUMBER.json with the highest number, as " + (root_ / "roster.json").string();
  if (!document) return with_fix(document.error(), fix);
  auto roster = roster_in(root_ / "roster.json");
  if (!roster && is_signed_under(*document, federation::files::former_trusts(root_ / "invites")))
    return Out();  // the coordinator offers one under the new document
  if (!roster) FOVEA_TRY(check_invite_of(*document));
  if (!roster) return with_fix(roster.error(), fix);
  return Out(std::move(roster).value());
}

fs::path SiteFolder::kept_roster(EpochNumber epoch) const {
  return root_ / "rosters" / (std::to_string(epoch) + ".json");
}

std::optional<federation::membership::Roster> SiteFolder::past_roster(EpochNumber epoch) const {
  auto kept = roster_in(kept_roster(epoch));
  return kept && kept->epoch == epoch ? std::optional(std::move(kept).value()) : std::nullopt;
}

Result<void> SiteFolder::keep_past_roster(const federation::membership::SignedDocument& roster,
                                          EpochNumber epoch) const {
  FOVEA_TRY(create_directories_durably(root_ / "rosters"));
  fs::path kept = kept_roster(epoch);
  // A federation that was founded anew counts its epochs from 1 again: the older roster of this number stays.
  const auto older = federation::files::read_signed_document(kept);
  if (older && older->document != roster.document)
    kept = root_ / "rosters" /
           (std::to_string(epoch) + "-" + to_hex(crypto::sha256(as_bytes(roster.document))).substr(0, 8) + ".json");
  return write_file_durably(kept, roster.serialize());
}

Result<void> SiteFolder::keep_roster(const federation::membership::SignedDocument& roster, EpochNumber epoch) const {
  FOVEA_TRY(keep_past_roster(roster, epoch));
  return write_file_durably(root_ / "roster.json", roster.serialize());
}

std::vector<federation::membership::Roster> SiteFolder::past_rosters() const {
  std::vector<federation::membership::Roster> out;
  const std::vector<RosterTrust> trusts = pinned_trusts();
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

// The node says hello, which is an entry, before it is offered a roster or a plan.
std::string SiteFolder::ledger_history() const {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(runs(), ignored))
    if (RunId::parse(entry.path().filename().string()))
      return (fs::path("runs") / entry.path().filename()).string() + " is of a run that this site took part in";
  const auto self = site();
  if (!self) return {};
  std::vector<fs::path> rosters = {root_ / "roster.json"};
  for (const auto& entry : fs::directory_iterator(root_ / "rosters", ignored)) rosters.push_back(entry.path());
  for (const fs::path& file : rosters) {
    const auto document = federation::files::read_signed_document(file);
    const auto roster = document ? federation::membership::Roster::parse(document->document)
                                 : Result<federation::membership::Roster>(document.error());
    const federation::membership::RosterSite* own = roster ? roster->find(self->id) : nullptr;
    if (own != nullptr && own->log_key == self->log_key)
      return file.lexically_relative(root_).string() + " is a roster that a node here has taken";
  }
  return {};
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
    return corruption(
        plan(hash).string() +
        ": the bytes do not have the hash of the name\n  fix: remove this file; the coordinator offers the "
        "plan again");
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
  return read_if_there(approval(hash), "decide again: fovea-node --site " + root_.string() +
                                           " plan approve, or plan reject, " + to_hex(hash).substr(0, 12));
}

Result<std::optional<federation::membership::SignedDocument>> SiteFolder::acceptance(const Digest& entry) const {
  return read_if_there(acquaintance(entry), "accept that site again, comparing its fingerprint: fovea-node --site " +
                                                root_.string() + " roster accept SITE --by \"your name\"");
}

Result<federation::membership::Acquaintance> word_about(const Digest& entry,
                                                        const federation::membership::SignedDocument& document,
                                                        const federation::membership::RosterSite& self) {
  FOVEA_TRY_ASSIGN(federation::membership::Acquaintance word,
                   federation::membership::verify_word_about_site(document, self.approver_key));
  if (word.site != self.id) return permission_denied("acquaintance: is for the site " + word.site.text());
  if (federation::membership::entry_digest(word.accepted) != entry)
    return permission_denied("acquaintance: is about other keys than those that its file is named after");
  return word;
}

KnownSites SiteFolder::known_sites(egress::SiteAcquaintances recorded) const {
  KnownSites out{.words = std::move(recorded)};
  const auto self = site();
  if (!self) return out;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(root_ / "acquaintances", error)) {
    const auto bytes = from_hex(file.path().stem().string());
    const auto entry = bytes && file.path().extension() == ".json" ? to_array<32>(*bytes, "acquaintance")
                                                                   : Result<Digest>(invalid_argument("name"));
    if (!entry) continue;
    const auto document = acceptance(*entry);
    if (document && !*document) continue;
    const auto word = document ? word_about(*entry, **document, *self)
                               : Result<federation::membership::Acquaintance>(document.error());
    const auto counts = word ? out.words.admit(*word) : Result<bool>(word.error());
    if (!counts) out.ignored.emplace(*entry, counts.error().message);
    else if (*counts) out.words.take(*word);
  }
  return out;
}

std::vector<const federation::membership::RosterSite*> KnownSites::unaccepted(
    const federation::membership::Roster& roster, const federation::membership::RosterSite& self) const {
  std::vector<const federation::membership::RosterSite*> out;
  for (const federation::membership::RosterSite& site : roster.sites)
    if (site.identity_key != self.identity_key &&
        !words.accepted().contains(federation::membership::entry_digest(site)))
      out.push_back(&site);
  return out;
}

}  // namespace fovea::node::io

#include "coordinator/registry/coordinator_folder.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/config_fields.h"
#include "common/contains.h"
#include "common/durable_file.h"
#include "common/file_lock.h"
#include "coordinator/registry/default_config.h"
#include "crypto/random_source.h"
#include "federation/files/signed_document_file.h"
#include "federation/membership/endpoint.h"
#include "federation/membership/site_fields.h"

namespace fovea::coordinator::registry {
namespace {

namespace fs = std::filesystem;

// Clocks of hospitals differ: a roster is valid from a little before it is signed.
constexpr std::int64_t kClockSlackMs = 10 * 60 * 1000;
// A federation may rest; after longer, a clock that is ahead is likelier.
constexpr std::int64_t kRestMaxMs = 60LL * 24 * 3600 * 1000;

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

federation::membership::Invite facts_of(const CoordinatorFolder::NewFederation& federation,
                                        const federation::membership::PublicKeyBytes& transport_key,
                                        const federation::membership::PublicKeyBytes& signing_key) {
  auto host = federation::membership::read_host(federation.public_host);  // the document says what is wrong with it
  return {.federation = federation.name,
          .endpoint = host ? federation::membership::Endpoint{std::move(host).value(), federation.port}.text()
                           : "tcp://" + federation.public_host + ":" + std::to_string(federation.port),
          .coordinator_transport_key = transport_key,
          .coordinator_signing_key = signing_key,
          .administrators = federation.administrators,
          .quorum = federation.quorum};
}

// A roster that is signed by a clock which is off takes the place of a good one, and is valid for nobody.
Result<void> check_signing_time(const federation::membership::Roster& current, UnixMs now) {
  const std::string clock =
      "this machine's clock says " + utc_text(now) + ", and the roster of epoch " + std::to_string(current.epoch) + " ";
  const std::string fix = ": set the clock right; if it is right, say --replace";
  if (now < current.valid_from)  // by more than clocks of hospitals differ
    return failed_precondition(clock + "is valid from " + utc_text(current.valid_from) +
                               ", so either this clock is behind, or that of whoever signed it was ahead" + fix);
  if (now.value - current.valid_until.value > kRestMaxMs)
    return failed_precondition(clock + "ran out at " + utc_text(current.valid_until) +
                               ", long before; a roster that is signed by a clock which is ahead is valid nowhere" +
                               fix);
  return {};
}

// Of administrators, under a roster. Whether they are enough or not: nothing of another federation or coordinator may
// wait in the folder either, nor what none of them has signed.
Result<std::size_t> count_signatures(const federation::membership::SignedDocument& roster,
                                     const federation::membership::Invite& facts) {
  FOVEA_TRY_ASSIGN(const std::size_t valid, roster.count_valid("roster", facts.administrators));
  federation::membership::RosterTrust trust = facts.trust();
  if (valid > 0) trust.quorum = 1;
  FOVEA_TRY(federation::membership::verify_roster_signatures(roster, trust));
  return valid;
}

}  // namespace

// A round that has ended asked sites for something, and no message leaves before what the ledger has is durable.
std::string CoordinatorFolder::ledger_history() const {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(runs(), ignored)) {
    std::error_code error;
    const auto size = fs::file_size(entry.path() / "history", error);
    if (!error && size > 0) return (fs::path("runs") / entry.path().filename()).string() + " is of a run with rounds";
  }
  return {};
}

bool CoordinatorFolder::is_coordinator() const { return fs::exists(key_folder().file("signing")); }

Result<void> CoordinatorFolder::check_new(const NewFederation& federation) const {
  for (const fs::path& file : {root_ / "invite.json", founding_file()})
    if (fs::exists(file))
      return failed_precondition(root_.string() + ": holds a federation already; choose another folder with --home");
  FOVEA_TRY(facts_of(federation, {1}, {2}).document());
  return {};
}

Result<federation::membership::Invite> CoordinatorFolder::create(const NewFederation& federation) const {
  FOVEA_TRY(check_new(federation));
  FOVEA_TRY(create_directories_durably(root_));
  FOVEA_TRY_ASSIGN(const FileLock lock,
                   FileLock::take_as(root_ / "init.lock", "fovea-coordinator init", root_.string()));
  FOVEA_TRY(check_new(federation));  // by one who was faster
  const federation::files::KeyFolder keys = key_folder();
  FOVEA_TRY(keys.create());
  FOVEA_TRY(create_directories_durably(runs()));
  crypto::SystemRandom random;
  FOVEA_TRY_ASSIGN(const crypto::SigningKey signing, keys.create_signing_key("signing", random));
  FOVEA_TRY_ASSIGN(const crypto::AgreementKey transport, keys.create_agreement_key("transport", random));
  const std::string settings =
      with_setting(kDefaultCoordinatorConfig, "port = 7443", "port = " + std::to_string(federation.port));
  FOVEA_TRY(write_file_durably(config(), as_bytes(settings)));
  return write_founding(facts_of(federation, transport.public_key(),
                                 signing.verify_key()));  // last: a folder with founding.json has all its keys
}

Result<federation::membership::Invite> CoordinatorFolder::amend(const federation::membership::Invite& facts,
                                                                Waiting waiting) const {
  FOVEA_TRY_ASSIGN(const federation::membership::Invite current, federation());
  federation::membership::Invite next = current;
  next.endpoint = facts.endpoint;
  next.administrators = facts.administrators;
  next.quorum = facts.quorum;
  if (federation::membership::differences(current, next).empty())
    return failed_precondition(
        "amend: nothing would change; say what shall: --endpoint, --host or --port, --administrator (each of them) or "
        "--quorum");
  if (waiting == Waiting::keep && fs::exists(founding_file())) {
    const auto own = federation::files::read_signed_document(founding_file());
    const auto kept = own ? federation::membership::Invite::parse(own->document)
                          : Result<federation::membership::Invite>(own.error());
    return failed_precondition(founding_file().string() + ": a founding document" +
                               (kept ? ", fingerprint " + kept->fingerprint() + "," : "") +
                               " waits here for its signatures; take it when all are there, or amend with --replace to "
                               "write another over it");
  }
  return write_founding(next);
}

Result<federation::membership::Invite> CoordinatorFolder::write_founding(
    const federation::membership::Invite& facts) const {
  FOVEA_TRY_ASSIGN(std::string text, facts.document());
  const federation::membership::SignedDocument document{"invite", std::move(text), {}};
  FOVEA_TRY(write_file_durably(founding_file(), document.serialize()));
  return federation::membership::Invite::parse(document.document);
}

// founding.json, if `document` is a copy of it.
Result<federation::membership::SignedDocument> CoordinatorFolder::waiting_founding(
    const federation::membership::Invite& offered, const federation::membership::SignedDocument& document) const {
  auto own = federation::files::read_signed_document(founding_file());
  const bool absent = !own && own.error().code == ErrorCode::not_found;
  if (absent && fs::exists(root_ / "invites" / (to_hex(offered.hash) + ".json")))
    return permission_denied("the founding document with the fingerprint " + offered.fingerprint() +
                             " was in force here before, and was replaced");
  if (absent)
    return permission_denied(founding_file().string() +
                             ": no founding document waits here, so none is taken; fovea-coordinator init or amend "
                             "writes one");
  if (!own || own->document == document.document) return own;
  const auto before = federation::membership::Invite::parse(own->document);
  std::string what;
  if (before)
    for (const std::string& line : federation::membership::differences(*before, offered)) what += "\n  " + line;
  return permission_denied(founding_file().string() + ": is another founding document than the one to take:" + what);
}

Result<TakenFounding> CoordinatorFolder::take_founding(const federation::membership::SignedDocument& document) const {
  FOVEA_TRY_ASSIGN(federation::membership::Invite offered, federation::membership::Invite::parse(document.document));
  const auto current = federation();
  if (current && current->hash == offered.hash)  // all of them have signed it, whoever has signed this copy
    return TakenFounding{*current, true, current->administrators.size(), {}, true};
  FOVEA_TRY_ASSIGN(federation::membership::SignedDocument waiting, waiting_founding(offered, document));
  FOVEA_TRY_ASSIGN(const std::size_t fresh, waiting.merge(document, offered.administrators));
  FOVEA_TRY_ASSIGN(const std::size_t valid, waiting.count_valid("invite", offered.administrators));
  if (valid < offered.administrators.size()) {
    if (fresh == 0)
      return federation::membership::verify_invite(waiting).error().with_context("this copy adds no signature");
    FOVEA_TRY(write_file_durably(founding_file(), waiting.serialize()));
    return TakenFounding{std::move(offered), false, valid, {}};
  }
  FOVEA_TRY_ASSIGN(federation::membership::Invite founded, found(waiting));
  return TakenFounding{std::move(founded), true, valid,
                       current ? std::optional(*current) : std::optional<federation::membership::Invite>()};
}

Result<federation::membership::Invite> CoordinatorFolder::found(
    const federation::membership::SignedDocument& document) const {
  FOVEA_TRY_ASSIGN(federation::membership::Invite founded, federation::membership::verify_invite(document));
  const auto current = federation();
  if (current && current->hash == founded.hash) return founded;
  FOVEA_TRY(waiting_founding(founded, document));
  if (current) {  // its rosters are where the next one starts from
    FOVEA_TRY_ASSIGN(const Bytes bytes, invite_bytes());
    FOVEA_TRY(create_directories_durably(root_ / "invites"));
    FOVEA_TRY(write_file_durably(root_ / "invites" / (to_hex(current->hash) + ".json"), bytes));
  }
  FOVEA_TRY(write_file_durably(root_ / "invite.json", document.serialize()));
  std::error_code ignored;
  fs::remove(founding_file(), ignored);
  return founded;
}

Result<federation::membership::Invite> CoordinatorFolder::federation() const {
  auto document = federation::files::read_signed_document(root_ / "invite.json");
  if (!document && document.error().code == ErrorCode::not_found && fs::exists(founding_file()))
    return not_found(founding_file().string() +
                     ": waits for its administrators; each signs it with fovea-coordinator sign-founding, then: "
                     "fovea-coordinator --home " +
                     root_.string() + " take FILE");
  if (!document && document.error().code == ErrorCode::not_found)
    return not_found(root_.string() + ": holds no federation; run: fovea-coordinator --home " + root_.string() +
                     " init NAME");
  if (!document) return document.error();
  auto facts = federation::membership::verify_invite(*document);
  if (!facts) return facts.error().with_context((root_ / "invite.json").string());
  return facts;
}

Result<Bytes> CoordinatorFolder::invite_bytes() const {
  return read_file(root_ / "invite.json", federation::membership::kSignedDocumentBytesMax);
}

// A ledger that was begun under other keys than every site knows could not be gone on with under the right ones.
Result<CoordinatorKeys> CoordinatorFolder::keys() const {
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, federation());
  const federation::files::KeyFolder keys = key_folder();
  for (const char* name : {"signing", "transport"})
    if (const fs::path file = keys.file(name); !fs::exists(file))
      return failed_precondition(file.string() + ": is missing; restore it from your backup");
  FOVEA_TRY_ASSIGN(crypto::SigningKey signing, keys.signing_key("signing"));
  FOVEA_TRY_ASSIGN(crypto::AgreementKey transport, keys.agreement_key("transport"));
  const bool signs = signing.verify_key() == facts.coordinator_signing_key;
  const bool carries = transport.public_key() == facts.coordinator_transport_key;
  if (!signs && !carries)
    return corruption(keys.file("signing").string() + " and " + keys.file("transport").string() +
                      ": are not the keys that invite.json names; restore them, or invite.json if that was replaced, "
                      "from your backup");
  if (!signs || !carries)
    return corruption(keys.file(signs ? "transport" : "signing").string() +
                      ": is not the key that invite.json names; restore it from your backup");
  return CoordinatorKeys{std::move(signing), std::move(transport)};
}

Result<void> CoordinatorFolder::check_administrator(const crypto::SigningKey& key) const {
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, federation());
  if (std::find(facts.administrators.begin(), facts.administrators.end(), key.verify_key()) ==
      facts.administrators.end())
    return permission_denied("the key " + federation::membership::shortened_key(key.verify_key()) +
                             " is not one of an administrator of this federation");
  return {};
}

Result<federation::membership::SignedDocument> CoordinatorFolder::roster_document() const {
  auto document = federation::files::read_signed_document(roster_file());
  if (!document && document.error().code == ErrorCode::not_found)
    return not_found(roster_file().string() +
                     ": no roster is in force yet; an administrator runs fovea-coordinator sign, further ones cosign");
  return document;
}

Result<federation::membership::Roster> CoordinatorFolder::roster(UnixMs now) const {
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, federation());
  FOVEA_TRY_ASSIGN(const federation::membership::SignedDocument document, roster_document());
  auto roster = federation::membership::verify_roster(document, facts.trust(), now);
  if (!roster) return roster.error().with_context(roster_file().string());
  return roster;
}

Result<federation::membership::Roster> CoordinatorFolder::signed_roster(
    const fs::path& file, const federation::membership::SignedDocument& document) const {
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, federation());
  auto roster = federation::membership::verify_roster_signatures(document, facts.trust());
  if (roster) return roster;
  for (const federation::membership::RosterTrust& trust : federation::files::former_trusts(root_ / "invites"))
    if (auto former = federation::membership::verify_roster_signatures(document, trust)) return former;
  return roster.error().with_context(file.string());
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

Result<federation::membership::SignedDocument> CoordinatorFolder::replaced_roster_document(const Digest& hash) const {
  FOVEA_TRY(replaced_roster(hash));
  return federation::files::read_signed_document(root_ / "rosters" / (to_hex(hash) + ".json"));
}

Result<void> CoordinatorFolder::keep_replaced() const {
  const auto current = newest_roster();
  if (!current && current.error().code == ErrorCode::not_found) return {};
  if (!current) return current.error();
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(roster_file(), federation::membership::kSignedDocumentBytesMax));
  FOVEA_TRY(create_directories_durably(root_ / "rosters"));
  return write_file_durably(root_ / "rosters" / (to_hex(current->hash) + ".json"), bytes);
}

Result<federation::membership::Roster> CoordinatorFolder::next_roster(const RosterChange& change, UnixMs now) const {
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, federation());
  federation::membership::Roster next;
  auto current = newest_roster();
  if (!current && current.error().code != ErrorCode::not_found) return current.error();
  if (!current && change.added.empty())
    return failed_precondition(root_.string() +
                               ": there is no roster here to start from; put the coordinator's roster.json into this "
                               "folder, then sign again");
  if (current && change.waiting == Waiting::keep) FOVEA_TRY(check_signing_time(*current, now));
  if (current) next = std::move(current).value();
  if (change.waiting == Waiting::keep) FOVEA_TRY(refuse_waiting(next.epoch + 1, now));
  next.federation = facts.federation;
  next.epoch += 1;
  next.valid_from = UnixMs{now.value - kClockSlackMs};
  next.valid_until = UnixMs{next.valid_from.value + federation::membership::kRosterValidityMaxMs};
  next.coordinator_signing_key = facts.coordinator_signing_key;
  FOVEA_TRY_ASSIGN(next.sites, changed_sites(std::move(next.sites), change));
  FOVEA_TRY(next.document());  // a key in use twice is refused before a person's passphrase is asked for
  return next;
}

Result<SignedRoster> CoordinatorFolder::sign_next(const RosterChange& change, const crypto::SigningKey& administrator,
                                                  UnixMs now) const {
  FOVEA_TRY(check_administrator(administrator));
  FOVEA_TRY_ASSIGN(const federation::membership::Roster next, next_roster(change, now));
  FOVEA_TRY_ASSIGN(std::string text, next.document());
  federation::membership::SignedDocument document{"roster", std::move(text), {}};
  FOVEA_TRY(document.sign(administrator));
  return put_in_force(std::move(document));
}

Result<federation::membership::SignedDocument> CoordinatorFolder::waiting_roster() const {
  auto document = federation::files::read_signed_document(next_roster_file());
  if (!document && document.error().code == ErrorCode::not_found)
    return not_found("no roster waits for a further signature; run fovea-coordinator sign first");
  return document;
}

Result<std::optional<CoordinatorFolder::WaitingRoster>> CoordinatorFolder::who_signs(UnixMs now) const {
  using Out = std::optional<WaitingRoster>;
  const auto document = waiting_roster();
  if (!document && document.error().code == ErrorCode::not_found) return Out();
  if (!document) return document.error();
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, federation());
  auto roster = federation::membership::Roster::parse(document->document);
  if (!roster) return roster.error().with_context(next_roster_file().string());
  const auto current = newest_roster();
  if ((current && roster->epoch <= current->epoch) || roster->valid_until < now) return Out();
  WaitingRoster out{std::move(roster).value(), {}, facts.quorum};
  for (const federation::membership::PublicKeyBytes& key : facts.administrators)
    if (const auto valid = document->count_valid("roster", std::span(&key, 1)); valid && *valid > 0)
      out.signed_by.push_back(key);
  return Out(std::move(out));
}

Result<void> CoordinatorFolder::refuse_waiting(EpochNumber epoch, UnixMs now) const {
  const auto document = waiting_roster();
  if (!document && document.error().code == ErrorCode::not_found) return {};
  const auto roster = document ? federation::membership::Roster::parse(document->document)
                               : Result<federation::membership::Roster>(document.error());
  // It came into force elsewhere, or never can any more.
  if (roster && (roster->epoch < epoch || roster->valid_until < now)) return {};
  return failed_precondition(next_roster_file().string() + ": " +
                             (roster ? "another roster of epoch " + std::to_string(roster->epoch) +
                                           " waits here for further signatures; add one with fovea-coordinator cosign"
                                     : "the roster that waits here for further signatures cannot be read (" +
                                           roster.error().message + "); bring it back from whoever has a copy") +
                             ", or say --replace to write a new one over it");
}

Result<SignedRoster> CoordinatorFolder::cosign(const crypto::SigningKey& administrator, UnixMs now) const {
  FOVEA_TRY(check_administrator(administrator));
  FOVEA_TRY_ASSIGN(federation::membership::SignedDocument document, waiting_roster());
  FOVEA_TRY_ASSIGN(const std::optional<WaitingRoster> waiting, who_signs(now));
  FOVEA_TRY(document.sign(administrator));
  FOVEA_TRY_ASSIGN(SignedRoster out, take_roster(std::move(document), now));
  out.signed_before = waiting && contains(waiting->signed_by, administrator.verify_key());
  return out;
}

Result<SignedRoster> CoordinatorFolder::take_roster(federation::membership::SignedDocument document, UnixMs now,
                                                    Waiting waiting) const {
  FOVEA_TRY_ASSIGN(const federation::membership::Roster offered,
                   federation::membership::Roster::parse(document.document));
  const auto current = newest_roster();
  if (!current && current.error().code != ErrorCode::not_found) return current.error();
  if (current && offered.epoch <= current->epoch)
    return permission_denied("roster.epoch: expected more than " + std::to_string(current->epoch) +
                             ", that of the roster in force, found " + std::to_string(offered.epoch) +
                             (offered.hash == current->hash
                                  ? ": it is the roster in force"
                                  : "; the folder of the administrator who signed it is behind: put the coordinator's "
                                    "roster.json into it, and sign again"));
  // Over a valid one it would end every run, and nothing would say so before the next start.
  if (const auto valid = offered.check_valid_at(now); !valid)
    return Error{
        valid.error().code,
        valid.error().message + (current ? ". The roster of epoch " + std::to_string(current->epoch) +
                                               ", valid until " + utc_text(current->valid_until) + ", stays in force"
                                         : "")};
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, federation());
  FOVEA_TRY(count_signatures(document, facts));
  const auto kept = waiting_roster();
  const bool same = kept && kept->document == document.document;
  if (same) {
    if (const auto merged = document.merge(*kept, facts.administrators); !merged)
      return merged.error().with_context(next_roster_file().string());
  }
  FOVEA_TRY_ASSIGN(const std::size_t valid, count_signatures(document, facts));
  if (valid < facts.quorum && !same && waiting == Waiting::keep) FOVEA_TRY(refuse_waiting(offered.epoch, now));
  return put_in_force(std::move(document));
}

Result<SignedRoster> CoordinatorFolder::put_in_force(federation::membership::SignedDocument document) const {
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, federation());
  FOVEA_TRY_ASSIGN(const std::size_t valid, count_signatures(document, facts));
  FOVEA_TRY_ASSIGN(federation::membership::Roster roster, federation::membership::Roster::parse(document.document));
  const bool complete = valid >= facts.quorum;
  const fs::path file = complete ? roster_file() : next_roster_file();
  auto before = newest_roster();
  if (complete) FOVEA_TRY(keep_replaced());
  FOVEA_TRY(write_file_durably(file, document.serialize()));
  std::error_code ignored;
  if (complete) fs::remove(next_roster_file(), ignored);
  SignedRoster out{std::move(roster), complete, valid, facts.quorum, file};
  if (before) out.before = std::move(before).value();
  return out;
}

}  // namespace fovea::coordinator::registry

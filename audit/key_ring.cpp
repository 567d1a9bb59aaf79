#include "audit/key_ring.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "federation/files/signed_document_file.h"
#include "federation/ledger/entry.h"

namespace fovea::audit {

using federation::membership::PublicKeyBytes;

namespace {

void add_once(std::vector<PublicKeyBytes>& keys, const PublicKeyBytes& key) {
  if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
}

RosterConflict conflict_of(const KnownRoster& first, const KnownRoster& second, bool checked) {
  RosterConflict out{.epoch = first.roster.epoch,
                     .first = first.file,
                     .second = second.file,
                     .first_hash = first.roster.hash,
                     .second_hash = second.roster.hash,
                     .checked = checked,
                     .signed_both = {}};
  for (const PublicKeyBytes& key : first.signers)
    if (std::find(second.signers.begin(), second.signers.end(), key) != second.signers.end())
      out.signed_both.push_back(key);
  return out;
}

}  // namespace

Result<void> KeyRing::add_key(std::string_view text) {
  FOVEA_TRY_ASSIGN(crypto::NoteKey key, crypto::NoteKey::parse(text));
  if (std::find(log_keys_.begin(), log_keys_.end(), key) == log_keys_.end()) log_keys_.push_back(std::move(key));
  return {};
}

Result<void> KeyRing::add_roster(const std::filesystem::path& file, const std::vector<PublicKeyBytes>& administrators,
                                 std::size_t quorum) {
  FOVEA_TRY_ASSIGN(const federation::membership::SignedDocument document,
                   federation::files::read_signed_document(file));
  Result<std::size_t> signed_by = document.count_valid("roster", administrators);
  if (!signed_by) return signed_by.error().with_context(file.string());
  if (*signed_by < quorum)
    return permission_denied(file.string() + ": " + std::to_string(*signed_by) + " of " +
                             std::to_string(administrators.size()) + " administrators have signed this roster; " +
                             std::to_string(quorum) + " must");
  if (administrators.empty()) pinned_ = false;
  KnownRoster known;
  for (const PublicKeyBytes& key : administrators)
    if (document.count_valid("roster", std::span(&key, 1)).value_or(0) == 1) known.signers.push_back(key);
  Result<federation::membership::Roster> roster = federation::membership::Roster::parse(document.document);
  if (!roster) return roster.error().with_context(file.string());
  // Keys of members are looked up by their names, which another federation may give to others.
  if (!rosters_.empty() && rosters_.begin()->second.roster.federation != roster->federation)
    return invalid_argument(file.string() + ": is a roster of the federation " + roster->federation +
                            ", after one of " + rosters_.begin()->second.roster.federation +
                            "; audit one federation at a time");
  const auto add = [this](std::string_view origin, const PublicKeyBytes& key) -> Result<void> {
    FOVEA_TRY_ASSIGN(crypto::NoteKey note_key, crypto::NoteKey::create(origin, key));
    if (std::find(log_keys_.begin(), log_keys_.end(), note_key) == log_keys_.end())
      log_keys_.push_back(std::move(note_key));
    return {};
  };
  FOVEA_TRY(add(federation::ledger::ledger_origin(roster->federation, federation::ledger::kCoordinatorOwner),
                roster->coordinator_signing_key));
  for (const federation::membership::RosterSite& site : roster->sites) {
    const std::string origin = federation::ledger::ledger_origin(roster->federation, site.id.text());
    FOVEA_TRY(add(origin, site.log_key));
    add_once(approvers_[origin], site.approver_key);
    add_once(identities_[site.id.text()], site.identity_key);
    sites_[site.id.text()] = roster->epoch;
  }
  known.roster = std::move(*roster);
  known.file = file;
  if (!rosters_.contains(known.roster.hash))
    for (const auto& [hash, other] : rosters_)
      if (other.roster.epoch == known.roster.epoch)
        conflicts_.push_back(conflict_of(other, known, !administrators.empty()));
  rosters_.insert_or_assign(known.roster.hash, std::move(known));
  return {};
}

std::vector<crypto::NoteKey> KeyRing::log_keys(std::string_view origin) const {
  std::vector<crypto::NoteKey> out;
  for (const crypto::NoteKey& key : log_keys_)
    if (key.name == origin) out.push_back(key);
  return out;
}

const std::vector<PublicKeyBytes>* KeyRing::approver_keys(std::string_view origin) const {
  const auto found = approvers_.find(origin);
  return found == approvers_.end() ? nullptr : &found->second;
}

const std::vector<PublicKeyBytes>* KeyRing::identity_keys(std::string_view site) const {
  const auto found = identities_.find(site);
  return found == identities_.end() ? nullptr : &found->second;
}

std::vector<SiteLogKey> KeyRing::log_keys_beside(const SiteId& site, const PublicKeyBytes& identity,
                                                 EpochNumber epoch) const {
  std::vector<PublicKeyBytes> of_epoch, all;
  for (const auto& [hash, known] : rosters_) {
    const federation::membership::RosterSite* named = known.roster.find(site);
    if (named == nullptr || named->identity_key != identity) continue;
    add_once(all, named->log_key);
    if (known.roster.epoch == epoch) add_once(of_epoch, named->log_key);
  }
  return with_epochs(site, of_epoch.empty() ? all : of_epoch);
}

std::vector<SiteLogKey> KeyRing::log_keys_in(const SiteId& site, const Digest& roster) const {
  const auto known = rosters_.find(roster);
  const auto* named = known == rosters_.end() ? nullptr : known->second.roster.find(site);
  return named == nullptr ? std::vector<SiteLogKey>() : with_epochs(site, {named->log_key});
}

std::vector<SiteLogKey> KeyRing::with_epochs(const SiteId& site, const std::vector<PublicKeyBytes>& log_keys) const {
  std::vector<SiteLogKey> out;
  for (const PublicKeyBytes& key : log_keys) {
    SiteLogKey found;
    for (const auto& [hash, known] : rosters_) {
      const federation::membership::Roster& roster = known.roster;
      const federation::membership::RosterSite* named = roster.find(site);
      if (named == nullptr || named->log_key != key) continue;
      const std::string origin = federation::ledger::ledger_origin(roster.federation, site.text());
      const bool is_first = found.key.empty();
      if (const auto note_key = crypto::NoteKey::create(origin, key)) found.key = note_key->text();
      found.first = is_first ? roster.epoch : std::min(found.first, roster.epoch);
      found.last = std::max(found.last, roster.epoch);
    }
    out.push_back(std::move(found));
  }
  return out;
}

}  // namespace fovea::audit

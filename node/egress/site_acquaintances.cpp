#include "node/egress/site_acquaintances.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

namespace fovea::node::egress {

using federation::membership::Acquaintance;
using federation::membership::RosterSite;

namespace {

template <class Entry>
RosterSite site_of(const Entry& entry) {
  return {entry.site, entry.identity_key, entry.transport_key, entry.log_key, entry.approver_key};
}

}  // namespace

// Of a withdrawal by whatever key: a site never counts more people as known than its ledger says.
void SiteAcquaintances::learn(const federation::ledger::LedgerEntry& entry) {
  if (const auto* accepted = std::get_if<federation::ledger::RosterAccepted>(&entry)) {
    if (accepted->approver == approver_)
      learn_word({.entry = site_of(*accepted), .accepted = true}, accepted->approver, accepted->acceptance);
  } else if (const auto* ended = std::get_if<federation::ledger::RosterWithdrawn>(&entry)) {
    learn_word({.entry = site_of(*ended)}, ended->approver, ended->withdrawal);
  }
}

void SiteAcquaintances::learn_word(Word word, const federation::membership::PublicKeyBytes& approver,
                                   ByteView evidence) {
  const auto document = federation::membership::SignedDocument::parse(evidence);
  const auto signed_word = document ? federation::membership::verify_word_about_site(*document, approver)
                                    : Result<Acquaintance>(document.error());
  const bool holds = signed_word && signed_word->site == site_ && signed_word->ended != word.accepted &&
                     federation::membership::entry_digest(signed_word->accepted) ==
                         federation::membership::entry_digest(word.entry);
  if (word.accepted && !holds) return;  // anybody who can write the ledger's journal would be the approver
  if (holds) {
    word.signed_at = signed_word->accepted_at;
    word.person = signed_word->approver;
  }
  set(std::move(word));
}

void SiteAcquaintances::set(Word word) {
  const Digest digest = federation::membership::entry_digest(word.entry);
  if (word.accepted) accepted_.insert(digest);
  else accepted_.erase(digest);
  if (const auto known = words_.find(digest); known != words_.end())
    word.signed_at = std::max(word.signed_at, known->second.signed_at);
  words_.insert_or_assign(digest, std::move(word));
}

Result<bool> SiteAcquaintances::admit(const Acquaintance& word) const {
  const auto known = words_.find(federation::membership::entry_digest(word.accepted));
  if (known == words_.end()) return true;
  const Word& newest = known->second;
  if (word.ended) return newest.accepted || word.accepted_at > newest.signed_at;
  if (newest.accepted) return false;
  if (word.accepted_at > newest.signed_at) return true;
  return permission_denied(
      "acquaintance: of " + word.accepted.id.text() + " was signed at " + utc_text(word.accepted_at) +
      ", and the ledger has that it was taken back at " + utc_text(newest.signed_at) +
      ": an older one does not count, so it was put back from a copy, or a clock is behind; accept "
      "the site again (fovea-node roster accept)");
}

void SiteAcquaintances::take(const Acquaintance& word) {
  set({.entry = word.accepted, .accepted = !word.ended, .signed_at = word.accepted_at, .person = word.approver});
}

bool SiteAcquaintances::knows_other_keys_of(const RosterSite& other) const {
  const Digest entry = federation::membership::entry_digest(other);
  return std::any_of(words_.begin(), words_.end(),
                     [&](const auto& known) { return known.second.entry.id == other.id && known.first != entry; });
}

}  // namespace fovea::node::egress

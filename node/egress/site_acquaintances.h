// Whom people at this site accepted, as its ledger has it, and whether a further word about one counts. Pure: the
// egress gate and whoever reads the ledger beside it come to the same.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/ledger/entry.h"
#include "federation/membership/acquaintance.h"
#include "federation/membership/roster.h"
#include "federation/membership/signed_document.h"

namespace fovea::node::egress {

class SiteAcquaintances {
 public:
  struct Word {
    federation::membership::RosterSite entry;
    bool accepted = false;  // false: taken back
    UnixMs signed_at{};     // the newest word about the entry
    std::string person{};   // who signed it
  };

  SiteAcquaintances(SiteId site, const federation::membership::PublicKeyBytes& approver)
      : site_(std::move(site)), approver_(approver) {}

  // The next entry of the ledger, whatever it is about.
  void learn(const federation::ledger::LedgerEntry& entry);
  // Whether this word is new and counts. False: it says what holds already. permission_denied: an acceptance that was
  // signed before it, or one like it, was taken back. To take one back always counts.
  Result<bool> admit(const federation::membership::Acquaintance& word) const;
  void take(const federation::membership::Acquaintance& word);

  // Roster entries (federation::membership::entry_digest) that are accepted.
  const std::set<Digest>& accepted() const noexcept { return accepted_; }
  // And those that were.
  const std::map<Digest, Word>& newest() const noexcept { return words_; }
  // Whether there is a word about a site of this name with other keys. That they changed is what a person must hear
  // first.
  bool knows_other_keys_of(const federation::membership::RosterSite& other) const;

 private:
  void learn_word(Word word, const federation::membership::PublicKeyBytes& approver, ByteView evidence);
  void set(Word word);

  SiteId site_;
  federation::membership::PublicKeyBytes approver_;  // the only key whose acceptances count
  std::map<Digest, Word> words_;
  std::set<Digest> accepted_;
};

}  // namespace fovea::node::egress

// Whose signatures an auditor believes: the log keys of sites and coordinator, and each site's approver and identity
// keys.
// They come from a roster that the administrators signed, or one by one from the command line. Nothing is believed
// because a ledger says so.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/ids.h"
#include "crypto/signed_note.h"
#include "federation/membership/roster.h"
#include "federation/membership/signed_document.h"

namespace fovea::audit {

struct KnownRoster {
  federation::membership::Roster roster;
  std::vector<federation::membership::PublicKeyBytes> signers;  // of the administrators given, those who signed it
  std::filesystem::path file;
};

// Two rosters that differ and claim one epoch: under each, a site counts other members.
struct RosterConflict {
  EpochNumber epoch = 0;
  std::filesystem::path first, second;
  Digest first_hash{}, second_hash{};
  bool checked = false;  // the administrators' signatures were: without, either may be anybody's
  std::vector<federation::membership::PublicKeyBytes> signed_both;  // of the administrators given
};

// A log key of a site, and the first and last epoch of the rosters given that name it.
struct SiteLogKey {
  std::string key;  // in text form
  EpochNumber first = 0, last = 0;
};

class KeyRing {
 public:
  // "<name>+<key id>+<base64>": invalid_argument when malformed.
  Result<void> add_key(std::string_view text);
  // A roster file. With `administrators` at least `quorum` of them must have signed it (permission_denied, corruption);
  // without, the file itself is what the auditor trusts, and roster_is_pinned() says so. Its validity in time is not
  // asked: an audit may come years later.
  Result<void> add_roster(const std::filesystem::path& file,
                          const std::vector<federation::membership::PublicKeyBytes>& administrators,
                          std::size_t quorum);

  // All keys that may have signed this ledger: more than one after a change of keys.
  std::vector<crypto::NoteKey> log_keys(std::string_view origin) const;
  // Of the site whose ledger has this origin, where a roster says so. Newer epochs add keys, none is forgotten.
  const std::vector<federation::membership::PublicKeyBytes>* approver_keys(std::string_view origin) const;
  // The keys with which this site signs its messages, over all rosters given.
  const std::vector<federation::membership::PublicKeyBytes>* identity_keys(std::string_view site) const;
  // Under which the site kept its ledger when it signed a message of this epoch with this identity key; where no roster
  // given is of that epoch, all that it had beside this identity key.
  std::vector<SiteLogKey> log_keys_beside(const SiteId& site, const federation::membership::PublicKeyBytes& identity,
                                          EpochNumber epoch) const;
  // By this roster; none if it was not given or does not name the site.
  std::vector<SiteLogKey> log_keys_in(const SiteId& site, const Digest& roster) const;
  bool knows_roster(const Digest& hash) const { return rosters_.contains(hash); }
  const std::map<Digest, KnownRoster>& rosters() const noexcept { return rosters_; }
  const std::vector<RosterConflict>& conflicts() const noexcept { return conflicts_; }  // each pair once
  bool empty() const noexcept { return log_keys_.empty(); }
  bool knows_site(std::string_view site) const { return sites_.contains(std::string(site)); }
  bool has_roster() const noexcept { return !sites_.empty(); }
  bool roster_is_pinned() const noexcept { return pinned_; }

 private:
  std::vector<SiteLogKey> with_epochs(const SiteId& site,
                                      const std::vector<federation::membership::PublicKeyBytes>& log_keys) const;
  std::vector<crypto::NoteKey> log_keys_;
  std::map<std::string, std::vector<federation::membership::PublicKeyBytes>, std::less<>> approvers_;   // by origin
  std::map<std::string, std::vector<federation::membership::PublicKeyBytes>, std::less<>> identities_;  // by site
  std::map<std::string, EpochNumber> sites_;
  std::map<Digest, KnownRoster> rosters_;
  std::vector<RosterConflict> conflicts_;
  bool pinned_ = true;
};

}  // namespace fovea::audit

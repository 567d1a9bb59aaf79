// The roster: who belongs to the federation in one epoch, signed by its administrators and pinned at every node, so
// that the coordinator cannot invent sites. Valid for at most seven days.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/membership/signed_document.h"

namespace fovea::federation::membership {

inline constexpr std::int64_t kRosterValidityMaxMs = 7LL * 24 * 3600 * 1000;
inline constexpr std::size_t kRosterSitesMax = 1024;

struct RosterSite {
  SiteId id;
  PublicKeyBytes identity_key{};   // Ed25519: signs its round messages
  PublicKeyBytes transport_key{};  // CURVE: lets its connection in
  PublicKeyBytes log_key{};        // Ed25519: signs its ledger's checkpoints
  PublicKeyBytes approver_key{};   // Ed25519: a person of the site approves plans with it
};
// A hash of the id and all four keys: what a person at another site accepts, so that a changed key needs another yes.
Digest entry_digest(const RosterSite& site);
// 96 bits of it in groups of four hex digits, for people to compare by telephone with that hospital.
std::string site_fingerprint(const RosterSite& site);

// Sites are sorted by id, ids and keys are unique: the position is the site's RosterIndex.
struct Roster {
  Digest hash{};  // SHA-256 of the exact document bytes
  std::string federation;
  EpochNumber epoch = 0;
  UnixMs valid_from;
  UnixMs valid_until;
  PublicKeyBytes coordinator_signing_key{};
  std::vector<RosterSite> sites;

  // Parses the document of a verified roster; invalid_argument names the field.
  static Result<Roster> parse(std::string_view document);
  // The exact text that the administrators sign (`hash` is not read). invalid_argument when a rule of
  // parse() would refuse it.
  Result<std::string> document() const;

  const RosterSite* find(const SiteId& id) const noexcept;
  const RosterSite* find_transport_key(const PublicKeyBytes& key) const noexcept;
  std::optional<RosterIndex> index_of(const SiteId& id) const noexcept;
  // deadline_exceeded outside valid_from … valid_until. To be asked whenever the roster is used: a node may run on for
  // weeks after it read the file.
  Result<void> check_valid_at(UnixMs now) const;
};

// What a node or the coordinator has pinned about its federation: of the founding document (Invite::trust).
struct RosterTrust {
  std::string federation;
  std::vector<PublicKeyBytes> administrators;
  std::uint32_t quorum = 0;  // how many of them must have signed; 0 trusts nobody
  PublicKeyBytes coordinator_signing_key{};
  EpochNumber epoch_min = 1;  // the newest epoch seen: older ones are refused
};

// Signatures first, then the document, then federation and the coordinator's key; whatever its epoch and validity.
// permission_denied: too few signatures, another federation or coordinator; corruption: a signature is wrong.
Result<Roster> verify_roster_signatures(const SignedDocument& signed_document, const RosterTrust& trust);

// That, then the epoch; whether the roster is valid now is not asked. permission_denied: the epoch is older, too.
Result<Roster> verify_roster_at_any_time(const SignedDocument& signed_document, const RosterTrust& trust);

// And the validity at `now`. deadline_exceeded: it is over or not begun.
Result<Roster> verify_roster(const SignedDocument& signed_document, const RosterTrust& trust, UnixMs now);

}  // namespace fovea::federation::membership

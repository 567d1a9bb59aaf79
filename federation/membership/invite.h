// An invite: the founding document of a federation, from which a site learns whom to trust and by which it recognises
// the federation ever after. Every administrator that it lists has signed it, so nobody can list another person beside
// himself; and people compare by telephone a fingerprint of the whole document, so no part of it can be exchanged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/membership/roster.h"
#include "federation/membership/signed_document.h"

namespace fovea::federation::membership {

inline constexpr std::size_t kAdministratorsMax = kDocumentSignaturesMax;

struct Invite {
  std::string federation;
  std::string endpoint;  // "tcp://host:port" of the coordinator
  PublicKeyBytes coordinator_transport_key{};
  PublicKeyBytes coordinator_signing_key{};
  std::vector<PublicKeyBytes> administrators;  // 1 to kAdministratorsMax, each once
  std::uint32_t quorum = 0;                    // how many of them must sign a roster
  Digest hash{};                               // over a label and the exact document bytes

  static Result<Invite> parse(std::string_view document);
  // The exact text that the administrators sign (`hash` is not read).
  Result<std::string> document() const;

  // Of the whole document, for people to compare by telephone: 96 bits, six groups of four hex digits.
  std::string fingerprint() const;
  // What a roster of this federation must satisfy.
  RosterTrust trust(EpochNumber epoch_min = 1) const;
  bool one_person_decides() const noexcept { return quorum == 1; }
  // In words: how many people together decide who takes part.
  std::string who_decides() const;
};

// Parses, and checks that every administrator named inside has signed it. permission_denied: one has not;
// corruption: a signature is wrong.
Result<Invite> verify_invite(const SignedDocument& signed_document);

// What `after` says otherwise than `before`, one sentence a field; for the person who decides about the change.
std::vector<std::string> differences(const Invite& before, const Invite& after);

}  // namespace fovea::federation::membership

// An invite: what a site must know to join a federation and to recognise it ever after. Signed by an
// administrator; the person who joins compares the fingerprint by telephone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "federation/membership/signed_document.h"

namespace fovea::federation::membership {

struct Invite {
  std::string federation;
  std::string endpoint;  // "tcp://host:port" of the coordinator
  PublicKeyBytes coordinator_transport_key{};
  PublicKeyBytes coordinator_signing_key{};
  std::vector<PublicKeyBytes> administrators;  // one or two

  static Result<Invite> parse(std::string_view document);
  Result<std::string> document() const;
};

// Parses, and checks that an administrator named inside has signed it.
Result<Invite> verify_invite(const SignedDocument& signed_document);

}  // namespace fovea::federation::membership

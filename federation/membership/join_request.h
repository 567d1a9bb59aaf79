// A site's request to be put on the roster: its public keys, signed with its identity key.
#pragma once

#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/result.h"
#include "federation/membership/roster.h"
#include "federation/membership/signed_document.h"

namespace fovea::federation::membership {

struct JoinRequest {
  std::string federation;
  RosterSite site;
  UnixMs created;

  static Result<JoinRequest> parse(std::string_view document);
  Result<std::string> document() const;
};

// Checks the signature of the identity key named inside; corruption when it is wrong.
Result<JoinRequest> verify_join_request(const SignedDocument& signed_document);

}  // namespace fovea::federation::membership

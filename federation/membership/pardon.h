// An administrator's decision that a site which the coordinator left out of a run may take part again, signed with the
// administrator's key. It is about one blame: a later one of the same site needs another.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/membership/signed_document.h"

namespace fovea::federation::membership {

struct Pardon {
  SiteId site;
  RunId run{};
  Digest evidence{};     // of the blame
  std::string reason{};  // may be empty
  UnixMs decided{};

  static Result<Pardon> parse(std::string_view document);
  Result<std::string> document() const;
};

struct VerifiedPardon {
  Pardon pardon;
  PublicKeyBytes administrator{};  // the first of `administrators` who signed it
};
// corruption when a signature is wrong, permission_denied when none of the administrators has signed.
Result<VerifiedPardon> verify_pardon(const SignedDocument& signed_document,
                                     std::span<const PublicKeyBytes> administrators);

}  // namespace fovea::federation::membership

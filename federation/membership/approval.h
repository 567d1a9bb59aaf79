// A person's decision about a plan at one site, signed with the site's approver key. The node's daemon
// picks the file up; it is kept as evidence and named in the ledger.
#pragma once

#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/membership/signed_document.h"

namespace fovea::federation::membership {

enum class ApprovalDecision { approved, rejected };

struct Approval {
  SiteId site;
  Digest plan{};
  ApprovalDecision decision = ApprovalDecision::rejected;
  std::string approver{};  // the person's name or role, 1 to 80 bytes
  std::string reason{};    // may be empty
  UnixMs decided{};

  static Result<Approval> parse(std::string_view document);
  Result<std::string> document() const;
};

// corruption when the signature is wrong, permission_denied when it is another key's.
Result<Approval> verify_approval(const SignedDocument& signed_document, const PublicKeyBytes& approver_key);

}  // namespace fovea::federation::membership

// A person's word at one site that a roster entry is the hospital it says: the keys were compared with that hospital,
// by telephone. Signed with the site's approver key, as approvals are. Bound to the exact keys: an entry with another
// key is a stranger again. It can be taken back, with a document of another kind: what reads acceptances never takes
// one for the other.
#pragma once

#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/membership/roster.h"
#include "federation/membership/signed_document.h"

namespace fovea::federation::membership {

inline constexpr std::string_view kAcquaintanceKind = "acquaintance";
inline constexpr std::string_view kAcquaintanceEndKind = "acquaintance-end";

struct Acquaintance {
  SiteId site;             // whose person says so
  RosterSite accepted;     // whom it is about, with all keys
  std::string approver{};  // the person's name or role, 1 to 80 bytes
  UnixMs accepted_at{};    // or, of one that is taken back, when that was
  bool ended = false;      // the acceptance is taken back

  std::string_view kind() const noexcept { return ended ? kAcquaintanceEndKind : kAcquaintanceKind; }
  static Result<Acquaintance> parse(std::string_view document, std::string_view kind = kAcquaintanceKind);
  Result<std::string> document() const;
};

// corruption when the signature is wrong, permission_denied when it is another key's.
Result<Acquaintance> verify_acquaintance(const SignedDocument& signed_document, const PublicKeyBytes& approver_key);
Result<Acquaintance> verify_acquaintance_end(const SignedDocument& signed_document, const PublicKeyBytes& approver_key);
// Either of them: who asks must look at `ended`.
Result<Acquaintance> verify_word_about_site(const SignedDocument& signed_document, const PublicKeyBytes& approver_key);

// And is by a person of `self` about exactly the entry `other`; permission_denied when not.
Result<Acquaintance> verify_acquaintance(const SignedDocument& signed_document, const RosterSite& self,
                                         const RosterSite& other);

}  // namespace fovea::federation::membership

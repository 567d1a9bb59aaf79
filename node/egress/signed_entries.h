// What a site's ledger holds of a person's word, checked when it is read: whoever can write the file, and has no key,
// must not be able to say it for them.
#pragma once

#include <cstdint>

#include "common/ids.h"
#include "common/result.h"
#include "federation/ledger/entry.h"
#include "federation/membership/roster.h"

namespace fovea::node::egress {

// That an approval, a rejection, an acceptance or its end under this approver's key is signed with it, by this site,
// about exactly what the entry names. corruption names the entry, and what to do. One under another key counts nowhere
// and is not looked at; nor is what nobody signs.
Result<void> check_signed_entry(std::uint64_t index, const federation::ledger::LedgerEntry& entry, const SiteId& site,
                                const federation::membership::PublicKeyBytes& approver);

}  // namespace fovea::node::egress

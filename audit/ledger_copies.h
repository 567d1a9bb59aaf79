// Several ledgers of one owner under one key. A log key signs one log: of two checkpoints one is of the beginning of
// the other, or the owner keeps two ledgers, which together could explain what neither of them holds.
#pragma once

#include <vector>

#include "audit/ledger_audit.h"

namespace fovea::audit {

// Of each owner and key the longest ledger stays what it is; one whose files do not lead to its root comes after all
// others. One that is its beginning is counted with it, as a notice of the longest says; one that has faults of its own
// stays in the list, as a copy. Where neither continues the other, both get the finding "fork", and if both are signed
// the owner is convicted: forked.
void compare_copies(std::vector<AuditedLedger>& ledgers);

}  // namespace fovea::audit

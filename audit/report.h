// The audit as one self-contained HTML page to print and file: for a data-protection officer, not for an engineer.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "audit/key_ring.h"
#include "audit/ledger_audit.h"
#include "audit/reconciliation.h"
#include "common/bytes.h"
#include "common/clock.h"

namespace fovea::audit {

struct ReportInput {
  const std::vector<AuditedLedger>& ledgers;
  const Reconciliation* reconciliation = nullptr;  // absent: the coordinator's ledger was not given
  bool roster_given = false;
  bool roster_pinned = false;                    // the administrators' signatures on it were checked
  std::size_t administrators = 0, quorum = 0;    // whose keys were given, and how many of them must have signed
  const std::map<Digest, KnownRoster>& rosters;  // that were given
  const std::vector<RosterConflict>& conflicts;  // among them
  std::size_t canaries = 0;                      // names that were searched for
  std::vector<std::string> commands;             // that repeat the verification
  UnixMs now;
};

std::string html_report(const ReportInput& input);

}  // namespace fovea::audit

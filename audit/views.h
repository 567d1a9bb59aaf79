// The results of an audit as JSON (the "data" of --json) and as text for a terminal.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "audit/blame_evidence.h"
#include "audit/key_ring.h"
#include "audit/ledger_audit.h"
#include "audit/reconciliation.h"

namespace fovea::audit {

nlohmann::ordered_json to_json(const AuditedLedger& ledger);
nlohmann::ordered_json to_json(const BlameEvidence& evidence);
nlohmann::ordered_json to_json(const Reconciliation& reconciliation);
nlohmann::ordered_json to_json(const std::vector<RosterConflict>& conflicts);

// "PASS  nordic/st-anna  412 entries …", its findings below, indented.
std::string to_text(const AuditedLedger& ledger);
std::string to_text(const BlameEvidence& evidence);
std::string to_text(const Reconciliation& reconciliation);
// Which two files, and whom they convict: the administrators who signed both.
std::string to_text(const RosterConflict& conflict);
// How many, or that they were not counted.
std::string unlogged_text(const Reconciliation& reconciliation);
// How many receipts are not listed, and what the coordinator's copy is too old for.
std::vector<std::string> comparison_notes(const Reconciliation& reconciliation);

// Of the rosters alone.
Verdict verdict_of(const std::vector<RosterConflict>& conflicts);
// The outcome in one sentence.
std::string verdict_sentence(const std::vector<AuditedLedger>& ledgers, const Reconciliation* reconciliation,
                             const std::vector<RosterConflict>& conflicts = {});
// The worst of all.
Verdict verdict_of(const std::vector<AuditedLedger>& ledgers, const Reconciliation* reconciliation,
                   const std::vector<RosterConflict>& conflicts = {});
bool all_sound(const std::vector<AuditedLedger>& ledgers, const Reconciliation* reconciliation,
               const std::vector<RosterConflict>& conflicts = {});

}  // namespace fovea::audit

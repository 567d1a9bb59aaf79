// Compares what sites say they sent with what the coordinator says it received, message by message: by site, kind,
// SHA-256 and length of the bytes that went to the socket. A receipt that no site's ledger knows of convicts the site
// whose signature it carries, or the coordinator that made it up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/ledger_audit.h"
#include "common/clock.h"

namespace fovea::audit {

struct TransferCount {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
};

// Whom an unlogged receipt convicts.
enum class Culprit { site, coordinator, nobody };
std::string_view to_string(Culprit culprit) noexcept;

struct UnloggedReceipt {
  std::uint64_t index = 0;  // in the coordinator's ledger
  Culprit culprit = Culprit::nobody;
  std::string why;
  bool lacks = false;  // what would show more was not given to the auditor: then `why` says what
};

struct SiteReconciliation {
  std::string site;
  bool forked = false;        // it signed two ledgers, neither of which continues the other: convicted by that alone
  TransferCount matched;      // in both ledgers
  TransferCount unconfirmed;  // intended by the site, never received: a message lost, or a crash before it was sent
  TransferCount unlogged;     // received, and the site's ledger does not know of it: must be none
  TransferCount against_site, against_coordinator;  // of the unlogged ones; the rest convicts nobody
  TransferCount undecided;                          // of these: what was not given may explain them
  std::vector<std::string> lacking;                 // what that is, each once; at most 20
  TransferCount not_looked_at;  // received, and signed by this site, whose ledger was not given: nothing is said of it
  // At most 20: those that convict first, each in the order of the coordinator's ledger; `unlogged` counts them all.
  std::vector<UnloggedReceipt> unlogged_receipts;
  TransferCount unconfirmed_after;  // of the unconfirmed: announced after the coordinator's copy ends, by both clocks
};

// How much of what the coordinator received was compared.
enum class Compared { everything, a_part, nothing };
std::string_view to_string(Compared compared) noexcept;

struct Reconciliation {
  std::vector<SiteReconciliation> sites;  // by name
  Compared compared = Compared::everything;
  std::optional<UnixMs> coordinator_ends;         // the newest entry under its checkpoint
  std::uint64_t unlogged_bytes() const noexcept;  // of what was compared
  bool clean() const noexcept;                    // no unlogged message among those compared, no site with two ledgers
  bool complete() const noexcept { return clean() && compared == Compared::everything && not_looked_at().empty(); }
  std::vector<std::string> not_looked_at() const;  // names of sites whose ledgers were not given
  bool convicts() const noexcept;                  // anybody
  bool undecided() const noexcept;                 // not clean, and what was not given may explain all of it
};

std::string federation_of(const AuditedLedger& ledger);  // as its origin has it

// Receipts that a site signed whose ledger is not among `sites` are not looked at; others for such a site count as
// unlogged and convict no site. Nor do those that a site signed under keys beside which the rosters name another log
// key than those of the ledgers given, or that the coordinator received after the copy given ends. An entry convicts,
// whomever, only where its ledger covers() it. What only a copy holds, or a ledger of another federation, explains no
// receipt. Several ledgers of one site count together where each has a key of its own.
Reconciliation reconcile(const std::vector<const AuditedLedger*>& sites, const AuditedLedger& coordinator);

}  // namespace fovea::audit

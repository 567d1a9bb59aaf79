// The sole way out of a site. A message leaves only after its intent is durable in the site's ledger, and an intent is
// written only when every check passes, in this order: kind, length, plan, model, uniform, cohort, identifiers, budget.
// Anything else is refused (permission_denied, "egress refused by rule <rule>: …"), nothing of the batch may be sent,
// and the refusal is recorded as an `incident`: once a minute for each rule, with how many there were. The gate reads
// the wire bytes itself; nobody tells it what they are.
//
//   auto tickets = gate.intend(batch);             // one fdatasync
//   if (!tickets) …refused: drop the attempt…;
//   …hand every wire of the batch to the socket…
//   gate.sent(*tickets);                           // durable with the next sync
//
// Used by one thread: the daemon's loop. It owns the site's ledger, which nothing else writes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/ledger/ledger.h"
#include "federation/membership/approval.h"
#include "federation/membership/plan.h"
#include "federation/membership/roster.h"
#include "federation/membership/signed_document.h"
#include "federation/messages/attempt_ref.h"
#include "federation/secagg/parameters.h"
#include "node/egress/plan_decisions.h"
#include "node/egress/site_acquaintances.h"

namespace fovea::node::egress {

// What the site's own configuration fixes; nothing here comes from the coordinator.
struct EgressPolicy {
  SiteId site;
  Digest software{};                                     // SHA-256 of the running program
  federation::membership::PublicKeyBytes approver{};     // the only key whose approvals count
  federation::membership::PublicKeyBytes destination{};  // the coordinator's transport key: where messages go
  std::uint32_t cohort_min = 2;                          // no sum over fewer sites than this
  std::uint64_t run_bytes_max = 0;                       // of one run, over restarts; 0 lets nothing out
  std::uint64_t session_bytes_max = 0;                   // in kSessionMs, of messages that belong to no approved plan
  // File names and patient identifiers of the site's data: a message that holds one is refused. Those shorter than
  // kIdentifierBytesMin are not looked for: random key and signature bytes would hold them by chance.
  std::vector<std::string> identifiers{};
};

inline constexpr std::size_t kIdentifierBytesMin = 6;
// A node that only waits says hello for weeks: what it may say begins anew with open() and each day after.
inline constexpr std::int64_t kSessionMs = 24 * 3'600'000;

// What the site computed itself for the round that the coordinator announces.
struct OwnRound {
  Digest model{};               // of the model derived from the last sum
  std::uint32_t dimension = 0;  // ring words of a masked vector
};

// A release of shares that the ledger shows: the attempt in which it left, or was about to.
struct RecordedRelease {
  RunId run;
  federation::messages::AttemptRef ref;
};

struct OutboundMessage;

struct EgressTicket {
  std::uint64_t intent = 0;  // index in the ledger
};

class EgressGate {
 public:
  // Opens (or recovers) the ledger and learns from it which plans are approved and what was spent. corruption: it has a
  // person's word that nobody signed.
  static Result<EgressGate> open(federation::ledger::LedgerOptions ledger, EgressPolicy policy, const Clock& clock);

  // Verifies a signed approval or rejection by the approver's key for this site (permission_denied or corruption
  // otherwise), makes it durable under a checkpoint, and acts on it: a rejection withdraws an earlier approval. From
  // the next intend() on nothing of the plan leaves, and an attempt that was open is closed for good. An approval
  // counts only if it was signed after every other decision about the plan in the ledger (else permission_denied): an
  // old one that somebody puts back undoes no rejection. A rejection always counts.
  Result<void> decide_plan(const federation::membership::SignedDocument& approval);
  // The site's settings changed. `forbidden`: why the plan of the open run may not go on under them; it counts as not
  // approved then, and an incident says so.
  Result<void> change_policy(std::uint32_t cohort_min, std::uint64_t run_bytes_max,
                             const std::optional<std::string>& forbidden);
  bool plan_approved(const Digest& plan) const;
  // The same without what the settings rule out.
  bool approved_by_person(const Digest& plan) const;
  // What the ledger has, by plan.
  const std::map<Digest, PlanDecisions::Decision>& decisions() const noexcept { return decisions_.newest(); }
  // Verifies acceptances of other sites, and such as are taken back, by the approver's key for this site
  // (permission_denied or corruption otherwise, and none is recorded), and makes those that are new durable under one
  // checkpoint. One that is taken back closes every attempt that was open for good. An acceptance counts only if it was
  // signed after the last time that it was taken back (else permission_denied).
  Result<void> decide_sites(std::span<const federation::membership::SignedDocument> words);
  // Roster entries (federation::membership::entry_digest) that a person here has accepted.
  const std::set<Digest>& acquainted() const noexcept { return acquaintances_.accepted(); }
  const SiteAcquaintances& acquaintances() const noexcept { return acquaintances_; }

  // The roster the site has pinned; recorded once an epoch. Attempts of any run under another one are closed.
  Result<void> pin_roster(const federation::membership::Roster& roster);
  // One of an earlier epoch, which the site takes to check a sum that it missed: the pinned one is recorded again after
  // it and stays in force. Durable when it returns.
  Result<void> record_past_roster(const federation::membership::Roster& past,
                                  const federation::membership::Roster& pinned);
  // permission_denied without an approval of the plan's exact bytes, or under a privacy mechanism other than "none". An
  // attempt of the run that the ledger has as opened and not closed is open again: a crash interrupted it.
  Result<void> open_run(const RunId& run, const federation::membership::Plan& plan, const Digest& model);
  // The site has derived another model (an applied sum, or the sums of missed rounds).
  Result<void> set_model(const Digest& model);
  // The same model for all sites: refused (permission_denied) unless plan, roster, model and dimension of the announced
  // parameters are the site's own, the cohort reaches the threshold and the policy's minimum, and the attempt comes
  // after the last one. Recorded as round.open, durable with the next intend(). Opening the same parameters again after
  // a restart is allowed.
  Result<void> open_round(const federation::secagg::RoundParameters& announced, const OwnRound& own);
  std::optional<federation::ledger::RoundKey> attempt_open() const;
  // The newest attempt of each run that is closed: of it, and of those before, nothing leaves any more.
  const std::map<RunId, federation::ledger::RoundKey>& attempts_closed() const noexcept { return last_closed_; }
  // Ends what may leave for the attempt. Durable with the next sync.
  Result<void> close_round(const federation::ledger::RoundClose& close);

  // All or nothing, one durable sync for the whole batch. Each item is the wire bytes of one signed message.
  Result<std::vector<EgressTicket>> intend(std::span<const ByteView> wires);
  // After the bytes were handed to the socket.
  Result<void> sent(std::span<const EgressTicket> tickets);

  // input.sealed or incident; invalid_argument for what the gate writes itself. Durable with the next sync.
  Result<void> record(const federation::ledger::LedgerEntry& entry);
  // Within seconds of an entry: tiles and a signed checkpoint of everything so far.
  Result<void> checkpoint();
  // Before the process ends: the same, with how many refusals no incident has counted yet.
  Result<void> publish();

  // Intents without a confirmation: what a crash left open. Their bytes count as sent.
  const std::set<std::uint64_t>& unconfirmed() const noexcept { return unconfirmed_; }
  std::uint64_t run_bytes_spent(const RunId& run) const;
  // What the ledger had at open(), to compare the site's other records with: releases by the model of their round, and
  // the last attempt of each run.
  const std::map<Digest, RecordedRelease>& releases_at_open() const noexcept { return releases_at_open_; }
  std::optional<federation::ledger::RoundKey> last_joined(const RunId& run) const;
  const federation::ledger::Ledger& ledger() const noexcept { return *ledger_; }

 private:
  struct Run {
    RunId run;
    Digest plan{};
    Digest model{};
    std::string clip;
    std::string weights;
  };
  struct Refusal {
    std::string_view rule;
    std::string detail;
  };
  struct Refused {  // by one rule
    std::optional<MonotonicMs> recorded_at{};
    std::uint64_t unrecorded = 0;  // since then
  };
  struct Spending {  // while a batch is being checked
    std::map<RunId, std::uint64_t> run_bytes;
    std::uint64_t session_bytes = 0;
  };

  EgressGate(EgressPolicy policy, const Clock& clock)
      : policy_(std::move(policy)),
        clock_(&clock),
        decisions_(policy_.site, policy_.approver),
        acquaintances_(policy_.site, policy_.approver),
        session_since_(clock.monotonic()) {}
  bool is_closed(const federation::ledger::RoundKey& key) const;
  void learn(std::uint64_t index, const federation::ledger::StampedEntry& entry);
  void learn_release(const federation::ledger::EgressIntent& intent);
  Result<void> append(federation::ledger::LedgerEntry entry);
  Result<void> abandon_open_rounds(const std::optional<Digest>& plan);  // none: whatever plan they are of
  Result<void> abandon_round(const federation::ledger::RoundOpen& open);
  Error refuse(const Refusal& refusal);
  std::optional<Refusal> check_round(const federation::secagg::RoundParameters& announced, const OwnRound& own) const;
  std::optional<Refusal> check_message(ByteView wire, Spending& spending,
                                       federation::ledger::EgressIntent& intent) const;
  std::optional<Refusal> check_binding(const OutboundMessage& message, federation::ledger::EgressIntent& intent) const;
  std::optional<Refusal> check_vector(const OutboundMessage& message, federation::ledger::EgressIntent& intent) const;
  std::optional<Refusal> check_identifiers(ByteView wire, const OutboundMessage& message,
                                           federation::ledger::EgressIntent& intent) const;
  std::optional<Refusal> check_budget(Spending& spending, federation::ledger::EgressIntent& intent) const;

  std::optional<federation::ledger::Ledger> ledger_;  // set by open()
  EgressPolicy policy_;
  const Clock* clock_;
  PlanDecisions decisions_;
  SiteAcquaintances acquaintances_;
  std::optional<Digest> forbidden_;                           // plan that the site's settings rule out since open()
  std::map<RunId, std::uint64_t> run_bytes_;                  // spent
  std::map<RunId, federation::ledger::RoundOpen> last_open_;  // newest attempt of each run
  std::map<RunId, federation::ledger::RoundKey> last_closed_;
  std::map<std::string, Refused> refused_;  // by rule
  std::uint64_t session_bytes_ = 0;
  MonotonicMs session_since_;
  std::optional<std::uint64_t> previous_egress_;
  std::set<std::uint64_t> unconfirmed_;
  std::map<Digest, RecordedRelease> releases_at_open_;
  std::optional<Digest> roster_;           // pinned since open()
  std::optional<Digest> recorded_roster_;  // newest in the ledger
  std::optional<Run> run_;
  std::optional<federation::ledger::RoundOpen> round_;  // the attempt that is open
};

}  // namespace fovea::node::egress

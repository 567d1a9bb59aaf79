// The sole way out of a site. A message leaves only after its intent is durable in the site's ledger, and an intent is
// written only when every check passes, in this order: kind, length, plan, model, uniform, cohort, budget. Anything
// else is refused (permission_denied, "egress refused by rule <rule>: …"), nothing of the batch is sent, and the
// refusal is recorded as an `incident`. The gate computes payload hashes and lengths itself; nobody reports them to it.
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
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "federation/ledger/ledger.h"
#include "federation/membership/signed_document.h"

namespace fovea::node {

// What the site's policy fixes; nothing here comes from the coordinator.
struct EgressPolicy {
  SiteId site;
  Digest software{};                              // SHA-256 of the running program
  federation::PublicKeyBytes approver{};          // the only key whose approvals count
  federation::PublicKeyBytes destination{};       // the coordinator's transport key: the only one messages may go to
  std::uint32_t cohort_min = 2;                   // never aggregate among fewer sites than this
  std::uint64_t run_bytes_max = 0;                // all messages of one run; 0 refuses everything
  std::uint64_t session_bytes_max = 0;            // all session messages since the gate was opened
};

// One run under one approved plan.
struct EgressRun {
  RunId run;
  Digest plan{};
  Digest roster{};
  std::uint32_t vector_words = 0;    // ring words of the masked vector: fixes the length of masked chunks
  std::string clip;                  // decimal text
};

// What the coordinator announced for an attempt, and what the site computed itself.
struct EgressRound {
  federation::RoundKey key;
  Digest plan{};
  Digest model{};
  Digest roster{};
  Digest parameters{};
  std::uint32_t cohort = 0;     // |U0|
  std::uint32_t threshold = 0;  // t
  Digest own_model{};           // of the model this site derived from the last sum
  Digest own_roster{};          // of the roster this site has pinned
};

struct EgressRequest {
  federation::RoundKey key;  // all zero for session messages; attempt 0 before an attempt is open
  std::string_view kind;     // as in message_rules.h
  ByteView payload;          // exactly the bytes that go to the socket, signed envelope included
  ByteView masked = {};      // the ring words inside `payload`; required for the kinds that carry them
};

struct EgressTicket {
  std::uint64_t intent = 0;  // index in the ledger
};

class EgressGate {
 public:
  // Opens (or recovers) the ledger and learns from it which plans are approved and what was spent.
  static Result<EgressGate> open(federation::LedgerOptions ledger, EgressPolicy policy, const Clock& clock);

  // Verifies the signed approval or rejection (permission_denied otherwise), makes it durable, and acts on it.
  Result<void> decide_plan(const federation::SignedDocument& approval);
  bool plan_approved(const Digest& plan) const;

  // failed_precondition without an approved plan.
  Result<void> open_run(const EgressRun& run);
  // The same-model rule: refused when what was announced differs from what the site computed, when the cohort is
  // below the threshold or the policy, or when the attempt does not come after the last one.
  Result<void> open_round(const EgressRound& round);
  Result<void> close_round(const federation::RoundClose& close);  // durable with the next sync

  // One durable sync for the whole batch, before any byte of it may be sent.
  Result<std::vector<EgressTicket>> intend(std::span<const EgressRequest> batch);
  // After the bytes were handed to the socket. Durable with the next sync.
  Result<void> sent(std::span<const EgressTicket> tickets);

  // Other facts: roster.epoch, input.sealed, incident. invalid_argument for the types that the gate writes itself.
  Result<void> record(const federation::LedgerEntry& entry);
  Result<void> publish();  // after a round and at close

  // Intents without a confirmation: what a crash left open. Their bytes count as sent.
  const std::set<std::uint64_t>& unconfirmed() const noexcept { return unconfirmed_; }
  const federation::Ledger& ledger() const noexcept { return ledger_; }
  std::uint64_t run_bytes_spent(const RunId& run) const;

 private:
  EgressGate(federation::Ledger ledger, EgressPolicy policy, const Clock& clock);
  struct Refusal {
    std::string rule;
    std::string detail;
  };
  Result<void> learn(std::uint64_t index, const federation::StampedEntry& entry);
  std::optional<Refusal> check(const EgressRequest& request, std::uint64_t bytes_before, std::vector<std::string>& passed) const;
  Error refuse(const Refusal& refusal);

  federation::Ledger ledger_;
  EgressPolicy policy_;
  const Clock* clock_;
  std::map<Digest, bool> plans_;                       // true: approved, false: withdrawn
  std::map<RunId, std::uint64_t> run_bytes_;           // spent, by run
  std::uint64_t session_bytes_ = 0;
  std::map<RunId, federation::RoundKey> last_round_;   // newest attempt opened
  std::optional<EgressRun> run_;
  std::optional<EgressRound> round_;
  std::optional<std::uint64_t> previous_egress_;
  std::set<std::uint64_t> unconfirmed_;
};

}  // namespace fovea::node

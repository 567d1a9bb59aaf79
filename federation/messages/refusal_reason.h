// Why a message, a request or a peer was refused: one countable word for every rule of the protocol.
// The numbers are on the wire and never reused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "common/result.h"

namespace fovea::federation::messages {

enum class RefusalReason : std::uint16_t {
  // the message
  malformed = 1,
  wrong_run = 2,
  wrong_epoch = 3,
  unknown_sender = 4,
  unexpected_kind = 5,    // no message of this kind is awaited in this phase
  stale_round = 6,        // the round does not increase
  stale_attempt = 7,      // the attempt is not the current one
  parameters_differ = 8,  // H(P) is another than that of the current attempt
  bad_signature = 9,
  // R0
  plan_not_approved = 20,
  model_differs = 21,       // not the model that the site computed itself
  transcript_differs = 22,  // not the successor of the last round that the site knows
  roster_differs = 23,
  not_a_candidate = 24,
  cohort_too_small = 25,
  cohort_too_large = 26,
  threshold_too_low = 27,  // below ⌊(|U1| + m) / 2⌋ + 1
  honest_too_few = 28,     // t − m below the site's h
  dimension_differs = 29,
  scale_out_of_bounds = 30,
  seed_reused = 31,
  round_already_unmasked = 32,
  model_already_released = 33,  // a second, different release on one model
  not_ready = 34,               // no trained update for this round
  graph_differs = 35,   // not the neighbours that the epoch's beacon gives, or too few for the sites assumed bad
  beacon_differs = 36,  // not the beacon of this roster that was fixed first
  round_too_far = 37,   // a round number further ahead than rounds without a sum explain
  // a sum is repeated with exactly the sites of the released one, less the dealers whose fault is proven
  cohort_differs = 38,
  update_differs = 39,  // a sum is repeated with exactly the vectors of the released one
  // R1 and R2
  own_entry_missing = 40,
  own_entry_altered = 41,
  duplicate_key = 42,
  reused_key = 43,  // a public key of an earlier attempt
  low_order_key = 44,
  list_out_of_order = 45,  // not strictly ascending, or an unknown site
  survivors_not_subset = 46,
  too_few_survivors = 47,
  share_unreadable = 48,
  share_commitment_differs = 49,
  // R3 to R5
  vector_hash_differs = 60,
  late_vector = 61,
  chunk_out_of_bounds = 62,
  second_statement = 63,  // a different statement than the one already signed
  statement_differs = 64,
  too_few_signatures = 65,
  both_secrets_of_a_peer = 66,
  forgotten_after_restart = 67,
  // the sum
  canary_differs = 80,
  sum_out_of_range = 81,
  aggregate_hash_differs = 82,
  evidence_incomplete = 83,
  linear_tag_differs = 84,  // the words of a vector, or of a sum, are not those of its tag
  // the task
  task_differs = 85,  // not the stage, position or seed that the plan gives for the next sum
  // who is in the sum
  unacquainted_sites = 90,  // too many sites of the round that nobody at this site has accepted
  roster_expired = 91,      // the pinned roster is not valid by the site's clock
  // a site's own failures
  training_failed = 100,
  update_not_finite = 101,
  local_policy = 102,  // the policy of the hospital rules the plan, or what the plan asks for, out
  deadline_passed = 103,
  plan_rejected = 104,  // a person at the site rejected the plan
  // the coordinator's blame
  bad_revealed_share = 120,   // a share that is not the one the dealer committed to
  inconsistent_dealer = 121,  // committed shares that do not give the committed secret
  disputed_shares = 122,      // two sites disagree about a share
  dealer_not_at_fault = 123,  // evidence against a dealer whose shares give the committed secret
};

std::string_view to_string(RefusalReason reason) noexcept;
Result<RefusalReason> refusal_reason(std::uint16_t number);  // invalid_argument: unknown

// A refused event. `detail` names fields, sites and bounds; never secrets.
struct Refusal {
  RefusalReason reason = RefusalReason::malformed;
  std::string detail;
};

inline Refusal refused(RefusalReason reason, std::string detail) { return {reason, std::move(detail)}; }

}  // namespace fovea::federation::messages

#include "federation/messages/refusal_reason.h"

namespace fovea::federation::messages {

std::string_view to_string(RefusalReason reason) noexcept {
  switch (reason) {
    case RefusalReason::malformed: return "malformed";
    case RefusalReason::wrong_run: return "wrong-run";
    case RefusalReason::wrong_epoch: return "wrong-epoch";
    case RefusalReason::unknown_sender: return "unknown-sender";
    case RefusalReason::unexpected_kind: return "unexpected-kind";
    case RefusalReason::stale_round: return "stale-round";
    case RefusalReason::stale_attempt: return "stale-attempt";
    case RefusalReason::parameters_differ: return "parameters-differ";
    case RefusalReason::bad_signature: return "bad-signature";
    case RefusalReason::plan_not_approved: return "plan-not-approved";
    case RefusalReason::model_differs: return "model-differs";
    case RefusalReason::transcript_differs: return "transcript-differs";
    case RefusalReason::roster_differs: return "roster-differs";
    case RefusalReason::not_a_candidate: return "not-a-candidate";
    case RefusalReason::cohort_too_small: return "cohort-too-small";
    case RefusalReason::cohort_too_large: return "cohort-too-large";
    case RefusalReason::threshold_too_low: return "threshold-too-low";
    case RefusalReason::honest_too_few: return "honest-too-few";
    case RefusalReason::dimension_differs: return "dimension-differs";
    case RefusalReason::scale_out_of_bounds: return "scale-out-of-bounds";
    case RefusalReason::seed_reused: return "seed-reused";
    case RefusalReason::round_already_unmasked: return "round-already-unmasked";
    case RefusalReason::model_already_released: return "model-already-released";
    case RefusalReason::not_ready: return "not-ready";
    case RefusalReason::graph_differs: return "graph-differs";
    case RefusalReason::beacon_differs: return "beacon-differs";
    case RefusalReason::round_too_far: return "round-too-far";
    case RefusalReason::cohort_differs: return "cohort-differs";
    case RefusalReason::update_differs: return "update-differs";
    case RefusalReason::own_entry_missing: return "own-entry-missing";
    case RefusalReason::own_entry_altered: return "own-entry-altered";
    case RefusalReason::duplicate_key: return "duplicate-key";
    case RefusalReason::reused_key: return "reused-key";
    case RefusalReason::low_order_key: return "low-order-key";
    case RefusalReason::list_out_of_order: return "list-out-of-order";
    case RefusalReason::survivors_not_subset: return "survivors-not-subset";
    case RefusalReason::too_few_survivors: return "too-few-survivors";
    case RefusalReason::share_unreadable: return "share-unreadable";
    case RefusalReason::share_commitment_differs: return "share-commitment-differs";
    case RefusalReason::vector_hash_differs: return "vector-hash-differs";
    case RefusalReason::late_vector: return "late-vector";
    case RefusalReason::chunk_out_of_bounds: return "chunk-out-of-bounds";
    case RefusalReason::second_statement: return "second-statement";
    case RefusalReason::statement_differs: return "statement-differs";
    case RefusalReason::too_few_signatures: return "too-few-signatures";
    case RefusalReason::both_secrets_of_a_peer: return "both-secrets-of-a-peer";
    case RefusalReason::forgotten_after_restart: return "forgotten-after-restart";
    case RefusalReason::canary_differs: return "canary-differs";
    case RefusalReason::sum_out_of_range: return "sum-out-of-range";
    case RefusalReason::aggregate_hash_differs: return "aggregate-hash-differs";
    case RefusalReason::evidence_incomplete: return "evidence-incomplete";
    case RefusalReason::linear_tag_differs: return "linear-tag-differs";
    case RefusalReason::task_differs: return "task-differs";
    case RefusalReason::unacquainted_sites: return "unacquainted-sites";
    case RefusalReason::roster_expired: return "roster-expired";
    case RefusalReason::training_failed: return "training-failed";
    case RefusalReason::update_not_finite: return "update-not-finite";
    case RefusalReason::local_policy: return "local-policy";
    case RefusalReason::deadline_passed: return "deadline-passed";
    case RefusalReason::plan_rejected: return "plan-rejected";
    case RefusalReason::bad_revealed_share: return "bad-revealed-share";
    case RefusalReason::inconsistent_dealer: return "inconsistent-dealer";
    case RefusalReason::disputed_shares: return "disputed-shares";
    case RefusalReason::dealer_not_at_fault: return "dealer-not-at-fault";
  }
  return "unknown";
}

Result<RefusalReason> refusal_reason(std::uint16_t number) {
  const auto reason = static_cast<RefusalReason>(number);
  if (to_string(reason) == "unknown")
    return invalid_argument("refusal reason: unknown number " + std::to_string(number));
  return reason;
}

}  // namespace fovea::federation::messages

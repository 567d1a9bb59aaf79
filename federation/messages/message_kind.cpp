#include "federation/messages/message_kind.h"

#include <string>

namespace fovea::federation {

std::string_view to_string(MessageKind kind) noexcept {
  switch (kind) {
    case MessageKind::hello: return "hello";
    case MessageKind::training_progress: return "training-progress";
    case MessageKind::training_ready: return "training-ready";
    case MessageKind::keys: return "keys";
    case MessageKind::shares: return "shares";
    case MessageKind::masked_chunk: return "masked-chunk";
    case MessageKind::masked_statement: return "masked-statement";
    case MessageKind::consistency_signature: return "consistency-signature";
    case MessageKind::unmask_shares: return "unmask-shares";
    case MessageKind::attempt_failure: return "attempt-failure";
    case MessageKind::plan_offer: return "plan-offer";
    case MessageKind::roster_offer: return "roster-offer";
    case MessageKind::train_task: return "train-task";
    case MessageKind::parameters: return "parameters";
    case MessageKind::key_list: return "key-list";
    case MessageKind::routed_shares: return "routed-shares";
    case MessageKind::chunk_request: return "chunk-request";
    case MessageKind::consistency_request: return "consistency-request";
    case MessageKind::unmask_request: return "unmask-request";
    case MessageKind::aggregate_chunk: return "aggregate-chunk";
    case MessageKind::round_evidence: return "round-evidence";
    case MessageKind::refusal: return "refusal";
    case MessageKind::attempt_abandoned: return "attempt-abandoned";
    case MessageKind::beacon_commitment: return "beacon-commitment";
    case MessageKind::beacon_nonce: return "beacon-nonce";
    case MessageKind::beacon_request: return "beacon-request";
    case MessageKind::beacon_commitments: return "beacon-commitments";
    case MessageKind::beacon: return "beacon";
    case MessageKind::dealer_fault: return "dealer-fault";
  }
  return "unknown";
}

Result<MessageKind> message_kind(std::uint16_t number) {
  const bool site = number >= 1 && number <= 12;
  const bool coordinator = number >= 32 && number <= 48;
  if (!site && !coordinator) return invalid_argument("message kind: unknown number " + std::to_string(number));
  return static_cast<MessageKind>(number);
}

bool is_from_site(MessageKind kind) noexcept { return static_cast<std::uint16_t>(kind) < 32; }

}  // namespace fovea::federation

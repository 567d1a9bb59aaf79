#include "federation/ledger/egress_rules.h"

namespace fovea::federation {

std::optional<MessageScope> egress_scope(MessageKind kind) {
  switch (kind) {
    case MessageKind::hello:
    case MessageKind::attempt_failure: return MessageScope::session;
    case MessageKind::training_progress:
    case MessageKind::training_ready:
    case MessageKind::beacon_commitment:
    case MessageKind::beacon_nonce: return MessageScope::plan;
    case MessageKind::keys:
    case MessageKind::shares:
    case MessageKind::masked_chunk:
    case MessageKind::masked_statement:
    case MessageKind::consistency_signature:
    case MessageKind::unmask_shares: return MessageScope::round;
    case MessageKind::plan_offer:
    case MessageKind::roster_offer:
    case MessageKind::train_task:
    case MessageKind::parameters:
    case MessageKind::key_list:
    case MessageKind::routed_shares:
    case MessageKind::chunk_request:
    case MessageKind::consistency_request:
    case MessageKind::unmask_request:
    case MessageKind::aggregate_chunk:
    case MessageKind::round_evidence:
    case MessageKind::refusal:
    case MessageKind::attempt_abandoned:
    case MessageKind::beacon_request:
    case MessageKind::beacon_commitments:
    case MessageKind::beacon:
    case MessageKind::dealer_fault: return std::nullopt;
  }
  return std::nullopt;
}

std::optional<MessageKind> egress_kind(std::string_view text) {
  constexpr MessageKind kKinds[] = {MessageKind::hello,
                                    MessageKind::attempt_failure,
                                    MessageKind::training_progress,
                                    MessageKind::training_ready,
                                    MessageKind::keys,
                                    MessageKind::shares,
                                    MessageKind::masked_chunk,
                                    MessageKind::masked_statement,
                                    MessageKind::consistency_signature,
                                    MessageKind::unmask_shares,
                                    MessageKind::beacon_commitment,
                                    MessageKind::beacon_nonce};
  for (const MessageKind kind : kKinds)
    if (to_string(kind) == text) return kind;
  return std::nullopt;
}

std::vector<std::string> required_checks(MessageKind kind) {
  std::vector<std::string> checks{"kind", "length"};
  const std::optional<MessageScope> scope = egress_scope(kind);
  if (scope != MessageScope::session) checks.insert(checks.end(), {"plan", "model"});
  if (kind == MessageKind::masked_chunk) checks.emplace_back("uniform");
  if (scope == MessageScope::round) checks.emplace_back("cohort");
  checks.emplace_back("budget");
  return checks;
}

}  // namespace fovea::federation

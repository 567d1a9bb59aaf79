#include "federation/ledger/egress_rules.h"

namespace fovea::federation {

std::optional<MessageScope> egress_scope(MessageKind kind) {
  const MessageKindInfo* info = find_kind(kind);
  return info == nullptr ? std::nullopt : info->scope;
}

std::optional<MessageKind> egress_kind(std::string_view text) {
  for (const MessageKindInfo& info : kMessageKinds)
    if (is_sent_by_site(info) && info.name == text) return info.kind;
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

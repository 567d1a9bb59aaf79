#include "federation/ledger/egress_rules.h"

namespace fovea::federation::ledger {

std::optional<messages::MessageScope> egress_scope(messages::MessageKind kind) {
  const messages::MessageKindInfo* info = messages::find_kind(kind);
  return info == nullptr ? std::nullopt : info->scope;
}

std::optional<messages::MessageKind> egress_kind(std::string_view text) {
  for (const messages::MessageKindInfo& info : messages::kMessageKinds)
    if (messages::is_sent_by_site(info) && info.name == text) return info.kind;
  return std::nullopt;
}

std::vector<std::string> required_checks(messages::MessageKind kind) {
  std::vector<std::string> checks{"kind", "length"};
  const std::optional<messages::MessageScope> scope = egress_scope(kind);
  if (scope != messages::MessageScope::session) checks.insert(checks.end(), {"plan", "model"});
  if (kind == messages::MessageKind::masked_chunk) checks.emplace_back("uniform");
  if (scope == messages::MessageScope::round) checks.emplace_back("cohort");
  checks.emplace_back("budget");
  return checks;
}

}  // namespace fovea::federation::ledger

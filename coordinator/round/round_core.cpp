#include "coordinator/round/round_core.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace fovea::coordinator::round {

using federation::messages::MessageKind;
using federation::messages::RefusalReason;

std::string count_of_sites(std::size_t sites) { return std::to_string(sites) + (sites == 1 ? " site" : " sites"); }

std::string_view to_string(RoundPhase phase) noexcept {
  switch (phase) {
    case RoundPhase::announced: return "announced";
    case RoundPhase::collecting_keys: return "collecting-keys";
    case RoundPhase::collecting_shares: return "collecting-shares";
    case RoundPhase::collecting_masked: return "collecting-masked";
    case RoundPhase::collecting_consistency: return "collecting-consistency";
    case RoundPhase::collecting_unmask: return "collecting-unmask";
    case RoundPhase::unmasking: return "unmasking";
    case RoundPhase::finished: return "finished";
    case RoundPhase::aborted: return "aborted";
  }
  return "unknown";
}

std::vector<RosterIndex> prune_isolated(const federation::secagg::AttemptContext& context,
                                        std::vector<RosterIndex>& sites) {
  std::vector<RosterIndex> pruned;
  if (!context.graph) return pruned;  // there every site counts for every other
  while (const auto isolated = context.find_isolated(sites, sites)) {
    pruned.push_back(*isolated);
    std::erase(sites, *isolated);
  }
  return pruned;
}

void RoundMachine::Core::refuse(RefusalReason reason, std::string detail) {
  effects.refusal = federation::messages::Refusal{reason, std::move(detail)};
}

void RoundMachine::Core::refuse_to(RosterIndex site, const federation::messages::SignedMessage& message,
                                   RefusalReason reason, std::string detail) {
  const federation::messages::RefusalNotice notice{setup.task.round, attempt, message.kind(), reason};
  send({site}, MessageKind::refusal, notice.encode());
  refuse(reason, id_of(site).text() + ": " + detail);
}

void RoundMachine::Core::blame(RosterIndex site, RefusalReason reason, std::vector<Bytes> evidence) {
  excluded.insert(site);
  effects.blamed.push_back({id_of(site), reason, std::move(evidence)});
}

Bytes RoundMachine::Core::seal(MessageKind kind, ByteView payload) const {
  return federation::messages::seal_message({kind, setup.run, std::nullopt, setup.roster.epoch}, payload, setup.key);
}

void RoundMachine::Core::send(const std::vector<RosterIndex>& to, MessageKind kind, ByteView payload) {
  if (to.empty()) return;
  RoundOutbound message{.to = {}, .kind = kind, .wire = seal(kind, payload)};
  for (const RosterIndex site : to) message.to.push_back(id_of(site));
  effects.outbound.push_back(std::move(message));
}

const federation::secagg::AttemptContext* RoundMachine::Core::context() const noexcept {
  using Context = const federation::secagg::AttemptContext*;
  return std::visit(Overloaded{
                        [](const Announced&) -> Context { return nullptr; },
                        [](const CollectingKeys& p) -> Context { return &p.context; },
                        [](const CollectingShares& p) -> Context { return &p.context; },
                        [](const CollectingMasked& p) -> Context { return &p.context; },
                        [](const CollectingConsistency& p) -> Context { return &p.attempt.context; },
                        [](const CollectingUnmask& p) -> Context { return &p.attempt.context; },
                        [](const Unmasking& p) -> Context { return &p.from.attempt.context; },
                        [](const Finished&) -> Context { return nullptr; },
                        [](const Aborted&) -> Context { return nullptr; },
                    },
                    phase);
}

bool RoundMachine::Core::is_current(const federation::messages::AttemptRef& ref,
                                    const federation::messages::SignedMessage& message, RosterIndex site) {
  const federation::secagg::AttemptContext* current = context();
  if (current == nullptr) {
    refuse_to(site, message, RefusalReason::unexpected_kind, "no attempt is open");
    return false;
  }
  if (ref == current->ref()) return true;
  const RefusalReason reason = ref.round != setup.task.round ? RefusalReason::stale_round
                               : ref.attempt != attempt      ? RefusalReason::stale_attempt
                                                             : RefusalReason::parameters_differ;
  refuse_to(site, message, reason, "a message of another attempt");
  return false;
}

}  // namespace fovea::coordinator::round

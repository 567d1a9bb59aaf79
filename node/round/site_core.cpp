#include "node/round/site_core.h"

#include <string_view>
#include <utility>

namespace fovea::node::round {

using federation::messages::MessageKind;
using federation::messages::RefusalReason;

std::string_view to_string(SitePhase phase) noexcept {
  switch (phase) {
    case SitePhase::idle: return "idle";
    case SitePhase::training: return "training";
    case SitePhase::ready: return "ready";
    case SitePhase::keys_sent: return "keys-sent";
    case SitePhase::shares_sent: return "shares-sent";
    case SitePhase::masked_sending: return "masked-sending";
    case SitePhase::masked_sent: return "masked-sent";
    case SitePhase::consistency_signed: return "consistency-signed";
    case SitePhase::unmasked: return "unmasked";
  }
  return "unknown";
}

std::optional<federation::messages::Refusal> check_ref(const federation::messages::AttemptRef& ref,
                                                       const federation::secagg::AttemptContext& context) {
  const federation::messages::AttemptRef own = context.ref();
  if (ref.round != own.round)
    return federation::messages::Refusal{
        RefusalReason::stale_round, "round " + std::to_string(ref.round) + ", current is " + std::to_string(own.round)};
  if (ref.attempt != own.attempt)
    return federation::messages::Refusal{
        RefusalReason::stale_attempt,
        "attempt " + std::to_string(ref.attempt) + ", current is " + std::to_string(own.attempt)};
  if (ref.parameters != own.parameters)
    return federation::messages::Refusal{RefusalReason::parameters_differ, "another H(P) than this attempt's"};
  return std::nullopt;
}

void SiteMachine::Core::refuse(RefusalReason reason, std::string detail) {
  effects.refusal = federation::messages::Refusal{reason, std::move(detail)};
}

void SiteMachine::Core::refuse_unexpected(const federation::messages::SignedMessage& message) {
  refuse(RefusalReason::unexpected_kind,
         std::string(federation::messages::to_string(message.kind())) + " is not awaited now");
}

void SiteMachine::Core::refuse_forgotten(const federation::messages::SignedMessage& message,
                                         const federation::messages::AttemptRef& ref) {
  if (!memory.joined || memory.joined->ref != ref) return refuse_unexpected(message);
  report_failure(ref, RefusalReason::forgotten_after_restart);
  refuse(RefusalReason::forgotten_after_restart, "this attempt's secrets are gone");
}

void SiteMachine::Core::report_failure(const federation::messages::AttemptRef& ref, RefusalReason reason,
                                       std::optional<RosterIndex> accused) {
  const federation::messages::AttemptFailure failure{ref.round, ref.attempt, reason, accused};
  send(seal(MessageKind::attempt_failure, failure.encode(), ref));
}

void SiteMachine::Core::mark(SiteMark mark) {
  effects.journal.push_back(encode_mark(config.run, mark));
  memory.apply(config.run, mark);
}

void SiteMachine::Core::register_mark(SiteMark mark) {
  effects.site_register.push_back(encode_mark(config.run, mark));
  memory.apply(config.run, mark);
}

void SiteMachine::Core::complete_register() {
  while (!memory.unregistered.empty()) register_mark(ReleasedMark(memory.unregistered.back()));
  while (!memory.unregistered_statistics.empty()) register_mark(StatisticMark(memory.unregistered_statistics.back()));
}

void SiteMachine::Core::close_attempts(const ClosedMark& up_to) {
  if (memory.keeps_shares(up_to)) mark(up_to);
}

void SiteMachine::Core::erase_given_up() {
  if (abandoned) close_attempts({abandoned->round, abandoned->attempt});
}

SiteOutbound SiteMachine::Core::seal(MessageKind kind, ByteView payload,
                                     const federation::messages::AttemptRef& ref) const {
  const federation::messages::MessageHeader header{
      .kind = kind, .run = config.run, .sender = config.self, .epoch = config.roster.epoch};
  return {kind, ref.round, ref.attempt, federation::messages::seal_message(header, payload, config.identity)};
}

void SiteMachine::Core::say_hello() {
  const federation::messages::Hello hello{model.round, model.transcript, model.model_hash, config.software};
  send(seal(MessageKind::hello, hello.encode(), {}));
  heard = now;
}

void SiteMachine::Core::say_ready(const federation::messages::TrainTask& task) {
  const federation::messages::TrainingReady ready{task.round, task.model_hash};
  send(seal(MessageKind::training_ready, ready.encode(), {.round = task.round}));
}

const TrainedUpdate* SiteMachine::Core::trained_update() const noexcept {
  return std::visit(Overloaded{
                        [](const Idle&) -> const TrainedUpdate* { return nullptr; },
                        [](const Training&) -> const TrainedUpdate* { return nullptr; },
                        [](const Ready& p) { return &p.trained; },
                        [](const KeysSent& p) { return &p.trained; },
                        [](const SharesSent& p) { return &p.trained; },
                        [](const MaskedSending& p) { return &p.masked.trained; },
                        [](const MaskedSent& p) { return &p.masked.trained; },
                        [](const ConsistencySigned& p) { return &p.trained; },
                        [](const Unmasked& p) { return &p.trained; },
                    },
                    phase);
}

std::optional<TrainedUpdate> SiteMachine::Core::take_trained_update() {
  // The const view above names where the update lies; the phase is about to be replaced by the caller.
  const TrainedUpdate* found = trained_update();
  if (found == nullptr) return std::nullopt;
  return std::move(const_cast<TrainedUpdate&>(*found));
}

const Attempt* SiteMachine::Core::attempt() const noexcept {
  return std::visit(Overloaded{
                        [](const Idle&) -> const Attempt* { return nullptr; },
                        [](const Training&) -> const Attempt* { return nullptr; },
                        [](const Ready&) -> const Attempt* { return nullptr; },
                        [](const KeysSent& p) { return &p.attempt; },
                        [](const SharesSent& p) { return &p.attempt; },
                        [](const MaskedSending& p) { return &p.masked.attempt; },
                        [](const MaskedSent& p) { return &p.masked.attempt; },
                        [](const ConsistencySigned&) -> const Attempt* { return nullptr; },
                        [](const Unmasked&) -> const Attempt* { return nullptr; },
                    },
                    phase);
}

void SiteMachine::Core::abandon_attempt() {
  if (attempt() == nullptr) return;
  std::optional<TrainedUpdate> left = take_trained_update();
  phase = Ready{std::move(*left)};
}

}  // namespace fovea::node::round

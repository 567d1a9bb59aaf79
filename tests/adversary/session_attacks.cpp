// Rosters, plans and tasks: what a coordinator says before a round.
#include <filesystem>

#include "common/durable_file.h"
#include "federation/files/signed_document_file.h"
#include "federation/messages/beacon_messages.h"
#include "tests/adversary/attack.h"

namespace fovea::test {

using federation::messages::TrainTask;

namespace {

Forger task(std::function<void(const Situation&, TrainTask&)> edit) { return edited<TrainTask>(std::move(edit)); }

// A roster that was replaced: its signature is genuine.
std::vector<Bytes> stale_roster(const Situation& s) {
  std::vector<Bytes> out;
  for (const auto& entry : std::filesystem::directory_iterator(s.coordinator.home() / "rosters")) {
    const auto document = federation::files::read_signed_document(entry.path());
    if (out.empty() && document)
      out.push_back(
          s.seal(MessageKind::roster_offer, federation::messages::RosterOffer{document->serialize()}.encode()));
  }
  return out;
}

// The approved one, which is that of another run.
std::vector<Bytes> plan_under_no_run(const Situation& s) {
  const federation::messages::PlanOffer offer{
      read_file(s.coordinator.home().parent_path() / "plan.json", 1U << 20U).value()};
  return {federation::messages::seal_message(
      {.kind = MessageKind::plan_offer, .run = {}, .sender = std::nullopt, .epoch = 1}, offer.encode(),
      s.coordinator.key())};
}

}  // namespace

std::vector<Attack> session_attacks() {
  const MessageKind at = MessageKind::train_task;
  const auto row = [&](const char* name, RefusalReason reason, Forger forge) {
    return Attack{name, at, Timing::instead, refused(reason), std::move(forge)};
  };
  return {
      row("task of a plan that nobody approved", RefusalReason::plan_not_approved,
          task([](const Situation&, TrainTask& t) { t.plan_hash[0] ^= 1; })),
      row("task with another model", RefusalReason::model_differs,
          task([](const Situation&, TrainTask& t) { t.model_hash[0] ^= 1; })),
      row("task after another round", RefusalReason::transcript_differs,
          task([](const Situation&, TrainTask& t) { t.previous_transcript[0] ^= 1; })),
      row("task of a round that is over", RefusalReason::stale_round,
          task([](const Situation&, TrainTask& t) { t.round -= 1; })),
      row("task far ahead", RefusalReason::round_too_far,
          task([](const Situation&, TrainTask& t) { t.round += 20'000; })),
      row("parameters before the task", RefusalReason::not_ready,
          [](const Situation& s) {
            const auto last = s.coordinator.last_to(s.victim(), MessageKind::parameters).value();
            auto p = RoundParameters::decode(last.payload()).value();
            p.round += 1;
            p.model_hash = s.coordinator.model().model_hash;
            return std::vector<Bytes>{s.seal(MessageKind::parameters, p.encode())};
          }),
      row("parameters on the model before", RefusalReason::model_already_released,
          [](const Situation& s) {
            const auto last = s.coordinator.last_to(s.victim(), MessageKind::parameters).value();
            auto p = RoundParameters::decode(last.payload()).value();
            p.round += 1;
            return std::vector<Bytes>{s.seal(MessageKind::parameters, p.encode())};
          }),
      row("parameters of the round that is over", RefusalReason::stale_attempt,
          [](const Situation& s) {
            return std::vector<Bytes>{s.coordinator.last_to(s.victim(), MessageKind::parameters).value().wire()};
          }),
      row("keys of the round that is over", RefusalReason::forgotten_after_restart,
          [](const Situation& s) {
            return std::vector<Bytes>{s.coordinator.last_to(s.victim(), MessageKind::key_list).value().wire()};
          }),
      row("beacon request for another roster", RefusalReason::roster_differs,
          [](const Situation& s) {
            return std::vector<Bytes>{
                s.seal(MessageKind::beacon_request, federation::messages::BeaconRequest{.roster = Digest{1}}.encode())};
          }),
      Attack{"a roster that was replaced", at, Timing::instead, {"past_roster_taken"}, stale_roster},
      Attack{"a roster that no administrator signed",
             at,
             Timing::instead,
             {"roster_ignored"},
             [](const Situation& s) {
               const auto bytes = read_file(s.coordinator.home() / "roster.json", 1U << 20U).value();
               auto document = federation::membership::SignedDocument::parse(bytes).value();
               document.document.back() ^= 1;
               return std::vector<Bytes>{
                   s.seal(MessageKind::roster_offer, federation::messages::RosterOffer{document.serialize()}.encode())};
             }},
      Attack{"a plan that is offered under no run", at, Timing::instead, {"plan_ignored"}, plan_under_no_run},
      Attack{"a plan that is no plan",
             at,
             Timing::instead,
             {"plan_refused"},
             [](const Situation& s) {
               const federation::messages::PlanOffer offer{Bytes(100, '{')};
               return std::vector<Bytes>{federation::messages::seal_message(
                   {.kind = MessageKind::plan_offer, .run = random_run(), .sender = std::nullopt, .epoch = 1},
                   offer.encode(), s.coordinator.key())};
             }},
  };
}

}  // namespace fovea::test

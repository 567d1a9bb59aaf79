// Announcing the task, waiting for trained sites, and beginning, repeating or aborting attempts.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/check.h"
#include "coordinator/round/round_core.h"
#include "coordinator/round/round_marks.h"

namespace fovea::coordinator::round {

using federation::messages::MessageKind;
using federation::messages::RefusalReason;

void RoundMachine::Core::announce(const std::vector<RosterIndex>& sites) {
  if (setup.repeat)
    for (const Bytes& fault : setup.repeat->faults) send(sites, MessageKind::dealer_fault, fault);
  send(sites, MessageKind::train_task, setup.task.encode());
}

void RoundMachine::Core::on_training_progress(const federation::messages::SignedMessage& message, RosterIndex site) {
  const auto decoded = federation::messages::TrainingProgress::decode(message.payload());
  if (!decoded) return refuse_to(site, message, RefusalReason::malformed, decoded.error().message);
  if (decoded->round != setup.task.round) return refuse(RefusalReason::stale_round, "progress of another round");
  Trainee& trainee = trainees[site];
  if (trainee.readiness == Readiness::awaited) trainee.readiness = Readiness::training;
  trainee.permille = decoded->permille;
}

void RoundMachine::Core::on_training_ready(const federation::messages::SignedMessage& message, RosterIndex site) {
  const auto decoded = federation::messages::TrainingReady::decode(message.payload());
  if (!decoded) return refuse_to(site, message, RefusalReason::malformed, decoded.error().message);
  if (decoded->round != setup.task.round)
    return refuse_to(site, message, RefusalReason::stale_round, "ready for another round");
  if (decoded->model_hash != setup.task.model_hash)
    return refuse_to(site, message, RefusalReason::model_differs, "trained on another model");
  Trainee& trainee = trainees[site];
  trainee.readiness = Readiness::ready;
  trainee.permille = 1000;
  consider_start();
}

bool RoundMachine::Core::is_awaited(RosterIndex site, const Trainee& trainee) const {
  if (excluded.contains(site)) return false;
  if (trainee.readiness != Readiness::awaited && trainee.readiness != Readiness::training) return false;
  return now.value - trainee.heard.value < setup.limits.training_progress_ms;
}

std::vector<RosterIndex> RoundMachine::Core::ready_sites() const {
  std::vector<RosterIndex> out;
  for (const auto& [site, trainee] : trainees)
    if (trainee.readiness == Readiness::ready && !excluded.contains(site)) out.push_back(site);
  return out;
}

void RoundMachine::Core::consider_start() {
  auto* announced = std::get_if<Announced>(&phase);
  if (announced == nullptr) return;
  if (ends_for_lack_of_sites()) return;
  std::vector<RosterIndex> ready = ready_sites();
  if (ready.size() < cohort_min()) {
    announced->quorum.reset();
    if (now.value - announced->since.value >= setup.limits.round_ms)
      abort(RefusalReason::deadline_passed,
            "only " + count_of_sites(ready.size()) + (ready.size() == 1 ? " was" : " were") + " ready in time" +
                (setup.repeat ? ", and a sum is repeated with all " + std::to_string(cohort_min()) + " or not at all"
                              : ""));
    return;
  }
  if (!announced->quorum) announced->quorum = now;
  std::size_t most = std::min<std::size_t>(ready.size(), cohort_max());
  if (waits_for_stragglers(*announced, most)) return;
  if (!has_beacon() && most > federation::messages::kCompleteGraphMax) {
    const std::vector<RosterIndex> silent = beacon_silent();
    const std::string missing = "the roster's beacon lacks " + count_of_sites(silent.size()) + ", " +
                                id_of(silent.front()).text() +
                                " among them; it needs every site once: sign a roster without the absent ones";
    if (cohort_min() > federation::messages::kCompleteGraphMax) {
      if (now.value - announced->since.value >= setup.limits.round_ms) abort(RefusalReason::beacon_differs, missing);
      return;
    }
    effects.notices.push_back(missing + "; until then " + std::to_string(federation::messages::kCompleteGraphMax) +
                              " sites take part");
    most = federation::messages::kCompleteGraphMax;
  }
  start_attempt(choose_cohort(std::move(ready), most));
}

// Ends the round where the plan's smallest cohort is out of reach, or a site that the sum must be repeated with
// refuses.
bool RoundMachine::Core::ends_for_lack_of_sites() {
  std::size_t possible = 0;
  std::size_t released = 0;
  std::string missing;
  for (const auto& [site, trainee] : trainees) {
    if (!excluded.contains(site) && !trainee.final_failure) {
      ++possible;
      continue;
    }
    if (trainee.failure == RefusalReason::model_already_released) ++released;
    const std::string why =
        trainee.failure ? " (" + std::string(federation::messages::to_string(*trainee.failure)) + ")" : "";
    missing += (missing.empty() ? "" : ", ") + id_of(site).text() + why;
  }
  if (possible >= cohort_min()) return false;
  if (setup.repeat) {
    abort(RefusalReason::model_already_released, "the sum of round " + std::to_string(setup.repeat->released.round) +
                                                     " cannot be repeated without " + missing + "." + kNeedsNewSeed);
    effects.aborted->repeat.reset();
  } else if (possible + released >= setup.cohort_smallest) {
    abort(RefusalReason::model_already_released,
          count_of_sites(released) + (released == 1 ? " has" : " have") +
              " released shares of a sum on this model before, and no site does so twice: two "
              "sums that differ by one site would show its update." +
              kNeedsNewSeed);
  } else {
    abort(RefusalReason::cohort_too_small, "only " + count_of_sites(possible) + " can take part, the plan asks for " +
                                               std::to_string(setup.cohort_smallest));
  }
  return true;
}

bool RoundMachine::Core::waits_for_stragglers(const Announced& announced, std::size_t sites) const {
  if (now.value - announced.quorum->value >= setup.limits.straggler_ms) return false;
  if (sites > federation::messages::kCompleteGraphMax && !has_beacon()) return true;
  if (sites >= cohort_max()) return false;
  return std::any_of(trainees.begin(), trainees.end(),
                     [&](const auto& entry) { return is_awaited(entry.first, entry.second); });
}

std::vector<RosterIndex> RoundMachine::Core::choose_cohort(std::vector<RosterIndex> ready, std::size_t most) const {
  if (ready.size() <= most) return ready;
  std::rotate(ready.begin(), ready.begin() + static_cast<std::ptrdiff_t>(setup.task.round % ready.size()), ready.end());
  ready.resize(most);
  std::sort(ready.begin(), ready.end());
  return ready;
}

void RoundMachine::Core::start_attempt(std::vector<RosterIndex> candidates) {
  auto encoding = federation::secagg::make_encoding(setup.repeat ? setup.repeat->encoded_for : candidates.size(),
                                                    setup.delta_max, setup.weight_max);
  FOVEA_CHECK(encoding.has_value());  // create() tried it for the largest cohort
  const auto sites = static_cast<std::uint32_t>(candidates.size());
  const bool sparse = sites > federation::messages::kCompleteGraphMax;
  const auto threshold = static_cast<std::uint16_t>(
      sparse ? neighbours.threshold
             : std::max<std::uint32_t>(setup.thresholds.threshold,
                                       federation::secagg::threshold_min(sites, setup.thresholds.colluders_max)));
  if (threshold > sites)
    return abort(RefusalReason::threshold_too_low, "the threshold is above the number of ready sites");
  ++attempt;
  share_wires.clear();
  unmask_wires.clear();
  federation::secagg::RoundParameters parameters{
      .run = setup.run,
      .round = setup.task.round,
      .attempt = attempt,
      .previous_transcript = setup.task.previous_transcript,
      .plan_hash = setup.task.plan_hash,
      .model_hash = setup.task.model_hash,
      .roster_hash = setup.roster.hash,
      .candidates = candidates,
      .thresholds = {setup.thresholds.colluders_max, threshold, setup.thresholds.honest_min},
      .dimension = static_cast<std::uint32_t>(federation::secagg::vector_words(setup.delta_size)),
      .encoding = *encoding,
      .phase_ms = static_cast<std::uint32_t>(setup.limits.phase_ms)};
  if (sparse) parameters.graph = graph_parameters();
  if (setup.repeat)
    parameters.repeats = federation::secagg::RepeatedSum{setup.repeat->released, setup.repeat->encoded_for};
  federation::secagg::AttemptContext context = federation::secagg::AttemptContext::begin(std::move(parameters));
  // Durable first: an attempt number stands for one set of keys, so it must not be used again after a restart.
  effects.journal.push_back(encode_attempt_mark(setup.task.round, attempt));
  effects.opened = context.parameters;
  send(candidates, MessageKind::parameters, context.parameters.encode());
  phase = CollectingKeys{.context = std::move(context), .keys = {}, .gone = {}};
  progress = asked = now;
}

void RoundMachine::Core::retry(RefusalReason reason, const std::string& detail) {
  const federation::secagg::AttemptContext* current = context();
  FOVEA_CHECK(current != nullptr);
  effects.notices.push_back("attempt " + std::to_string(attempt) + " abandoned: " + detail);
  const bool last = attempt >= setup.limits.attempts_max;
  if (last) return abort(reason, detail);
  // Whoever goes on without being accepted hears that it is not: else it would train in vain and not know why.
  std::vector<RosterIndex> sitting_out, others;
  for (const RosterIndex site : current->parameters.candidates)
    (excluded.contains(site) && strangers.contains(site) ? sitting_out : others).push_back(site);
  federation::messages::AttemptAbandoned message{setup.task.round, attempt, reason, false};
  send(others, MessageKind::attempt_abandoned, message.encode());
  message.reason = RefusalReason::unacquainted_sites;
  send(sitting_out, MessageKind::attempt_abandoned, message.encode());
  for (const federation::messages::ListedKeys& entry : current->keys) {
    keys_seen.insert(entry.keys.channel);
    keys_seen.insert(entry.keys.mask);
  }
  phase = Announced{.since = now, .quorum = {}};
  asked = now;
  consider_start();
}

void RoundMachine::Core::abort(RefusalReason reason, const std::string& detail) {
  std::vector<RosterIndex> sites;
  for (const auto& [site, trainee] : trainees) sites.push_back(site);
  const federation::messages::AttemptAbandoned message{setup.task.round, attempt, reason, true};
  send(sites, MessageKind::attempt_abandoned, message.encode());
  // Once shares of the repetition were asked for, only another dealer's fault allows one more (end_at_fault).
  const bool released = std::holds_alternative<CollectingUnmask>(phase) || std::holds_alternative<Unmasking>(phase);
  phase = Aborted{};
  effects.aborted = RoundAborted{reason, detail, setup.task.round + 1, released ? std::nullopt : setup.repeat};
}

}  // namespace fovea::coordinator::round

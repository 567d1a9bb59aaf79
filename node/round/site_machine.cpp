#include "node/round/site_machine.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "common/contains.h"
#include "common/numbers.h"
#include "federation/messages/attempt_ref.h"
#include "federation/messages/message_kind.h"
#include "federation/messages/refusal_reason.h"
#include "node/round/site_core.h"

namespace fovea::node::round {

using federation::messages::MessageKind;
using federation::messages::Refusal;
using federation::messages::RefusalReason;

namespace {

// An attempt on which the coordinator is silent for this many of its phase deadlines is given up.
constexpr std::int64_t kSilentPhases = 10;

// The same task under another round number: a round was lost after training, and the update is still good.
bool same_task(const federation::messages::TrainTask& a, const federation::messages::TrainTask& b) {
  return a.plan_hash == b.plan_hash && a.model_hash == b.model_hash && a.previous_transcript == b.previous_transcript &&
         a.stage_index == b.stage_index && a.stage_round == b.stage_round && a.seed == b.seed;
}

// Requests whose answers are bound to a plan. A task is not among them: its refusal names the plan.
bool asks_for_plan_data(MessageKind kind) {
  static constexpr std::array kKinds{MessageKind::parameters,          MessageKind::key_list,
                                     MessageKind::routed_shares,       MessageKind::chunk_request,
                                     MessageKind::consistency_request, MessageKind::unmask_request,
                                     MessageKind::beacon_request,      MessageKind::beacon_commitments};
  return contains(kKinds, kind);
}

bool is_stricter(const SitePolicy& policy, const SitePolicy& before) {
  return policy.colluders_max > before.colluders_max || policy.honest_min > before.honest_min ||
         policy.cohort_min > before.cohort_min || policy.threshold_min > before.threshold_min;
}

}  // namespace

Result<void> check_policy_bounds(const SitePolicy& policy) {
  if (policy.honest_min < kHonestMin)
    return invalid_argument("policy.honest_min: at least " + std::to_string(kHonestMin) +
                            ", or the sum is one site's own update");
  if (policy.cohort_min < policy.honest_min + policy.colluders_max)
    return invalid_argument("policy.cohort_min: at least honest_min + colluders_max");
  if (policy.cohort_min > federation::messages::kCohortMax)
    return invalid_argument("policy.cohort_min: at most " + std::to_string(federation::messages::kCohortMax));
  return {};
}

SiteMachine::SiteMachine(std::unique_ptr<Core> core) : core_(std::move(core)) {}
SiteMachine::SiteMachine(SiteMachine&&) noexcept = default;
SiteMachine& SiteMachine::operator=(SiteMachine&&) noexcept = default;
SiteMachine::~SiteMachine() = default;

Result<SiteMachine> SiteMachine::create(SiteConfig config, std::span<const Bytes> journal,
                                        std::span<const Bytes> site_register) {
  FOVEA_TRY(check_policy_bounds(config.policy));
  if (config.software.size() > 80) return invalid_argument("software: at most 80 bytes");
  if (config.chunks_per_step == 0) return invalid_argument("chunks_per_step: at least 1");
  const auto index = config.roster.index_of(config.self);
  if (!index) return invalid_argument("roster: this site, " + config.self.text() + ", is not in it");
  if (config.roster.sites[*index].identity_key != config.identity.verify_key())
    return invalid_argument("identity: not the key the roster names for " + config.self.text());
  FOVEA_TRY_ASSIGN(SiteMemory memory, SiteMemory::restore(config.run, journal, site_register));
  std::optional<federation::messages::AttemptRef> abandoned;
  if (memory.joined && !config.last_attempt_open) abandoned = memory.joined->ref;
  auto core = std::make_unique<Core>(Core{.config = std::move(config),
                                          .self = *index,
                                          .on_roster = true,
                                          .memory = std::move(memory),
                                          .model = {},
                                          .has_model = false,
                                          .abandoned = abandoned,
                                          .withdrawn = {},
                                          .without_plan = nobody_approved(),
                                          .wanted_model = {},
                                          .cut_off_said = false,
                                          .phase = Idle{},
                                          .incoming = {},
                                          .faults = {},
                                          .keys_seen = {},
                                          .now = {},
                                          .heard = {},
                                          .effects = {}});
  return SiteMachine(std::move(core));
}

SiteEffects SiteMachine::step(SiteEvent event) {
  core_->effects = {};
  core_->complete_register();
  std::visit([this](auto&& e) { core_->on(std::forward<decltype(e)>(e)); }, std::move(event));
  core_->erase_given_up();
  return std::move(core_->effects);
}

SitePhase SiteMachine::phase() const noexcept { return static_cast<SitePhase>(core_->phase.index()); }

RoundNumber SiteMachine::round() const noexcept {
  if (const auto* training = std::get_if<Training>(&core_->phase)) return training->task.round;
  if (const auto* unmasked = std::get_if<Unmasked>(&core_->phase)) return unmasked->ref.round;
  return core_->trained_update() != nullptr ? core_->trained_update()->task.round : 0;
}

AttemptNumber SiteMachine::attempt() const noexcept {
  if (const auto* unmasked = std::get_if<Unmasked>(&core_->phase)) return unmasked->ref.attempt;
  if (const auto* signed_phase = std::get_if<ConsistencySigned>(&core_->phase)) return signed_phase->ref.attempt;
  return core_->attempt() != nullptr ? core_->attempt()->context.parameters.attempt : 0;
}

RoundNumber SiteMachine::last_round() const noexcept { return core_->model.round; }

void SiteMachine::Core::on(Connected) {
  cut_off_said = false;
  say_hello();
  if (withdrawn) report_failure({withdrawn->round, withdrawn->attempt}, withdrawn->reason);
}

void SiteMachine::Core::on(MessageReceived event) {
  const federation::messages::SignedMessage& message = event.message;
  const federation::messages::MessageHeader& header = message.header();
  if (header.sender) return refuse(RefusalReason::unknown_sender, "only the coordinator speaks to a site");
  if (header.run != config.run) return refuse(RefusalReason::wrong_run, "a message of another run");
  heard = now;
  wall = event.at;
  // A published sum may be older than the roster; its evidence names the one it was made under.
  const bool published =
      message.kind() == MessageKind::round_evidence || message.kind() == MessageKind::aggregate_tags ||
      message.kind() == MessageKind::aggregate_carries || message.kind() == MessageKind::aggregate_chunk;
  if (!published && header.epoch != config.roster.epoch)
    return refuse(RefusalReason::wrong_epoch, "roster epoch " + std::to_string(header.epoch) + ", pinned is " +
                                                  std::to_string(config.roster.epoch));
  if (!has_plan() && asks_for_plan_data(message.kind())) return refuse_withdrawn(message);
  if (message.kind() == MessageKind::parameters) return on_parameters(message, std::move(event.seed));
  struct Handler {
    MessageKind kind;
    void (Core::*handle)(const federation::messages::SignedMessage&);
  };
  static constexpr std::array kHandlers{Handler{MessageKind::train_task, &Core::on_train_task},
                                        Handler{MessageKind::key_list, &Core::on_key_list},
                                        Handler{MessageKind::routed_shares, &Core::on_routed_shares},
                                        Handler{MessageKind::chunk_request, &Core::on_chunk_request},
                                        Handler{MessageKind::consistency_request, &Core::on_consistency_request},
                                        Handler{MessageKind::unmask_request, &Core::on_unmask_request},
                                        Handler{MessageKind::aggregate_tags, &Core::on_aggregate_tags},
                                        Handler{MessageKind::aggregate_carries, &Core::on_aggregate_carries},
                                        Handler{MessageKind::aggregate_chunk, &Core::on_aggregate_chunk},
                                        Handler{MessageKind::round_evidence, &Core::on_evidence},
                                        Handler{MessageKind::refusal, &Core::on_notice},
                                        Handler{MessageKind::attempt_abandoned, &Core::on_abandoned},
                                        Handler{MessageKind::beacon_request, &Core::on_beacon_request},
                                        Handler{MessageKind::beacon_commitments, &Core::on_beacon_commitments},
                                        Handler{MessageKind::beacon, &Core::on_beacon},
                                        Handler{MessageKind::dealer_fault, &Core::on_dealer_fault}};
  static_assert(federation::messages::covers(kHandlers, [](const federation::messages::MessageKindInfo& info) {
    const bool of_the_driver = info.kind == MessageKind::plan_offer || info.kind == MessageKind::roster_offer ||
                               info.kind == MessageKind::site_blame;
    return !federation::messages::is_sent_by_site(info) && !of_the_driver && info.kind != MessageKind::parameters;
  }));
  const Handler* const handler = federation::messages::find_entry(kHandlers, message.kind());
  if (handler == nullptr) return refuse_unexpected(message);
  (this->*handler->handle)(message);
}

void SiteMachine::Core::on(const ModelAdopted& event) {
  model = event;
  has_model = true;
  roster_lacking.reset();
  incoming.reset();
  close_attempts({model.round, kEveryAttempt});
  if (wanted_model == model.model_hash) {
    wanted_model.reset();
    say_hello();
  }
  const auto stale = [&](const federation::messages::TrainTask& task) {
    if (task.model_hash == model.model_hash && task.previous_transcript == model.transcript) return;
    effects.cancel_training = std::holds_alternative<Training>(phase);
    phase = Idle{};
  };
  if (const auto* training = std::get_if<Training>(&phase)) return stale(training->task);
  if (trained_update() != nullptr) stale(trained_update()->task);
}

void SiteMachine::Core::on(TrainingAdvanced event) {
  const auto* training = std::get_if<Training>(&phase);
  if (training == nullptr || training->started_round != event.round || event.permille > 1000) return;
  const federation::messages::TrainingProgress progress{training->task.round, event.permille};
  send(seal(MessageKind::training_progress, progress.encode(), {.round = training->task.round}));
}

void SiteMachine::Core::on(TrainingFinished event) {
  const auto* training = std::get_if<Training>(&phase);
  if (training == nullptr || training->started_round != event.round)
    return refuse(RefusalReason::unexpected_kind,
                  "no training of round " + std::to_string(event.round) + " is running");
  const federation::messages::TrainTask task = training->task;
  if (!all_finite(event.update.delta)) {
    // A diverged update stays here; the sum is not touched (docs/protocol.md).
    report_failure({.round = task.round}, RefusalReason::update_not_finite);
    phase = Idle{};
    return refuse(RefusalReason::update_not_finite, "the trained update has values that are not finite");
  }
  if (auto released = check_statistic(task.model_hash, event.measured)) {
    report_failure({.round = task.round}, released->reason);
    phase = Idle{};
    return refuse(std::move(*released));
  }
  if (!event.measured.empty()) mark(StatisticMark{task.model_hash, false, std::move(event.measured)});
  const Digest digest = federation::secagg::update_digest(event.update, config.identity.seed());
  phase = Ready{{task, std::move(event.update), digest}};
  say_ready(task);
}

void SiteMachine::Core::on(TrainingFailed event) {
  const auto* training = std::get_if<Training>(&phase);
  if (training == nullptr || training->started_round != event.round) return;
  report_failure({.round = training->task.round}, RefusalReason::training_failed);
  phase = Idle{};
}

void SiteMachine::Core::on(PolicyChanged event) {
  if (auto checked = check_policy_bounds(event.policy); !checked)
    return refuse(RefusalReason::local_policy, checked.error().message);
  const SitePolicy before = std::exchange(config.policy, std::move(event.policy));
  if (!has_plan()) {
    without_plan = std::move(event.why);
    if (withdrawn) withdrawn->reason = without_plan.reason;
    if (!before.plans_approved.empty()) withdraw();
    return;
  }
  withdrawn.reset();
  // What was joined under a weaker policy ends; the next P is held to the new one.
  if (is_stricter(config.policy, before)) give_up_attempt(RefusalReason::local_policy);
  if (event.ends_attempt) give_up_attempt(RefusalReason::unacquainted_sites);
  say_hello();  // a task refused for want of an approval is offered again
}

void SiteMachine::Core::give_up_attempt(RefusalReason why) {
  if (!memory.joined || abandoned == memory.joined->ref) return;
  const federation::messages::AttemptRef ref = memory.joined->ref;
  const bool in_hand = attempt() != nullptr || std::holds_alternative<ConsistencySigned>(phase);
  abandoned = effects.abandoned = ref;
  if (!in_hand) return;
  std::optional<TrainedUpdate> left = take_trained_update();
  phase = Ready{std::move(*left)};
  report_failure(ref, why);
}

// A statement counts signatures by their places on the roster of its attempt. Under another roster other keys stand at
// those places: the signed mark releases nothing any more, in memory or after a restart.
void SiteMachine::Core::void_attempt() {
  abandon_attempt();
  if (auto* was = std::get_if<ConsistencySigned>(&phase)) phase = Ready{std::move(was->trained)};
  const bool released = memory.unmasked && memory.joined && memory.unmasked->ref == memory.joined->ref;
  if (memory.joined && !released) abandoned = effects.abandoned = memory.joined->ref;
}

// The secrets go with the phase. An attempt that was signed is void: its release must not leave any more.
void SiteMachine::Core::withdraw() {
  const RefusalReason why = without_plan.reason;
  const std::size_t said = effects.outbound.size();
  effects.cancel_training = std::holds_alternative<Training>(phase);
  RoundNumber round = 0;
  if (const auto* training = std::get_if<Training>(&phase)) round = training->task.round;
  else if (const TrainedUpdate* update = trained_update()) round = update->task.round;
  withdrawn =
      federation::messages::AttemptFailure{.round = round, .attempt = 0, .reason = why, .accused = std::nullopt};
  if (attempt() != nullptr || std::holds_alternative<ConsistencySigned>(phase))
    withdrawn->attempt = memory.joined->ref.attempt;
  give_up_attempt(why);
  phase = Idle{};
  incoming.reset();
  effects.notices.push_back(without_plan.detail + ": what was under way is given up");
  if (effects.outbound.size() == said) report_failure({.round = round}, why);
}

// So that the coordinator need not wait for the answer.
void SiteMachine::Core::refuse_withdrawn(const federation::messages::SignedMessage& message) {
  if (withdrawn) report_failure({withdrawn->round, withdrawn->attempt}, withdrawn->reason);
  refuse(without_plan.reason,
         std::string(federation::messages::to_string(message.kind())) + ": " + without_plan.detail);
}

void SiteMachine::Core::on(RosterAdopted event) {
  if (event.roster.epoch <= config.roster.epoch) return refuse(RefusalReason::wrong_epoch, "not a newer roster");
  void_attempt();
  faults = {};  // they name sites by their place on the roster before
  config.rosters_past.push_back(std::exchange(config.roster, std::move(event.roster)));
  const auto index = config.roster.index_of(config.self);
  on_roster = index.has_value();
  self = index.value_or(0);
  if (roster_lacking && roster_named(*roster_lacking) != nullptr) roster_lacking.reset();
  say_hello();
}

void SiteMachine::Core::on(PastRosterLearnt event) {
  if (event.roster.epoch >= config.roster.epoch)
    return refuse(RefusalReason::wrong_epoch, "not a roster of an earlier epoch");
  if (roster_named(event.roster.hash) != nullptr) return;
  config.rosters_past.push_back(std::move(event.roster));
  if (!roster_lacking || roster_named(*roster_lacking) == nullptr) return;
  roster_lacking.reset();
  say_hello();
}

void SiteMachine::Core::on(Resume) {
  if (auto* sending = std::get_if<MaskedSending>(&phase)) send_chunks(*sending);
}

void SiteMachine::Core::on(Tick event) {
  const bool first_look = now.value == 0;  // at a clock: nobody was silent until then
  now = std::max(now, event.now);
  const std::int64_t silent_ms = now.value - heard.value;
  const Attempt* current = attempt();
  if (current != nullptr && silent_ms > kSilentPhases * std::int64_t{current->context.parameters.phase_ms}) {
    effects.notices.emplace_back("attempt given up: the coordinator is silent");
    abandon_attempt();
  }
  const std::int64_t pace_ms = stands_aside() ? config.hello_aside_ms : config.hello_interval_ms;
  if (!first_look && silent_ms >= pace_ms && !std::holds_alternative<Training>(phase)) say_hello();
}

void SiteMachine::Core::on_train_task(const federation::messages::SignedMessage& message) {
  auto decoded = federation::messages::TrainTask::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  const federation::messages::TrainTask& task = *decoded;
  const auto refuse_task = [&](RefusalReason reason, std::string detail) {
    report_failure({.round = task.round}, reason);
    refuse(reason, std::move(detail));
    if (reason != RefusalReason::model_differs && reason != RefusalReason::transcript_differs) return;
    // Behind: the hello says where this site stands, so that the sums it lacks are sent.
    wanted_model = task.model_hash;
    say_hello();
  };
  if (!on_roster) return refuse_task(RefusalReason::not_a_candidate, "this site is no longer on the roster");
  if (task.round <= model.round)
    return refuse(RefusalReason::stale_round, "round " + std::to_string(task.round) + " is over");
  if (auto number = check_round_number(task.round)) return refuse_task(number->reason, std::move(number->detail));
  if (auto joined = check_joined_round(task.round)) return refuse_task(joined->reason, std::move(joined->detail));
  if (memory.unmasked && task.round <= memory.unmasked->ref.round)
    return refuse(RefusalReason::round_already_unmasked,
                  "shares of round " + std::to_string(memory.unmasked->ref.round) + " were released");
  if (!is_approved(task.plan_hash)) {
    Refusal why = refusal_of_plan();
    return refuse_task(why.reason, std::move(why.detail));
  }
  if (!has_model || task.model_hash != model.model_hash)
    return refuse_task(RefusalReason::model_differs, "not the model this site computed");
  if (task.previous_transcript != model.transcript)
    return refuse_task(RefusalReason::transcript_differs, "not the successor of the last round known here");
  if (auto released = check_task_unreleased(task.model_hash))
    return refuse_task(released->reason, std::move(released->detail));
  if (task.stage_index != model.next.stage_index || task.stage_round != model.next.stage_round ||
      task.seed != model.next.seed)
    return refuse_task(RefusalReason::task_differs, "not the stage, position and seed that the plan gives next");

  const auto start = [&] {
    phase = Training{task, task.round};
    effects.start_training = task;
  };
  if (auto* training = std::get_if<Training>(&phase)) {
    if (task.round < training->task.round) return refuse(RefusalReason::stale_round, "a newer task is being trained");
    if (same_task(task, training->task)) {
      training->task = task;
      return;
    }
    effects.cancel_training = true;
    return start();
  }
  const TrainedUpdate* current = trained_update();
  if (current == nullptr) return start();
  if (task.round < current->task.round) return refuse(RefusalReason::stale_round, "a newer task is in hand");
  if (!same_task(task, current->task)) return start();
  if (task.round == current->task.round) return say_ready(task);
  std::optional<TrainedUpdate> kept = take_trained_update();
  kept->task = task;
  phase = Ready{std::move(*kept)};
  say_ready(task);
}

void SiteMachine::Core::on_abandoned(const federation::messages::SignedMessage& message) {
  auto decoded = federation::messages::AttemptAbandoned::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  // Also one that this site has signed, or joined before a restart: its secrets are gone, but the gate still has it
  // open.
  const auto& joined = memory.joined;
  const bool named = joined && decoded->round == joined->ref.round &&
                     (decoded->round_over || decoded->attempt == joined->ref.attempt);
  if (!named) {
    if (attempt() != nullptr) refuse(RefusalReason::stale_attempt, "another attempt was abandoned");
    return;
  }
  if (abandoned == joined->ref) return;
  abandoned = effects.abandoned = joined->ref;
  if (decoded->reason == RefusalReason::unacquainted_sites) effects.sits_out = decoded->round;
  else
    effects.notices.push_back("attempt " + std::to_string(joined->ref.attempt) + " of round " +
                              std::to_string(joined->ref.round) +
                              " abandoned: " + std::string(federation::messages::to_string(decoded->reason)));
  abandon_attempt();
}

void SiteMachine::Core::on_notice(const federation::messages::SignedMessage& message) {
  auto decoded = federation::messages::RefusalNotice::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  effects.refused_by_coordinator = *decoded;
}

}  // namespace fovea::node::round

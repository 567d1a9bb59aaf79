#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>
#include <variant>

#include "crypto/random_source.h"
#include "federation/ledger/egress_rules.h"
#include "federation/model/counted_update.h"
#include "node/io/site_driver_parts.h"

namespace fovea::node::io {
namespace {

using federation::messages::MessageKind;

// A round's model can be derived again from the published sums, so the file need not follow at once.
constexpr std::int64_t kSaveEveryMs = 10'000;

bool waits_for_person(federation::messages::RefusalReason reason) {
  using federation::messages::RefusalReason;
  return reason == RefusalReason::unacquainted_sites || reason == RefusalReason::plan_not_approved ||
         reason == RefusalReason::plan_rejected || reason == RefusalReason::local_policy ||
         reason == RefusalReason::roster_expired;
}

bool is_of_published_sum(MessageKind kind) {
  return kind == MessageKind::round_evidence || kind == MessageKind::aggregate_tags ||
         kind == MessageKind::aggregate_carries || kind == MessageKind::aggregate_chunk;
}

}  // namespace

void SiteDriver::Parts::log(const round::SiteEffects& effects) {
  for (const std::string& notice : effects.notices) spdlog::info("{}", notice);
  if (const auto& refusal = effects.refusal; refusal && refusals_shown.admit(clock->monotonic())) {
    // What lasts until a person does something is asked for every few seconds, and refused in the same words.
    const std::string said = std::string(federation::messages::to_string(refusal->reason)) + ": " + refusal->detail;
    if (std::exchange(refused, said) != said || !waits_for_person(refusal->reason)) spdlog::warn("refused: {}", said);
    events.write("message_refused",
                 {{"reason", federation::messages::to_string(refusal->reason)}, {"why", refusal->detail}});
  }
  if (effects.refused_by_coordinator) note_notice(*effects.refused_by_coordinator);
}

void SiteDriver::Parts::note_cut_off(RoundNumber round) {
  if (!cut_off.empty()) return;
  cut_off = "run " + run->run().text().substr(0, 12) + " of plan \"" + run->plan().name +
            "\" goes on without this site: by the coordinator's word it made sums under rosters that this site never "
            "had; it takes part in the next plan";
  spdlog::warn("{}", cut_off);
  events.write("cut_off", {{"run", run->run().text()}, {"round", round}});
}

void SiteDriver::Parts::note_sits_out(RoundNumber round) {
  if (!sits_out.empty()) return;
  sits_out =
      "plan \"" + run->plan().name +
      "\": by the coordinator's word other hospitals have not accepted this one: what it trains goes into no sum "
      "until they have; ask them by telephone to compare this site's fingerprint (fovea-node status) and to run "
      "fovea-node roster accept " +
      self.id.text();
  spdlog::warn("{}", sits_out);
  events.write("sits_out", {{"run", run->run().text()}, {"round", round}, {"why", sits_out}});
}

void SiteDriver::Parts::note_egress_refused(const std::string& why) {
  if (!egress_refusals_shown.admit(clock->monotonic())) return;
  spdlog::warn("{}", why);
  events.write("egress_refused", {{"why", why}, {"unreported", egress_refusals_shown.refused()}});
}

Result<void> SiteDriver::Parts::feed(round::SiteEvent first) {
  std::optional<round::SiteEvent> next(std::move(first));
  while (next) {
    round::SiteEffects effects = machine->step(std::move(*next));
    next.reset();
    log(effects);
    if (effects.cut_off) note_cut_off(*effects.cut_off);
    if (effects.sits_out) note_sits_out(*effects.sits_out);
    answered = answered || !effects.journal.empty() || effects.start_training.has_value();
    FOVEA_TRY(run->append_journal(effects.journal));
    FOVEA_TRY(site_register.append(effects.site_register));
    if (effects.abandoned) close_round_at_gate(effects.abandoned->round, "abandoned", 0);
    if (effects.joined) FOVEA_TRY(open_round_at_gate(*effects.joined));
    FOVEA_TRY(send(std::move(effects.outbound)));
    if (effects.cancel_training) worker->cancel();
    if (effects.start_training) FOVEA_TRY(begin_training(*effects.start_training));
    if (effects.verified_sum) {
      FOVEA_TRY_ASSIGN(next, apply(*effects.verified_sum));
    }
    if (effects.more) resume_pending = true;
    // After a sum that was caught up, and after the last, the coordinator waits to hear where this site stands.
    if (!next && std::exchange(greeting_due, false)) next = round::Connected{};
    if (!next && std::exchange(policy_due, false))
      next = round::PolicyChanged{site_policy(), refusal_of(run->plan()), std::exchange(attempt_ends, false)};
  }
  return {};
}

// The same request again, or another attempt without end, is signed and right and still costs entries of the ledger, a
// sync and an event each. What earns a new allowance, a published sum, is always taken.
Result<void> SiteDriver::Parts::take_round_message(federation::messages::SignedMessage message) {
  if (!machine) return take_notice(message), Result<void>();
  if (!is_of_published_sum(message.kind()) && !answers.has_one(clock->monotonic())) {
    note_ignored("message_ignored", "more requests than a sum needs; one in two seconds is answered");
    return {};
  }
  std::optional<crypto::SecretKey> seed;
  if (message.kind() == MessageKind::parameters) {
    crypto::SystemRandom random;
    seed = random.secret_key();
  }
  answered = false;
  FOVEA_TRY(feed(round::MessageReceived{std::move(message), std::move(seed), clock->wall()}));
  if (std::exchange(answered, false)) static_cast<void>(answers.admit(clock->monotonic()));
  return {};
}

// The gate opens or closes an attempt when the machine does, never on the coordinator's word alone; and it checks the
// parameters itself.
Result<void> SiteDriver::Parts::open_round_at_gate(const federation::secagg::RoundParameters& joined) {
  FOVEA_TRY_ASSIGN(const std::uint32_t dimension, run->dimension());
  const auto opened = gate.open_round(joined, {.model = run->model_digest(), .dimension = dimension});
  if (!opened && opened.error().code != ErrorCode::permission_denied) return opened;
  if (!opened) note_egress_refused(opened.error().message);
  return {};
}

void SiteDriver::Parts::close_round_at_gate(RoundNumber round, const char* outcome, std::uint32_t cohort) {
  const auto open = gate.attempt_open();
  if (!open || open->round != round) return;
  const auto closed =
      gate.close_round({.key = *open, .outcome = outcome, .model = run->model_digest(), .cohort = cohort});
  if (!closed) spdlog::warn("{}", closed.error().message);
}

// The gate would refuse it, with the whole batch; the reason for the coordinator must still leave.
void SiteDriver::Parts::drop_what_is_withdrawn(std::vector<round::SiteOutbound>& batch) const {
  if (!run || gate.plan_approved(run->plan().hash)) return;
  std::erase_if(batch, [](const round::SiteOutbound& message) {
    return federation::ledger::egress_scope(message.kind) != federation::messages::MessageScope::session;
  });
}

Result<void> SiteDriver::Parts::send(std::vector<round::SiteOutbound> batch) {
  if (batch.empty()) return {};
  FOVEA_TRY(follow_decision());
  FOVEA_TRY(follow_acceptances());
  drop_what_is_withdrawn(batch);
  // The coordinator asks again for chunks that a slow link has yet to bring; to record and queue them once more would
  // make the link slower still. What is small may be asked for again: a beat, by which this end knows, takes longer.
  std::erase_if(batch, [this](const round::SiteOutbound& message) {
    return message.kind == MessageKind::masked_chunk && transport->is_under_way(message.wire);
  });
  // No intent is recorded for what cannot leave now: the machine sends it again after the next hello.
  if (batch.empty() || transport->state() != ConnectionState::connected) return {};
  std::vector<ByteView> wires;
  wires.reserve(batch.size());
  for (const round::SiteOutbound& message : batch) wires.emplace_back(message.wire);
  answered = true;
  const auto tickets = gate.intend(wires);
  if (!tickets && tickets.error().code != ErrorCode::permission_denied) return tickets.error();
  if (!tickets) {
    note_egress_refused(tickets.error().message);
    return {};
  }
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const federation::messages::MessageKindInfo* const kind = federation::messages::find_kind(batch[i].kind);
    if (const auto queued = transport->send(std::move(batch[i].wire)); !queued) {
      spdlog::warn("not sent: {}", queued.error().message);
      return gate.sent(std::span(*tickets).first(i));
    }
    if (kind != nullptr && !kind->sent_event.empty())
      events.write(std::string(kind->sent_event), {{"round", batch[i].round}, {"attempt", batch[i].attempt}});
  }
  return gate.sent(*tickets);
}

Result<void> SiteDriver::Parts::send_own(MessageKind kind, const RunId& about, const Bytes& payload) {
  round::SiteOutbound message;
  message.kind = kind;
  message.wire = federation::messages::seal_message(
      {.kind = kind, .run = about, .sender = self.id, .epoch = roster ? roster->epoch : 0}, payload, keys.identity);
  std::vector<round::SiteOutbound> batch;
  batch.push_back(std::move(message));
  return send(std::move(batch));
}

Result<void> SiteDriver::Parts::begin_training(const federation::messages::TrainTask& task) {
  shut_out.clear();
  const federation::membership::Plan& plan = run->plan();
  if (task.stage_index >= plan.stages.size()) return feed(round::TrainingFailed{task.round});
  const federation::membership::PlanStage& stage = plan.stages[task.stage_index];
  FOVEA_TRY_ASSIGN(const bool ready, renew_trainer(task.round));
  if (!ready) return feed(round::TrainingFailed{task.round});
  TrainingJob job;
  job.round = task.round;
  job.task.sum = run->sums_applied() + 1;
  job.task.stage = stage.name;
  job.task.stage_round = task.stage_round;
  job.task.stage_rounds = stage.rounds;
  job.task.local_steps = stage.local_steps;
  job.task.learning_rate = stage.learning_rate;
  job.task.seed = task.seed;
  job.task.trains = stage.trains;
  job.model = run->model();
  events.write("training_started", {{"round", task.round}, {"stage", stage.name}, {"stage_round", task.stage_round}});
  worker->begin(std::move(job));
  return {};
}

Result<void> SiteDriver::Parts::take_training_reports() {
  while (worker && machine) {
    std::optional<TrainingReport> report = worker->take();
    if (!report) return {};
    if (const double* fraction = std::get_if<double>(&report->what)) {
      const auto permille = static_cast<std::uint16_t>(std::clamp(*fraction, 0.0, 1.0) * 1000);
      FOVEA_TRY(feed(round::TrainingAdvanced{report->round, permille}));
      continue;
    }
    auto& outcome = std::get<Result<training::TrainingOutcome>>(report->what);
    if (!outcome) {
      spdlog::warn("round {}: training failed: {}", report->round, outcome.error().message);
      events.write("training_failed", {{"round", report->round}, {"why", outcome.error().message}});
      trainer_failed = true;
      FOVEA_TRY(feed(round::TrainingFailed{report->round}));
      continue;
    }
    const std::uint32_t skipped = outcome->studies_skipped;
    round::TrainingFinished finished{.round = report->round, .update = {}, .measured = std::move(outcome->measured)};
    finished.update = federation::model::counted_update(static_cast<federation::model::LocalUpdate&&>(*outcome),
                                                        run->plan().strategy);
    events.write("training_finished", {{"round", report->round}, {"studies_skipped", skipped}});
    FOVEA_TRY(feed(std::move(finished)));
  }
  return {};
}

Result<std::optional<round::SiteEvent>> SiteDriver::Parts::apply(const round::VerifiedSum& sum) {
  if (run->complete()) {
    spdlog::warn("round {}: a sum came after the plan's last round; ignored", sum.round);
    return std::optional<round::SiteEvent>();
  }
  FOVEA_TRY(run->apply(sum));
  cut_off.clear();
  FOVEA_TRY(gate.set_model(run->model_digest()));
  const std::size_t sites = sum.evidence.committed.size();
  close_round_at_gate(sum.round, "applied", static_cast<std::uint32_t>(sites));
  answers.refill_to(kAnswerRate.burst);
  past_offers.refill_to(kPastRosterRate.burst);
  events.write("sum_applied", {{"round", sum.round},
                               {"sums_applied", run->sums_applied()},
                               {"sites", sites},
                               {"in_sum", sum.in_sum},
                               {"weight_sum", sum.sum.weight_sum},
                               {"metric_sums", sum.sum.metric_sums},
                               {"model", to_hex(run->model_digest())}});
  if (sum.in_sum) shut_out.clear();
  if (sum.in_sum && !std::exchange(sits_out, {}).empty()) spdlog::info("other hospitals have accepted this one");
  spdlog::info("round {} applied: {} sites{}, {} of {} sums done", sum.round, sites,
               sum.in_sum ? "" : ", this one not among them", run->sums_applied(), run->plan().rounds_total());
  const MonotonicMs now = clock->monotonic();
  greeting_due = run->complete() || machine->round() != sum.round;
  if (run->complete() || now.value - last_save.value >= kSaveEveryMs) {
    FOVEA_TRY(run->save_model());
    last_save = now;
  }
  if (run->complete()) {
    events.write("run_complete", {{"run", run->run().text()}, {"model", to_hex(run->model_digest())}});
    spdlog::info("the plan is complete; the model is {}", run->model_file().string());
    if (options.until_complete) stop = true;
  }
  FOVEA_TRY_ASSIGN(round::ModelAdopted adopted, run->adopted());
  return std::optional<round::SiteEvent>(std::move(adopted));
}

}  // namespace fovea::node::io

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/console.h"
#include "common/durable_file.h"
#include "coordinator/io/run_driver_parts.h"
#include "federation/membership/plan.h"
#include "federation/model/apply_sum.h"
#include "federation/model/layout.h"
#include "federation/model/state.h"

namespace fovea::coordinator::io {
namespace {

using federation::messages::MessageKind;

constexpr std::uint32_t kRoundsWithoutSumMax = 12;
constexpr std::int64_t kPauseMinMs = 250;
constexpr std::int64_t kPauseMaxMs = 30'000;
// The model's file and the ledger's checkpoint can be made again from what is durable, so short rounds share one save.
constexpr std::int64_t kSaveEveryMs = 2'000;
// Where no sum comes meanwhile: what no checkpoint has, an older journal that is put back takes away unseen.
constexpr std::int64_t kPublishAfterMs = 3'000;

// An answer that came a moment after it was needed: the fourth where three are enough.
bool is_late(federation::messages::RefusalReason reason) {
  return reason == federation::messages::RefusalReason::unexpected_kind ||
         reason == federation::messages::RefusalReason::stale_round ||
         reason == federation::messages::RefusalReason::stale_attempt;
}

std::vector<std::string> names(const std::vector<SiteId>& sites) {
  std::vector<std::string> out;
  for (const SiteId& site : sites) out.push_back(site.text());
  return out;
}

federation::secagg::Thresholds thresholds_of(const federation::membership::Plan& plan) {
  return {.colluders_max = static_cast<std::uint16_t>(plan.secure_aggregation.colluders_max),
          .threshold = static_cast<std::uint16_t>(plan.secure_aggregation.threshold),
          .honest_min = static_cast<std::uint16_t>(plan.secure_aggregation.honest_min)};
}

}  // namespace

void RunDriver::Parts::limit_cohort() {
  const federation::membership::Plan& plan = run->plan();
  cohort_largest = round::cohort_limit(roster.sites.size(), thresholds_of(plan), plan.cohort.largest);
  if (cohort_largest == federation::messages::kCompleteGraphMax &&
      std::min<std::size_t>(plan.cohort.largest, roster.sites.size()) > cohort_largest)
    spdlog::warn(
        "no neighbour graph is safe for {} sites with this plan's m and threshold: at most {} sites take part in a "
        "round",
        roster.sites.size(), cohort_largest);
}

// A site that lacks more than the last sum is still catching up and cannot train on this model yet.
bool RunDriver::Parts::is_present(const SiteId& site) const {
  const auto state = joined.find(site);
  if (state == joined.end() || !server->has_session(site)) return false;
  const auto& history = run->history();
  return std::count_if(history.begin(), history.end(), [&](const store::RoundRecord& past) {
           return past.aborted.empty() && past.round > state->second.last_round;
         }) <= 1;
}

// Who is invited: present sites first, where the plan's largest cohort is below the roster's size.
RunDriver::Parts::Cohort RunDriver::Parts::cohort_of_round(RoundNumber number) const {
  std::vector<RosterIndex> present;
  std::vector<RosterIndex> absent;
  for (std::size_t i = 0; i < roster.sites.size(); ++i) {
    if (left_out.contains(roster.sites[i].id) || cut_off.contains(roster.sites[i].id)) continue;
    (is_present(roster.sites[i].id) ? present : absent).push_back(static_cast<RosterIndex>(i));
  }
  // Whoever was in a round that is past R4 can still release.
  const std::size_t largest = releasing_at_start ? roster.sites.size() : cohort_largest;
  // By turns: whoever sat out comes first next time.
  if (present.size() > largest)
    std::rotate(present.begin(), present.begin() + static_cast<std::ptrdiff_t>(number % present.size()), present.end());
  present.resize(std::min(present.size(), largest));
  absent.resize(std::min(absent.size(), largest - present.size()));
  Cohort out{present.size(), present, absent};
  out.invited.insert(out.invited.end(), absent.begin(), absent.end());
  std::sort(out.invited.begin(), out.invited.end());
  return out;
}

// Exactly the sites that a sum must be repeated with, present or not: the round waits for them, and ends without them.
RunDriver::Parts::Cohort RunDriver::Parts::cohort_to_repeat() const {
  Cohort out{0, repeat->sites, {}};
  for (const RosterIndex site : repeat->sites)
    if (!is_present(roster.sites[site].id)) out.quiet.push_back(site);
  out.present = out.invited.size() - out.quiet.size();
  return out;
}

Result<void> RunDriver::Parts::begin_round_when_ready() {
  store::RunStore& store = *run;
  if (store.complete() || clock->monotonic() < next_round_not_before) return {};
  if (waits_for_roster()) return {};
  // A round that is past R4 can end under no other roster; its deadline ends it.
  if (!releasing_at_start && !roster.check_valid_at(clock->wall())) return {};
  const federation::membership::Plan& plan = store.plan();
  Cohort cohort = repeat ? cohort_to_repeat() : cohort_of_round(store.next_round());
  if (!releasing_at_start && !repeat && cohort.present < plan.cohort.smallest) return {};
  const std::size_t hoped = repeat ? repeat->sites.size() : cohort_largest;
  const std::int64_t waited = clock->monotonic().value - last_joined.value;
  // Only before the first round of this process: later ones start with whoever is connected.
  if (!releasing_at_start && round == 0 && cohort.present < hoped &&
      waited < static_cast<std::int64_t>(options.config.joining_s) * 1000)
    return {};
  round = store.next_round();
  doubters.clear();
  failed_in_round.clear();
  const std::size_t present = cohort.present;
  FOVEA_TRY_ASSIGN(round::RoundSetup setup, make_setup(std::move(cohort)));
  std::vector<Bytes> journal = std::exchange(journal_at_start, {});
  if (journal.empty()) {
    FOVEA_TRY_ASSIGN(journal, store.begin_round(round));
  }
  releasing_at_start = false;
  const std::string stage = plan.stages[setup.task.stage_index].name;
  FOVEA_TRY_ASSIGN(machine, round::RoundMachine::create(std::move(setup), journal));
  round_began = clock->monotonic();
  events.write("round_started",
               {{"round", round}, {"stage", stage}, {"present", present}, {"resumed", !journal.empty()}});
  return feed(round::Begin{round_began});
}

Result<round::RoundSetup> RunDriver::Parts::make_setup(Cohort cohort) const {
  const store::RunStore& store = *run;
  const federation::membership::Plan& plan = store.plan();
  FOVEA_TRY_ASSIGN(const federation::membership::PlanPosition position, plan.position(store.sums() + 1));
  FOVEA_TRY_ASSIGN(const auto ranges, store.model().layout().ranges(plan.stages[position.stage_index].trains));
  const store::RoundRecord* last = store.last_sum();
  round::RoundSetup setup{.run = store.facts().run,
                          .roster = roster,
                          .key = keys.signing.copy(),
                          .task = {.round = round,
                                   .stage_index = static_cast<std::uint32_t>(position.stage_index),
                                   .stage_round = position.stage_round,
                                   .seed = federation::membership::training_seed(plan.hash, store.sums() + 1),
                                   .plan_hash = plan.hash,
                                   .model_hash = store.model_digest(),
                                   .previous_transcript = last == nullptr ? Digest{} : last->transcript},
                          .invited = std::move(cohort.invited),
                          .quiet = std::move(cohort.quiet),
                          .thresholds = thresholds_of(plan),
                          .cohort_smallest = plan.cohort.smallest,
                          .cohort_largest = std::max(cohort_largest, plan.cohort.smallest),
                          .delta_size = static_cast<std::uint32_t>(federation::model::total_size(ranges)),
                          .delta_max = plan.strategy.delta_max,
                          .weight_max = plan.strategy.weight_max,
                          .limits = {}};
  if (repeat) {  // the update of the round before answers it
    setup.task = repeat->task;
    setup.task.round = round;
    setup.repeat = repeat;
  }
  FOVEA_TRY_ASSIGN(setup.beacon, stored_beacon());
  setup.verify_each_tag = verify_each_tag;
  setup.limits.training_progress_ms = static_cast<std::int64_t>(plan.deadlines.progress_s) * 1000;
  setup.limits.phase_ms = static_cast<std::int64_t>(plan.deadlines.phase_s) * 1000;
  setup.limits.straggler_ms = static_cast<std::int64_t>(options.config.straggler_s) * 1000;
  setup.limits.threads = std::max(1U, std::thread::hardware_concurrency());
  setup.limits.attempts_max = options.config.attempts_max;
  return setup;
}

std::filesystem::path RunDriver::Parts::beacon_file() const {
  return options.folder.root() / "beacons" / to_hex(roster.hash);
}

// A beacon belongs to its roster and serves every run under it.
Result<std::optional<federation::messages::BeaconTranscript>> RunDriver::Parts::stored_beacon() const {
  constexpr std::size_t kBeaconBytesMax = std::size_t{1} << 20U;
  const auto bytes = read_file(beacon_file(), kBeaconBytesMax);
  if (!bytes && bytes.error().code == ErrorCode::not_found)
    return std::optional<federation::messages::BeaconTranscript>();
  if (!bytes) return bytes.error();
  auto decoded = federation::messages::BeaconTranscript::decode(*bytes);
  if (!decoded) return corruption(beacon_file().string() + ": " + decoded.error().message);
  return std::optional(std::move(*decoded));
}

Result<void> RunDriver::Parts::store_beacon(const federation::messages::BeaconTranscript& beacon) {
  FOVEA_TRY(create_directories_durably(beacon_file().parent_path()));
  return write_file_durably(beacon_file(), beacon.encode());
}

Result<void> RunDriver::Parts::feed(round::RoundEvent event) {
  const round::RoundPhase before = machine->phase();
  round::RoundEffects effects = machine->step(std::move(event));
  const round::RoundPhase after = machine->phase();
  if (before != after)
    events.write("phase",
                 {{"round", round}, {"attempt", machine->progress().attempt}, {"phase", round::to_string(after)}});
  return perform(std::move(effects));
}

Result<void> RunDriver::Parts::perform(round::RoundEffects effects) {
  for (const std::string& notice : effects.notices) spdlog::info("round {}: {}", round, notice);
  if (effects.refusal) {
    spdlog::log(is_late(effects.refusal->reason) ? spdlog::level::debug : spdlog::level::warn,
                "round {}: refused: {}: {}", round, federation::messages::to_string(effects.refusal->reason),
                effects.refusal->detail);
    events.write("message_refused", {{"reason", federation::messages::to_string(effects.refusal->reason)},
                                     {"why", effects.refusal->detail}});
  }
  for (const round::SatOut& stranger : effects.sat_out) note_sat_out(stranger);
  for (round::BlamedSite& blamed : effects.blamed) FOVEA_TRY(blame(std::move(blamed)));
  verify_each_tag = verify_each_tag || effects.verify_each_tag;
  FOVEA_TRY(run->append_journal(effects.journal));
  if (effects.beacon) FOVEA_TRY(store_beacon(*effects.beacon));
  if (effects.finished) FOVEA_TRY(store_sum(*effects.finished));
  if (effects.opened) FOVEA_TRY(record_opening(*effects.opened));
  FOVEA_TRY(send_all(std::move(effects.outbound)));
  if (effects.unmask) unmasker->begin(std::move(*effects.unmask));
  if (effects.finished) return publish(std::move(*effects.finished));
  if (effects.aborted) return end_without_sum(*effects.aborted);
  return {};
}

void RunDriver::Parts::note_sat_out(const round::SatOut& stranger) {
  const auto known = sat_out.find(stranger.site);
  if (known != sat_out.end() && known->second == stranger.accusers) return;
  sat_out[stranger.site] = stranger.accusers;
  const std::string sites = counted(stranger.accusers, "site");
  spdlog::warn("{} sits out: people at {} have not accepted it yet (fovea-node roster accept {}, there)",
               stranger.site.text(), sites, stranger.site.text());
  events.write("site_sits_out",
               {{"site", stranger.site.text()},
                {"round", round},
                {"reason", federation::messages::to_string(federation::messages::RefusalReason::unacquainted_sites)},
                {"why", "people at " + sites + " have not accepted it yet"}});
}

void RunDriver::Parts::forget_mended(const std::vector<SiteId>& contributors) {
  for (const SiteId& site : contributors) {
    if (!failed_in_round.contains(site)) failures_said.erase(site);
    if (sat_out.erase(site) == 0) continue;
    spdlog::info("{} takes part again", site.text());
    events.write("site_takes_part", {{"site", site.text()}, {"round", round}});
  }
}

Result<void> RunDriver::Parts::record_opening(const federation::secagg::RoundParameters& opened) {
  return record(federation::ledger::RoundOpen{.key = {opened.run, opened.round, opened.attempt},
                                              .plan = opened.plan_hash,
                                              .model = opened.model_hash,
                                              .roster = opened.roster_hash,
                                              .parameters = opened.hash(),
                                              .cohort = static_cast<std::uint32_t>(opened.candidates.size()),
                                              .threshold = opened.thresholds.threshold});
}

Result<void> RunDriver::Parts::send_all(std::vector<round::RoundOutbound> outbound) {
  if (outbound.empty()) return {};
  FOVEA_TRY(sync_ledger());
  for (round::RoundOutbound& message : outbound) {
    const auto wire = std::make_shared<const Bytes>(std::move(message.wire));
    for (const SiteId& site : message.to)
      if (server->send(site, wire) == SendVerdict::outbox_full)
        spdlog::warn("{}: reads messages too slowly; one, \"{}\", was dropped", site.text(),
                     federation::messages::to_string(message.kind));
  }
  return {};
}

store::RoundRecord RunDriver::Parts::describe(RoundNumber number, AttemptNumber attempt) const {
  store::RoundRecord out;
  out.round = number;
  out.attempt = attempt;
  const federation::membership::Plan& plan = run->plan();
  if (const auto position = plan.position(run->sums() + 1)) {
    out.stage = plan.stages[position->stage_index].name;
    out.stage_round = position->stage_round;
  }
  out.seconds = static_cast<double>(clock->monotonic().value - round_began.value) / 1000.0;
  return out;
}

Result<void> RunDriver::Parts::store_sum(const round::RoundResult& result) {
  store::RunStore& store = *run;
  before_last_sum = store.last_sum() == nullptr ? 0 : store.last_sum()->round;
  FOVEA_TRY_ASSIGN(const federation::membership::PlanPosition position, store.plan().position(store.sums() + 1));
  const federation::membership::PlanStage& stage = store.plan().stages[position.stage_index];
  std::future<Result<void>> publication = store.begin_publication(result.round, result.publication);
  FOVEA_TRY_ASSIGN(federation::model::ModelState model, federation::model::apply_sum(store.model(), stage, result.sum));
  store::RoundRecord ended = describe(result.round, result.attempt);
  ended.transcript = result.transcript;
  ended.contributors = names(result.contributors);
  ended.dropouts = names(result.dropouts);
  ended.weight_sum = result.sum.weight_sum;
  ended.metric_sums = result.sum.metric_sums;
  ended.next_round = result.round + 1;
  rounds_without_sum = 0;
  repeat.reset();
  FOVEA_TRY(store.finish_round(ended, std::move(publication), std::move(model)));
  FOVEA_TRY(record(federation::ledger::RoundClose{.key = {store.facts().run, result.round, result.attempt},
                                                  .outcome = "applied",
                                                  .model = store.model_digest(),
                                                  .cohort = static_cast<std::uint32_t>(result.contributors.size())}));
  FOVEA_TRY(sync_ledger());
  events.write("round_finished", {{"round", result.round},
                                  {"attempt", result.attempt},
                                  {"sums", store.sums()},
                                  {"contributors", ended.contributors},
                                  {"dropouts", ended.dropouts},
                                  {"weight_sum", ended.weight_sum},
                                  {"metric_sums", ended.metric_sums},
                                  {"model", to_hex(store.model_digest())},
                                  {"seconds", ended.seconds}});
  forget_mended(result.contributors);
  return {};
}

Result<void> RunDriver::Parts::publish(round::RoundResult result) {
  for (Bytes& message : result.publication) {
    const auto wire = std::make_shared<const Bytes>(std::move(message));
    for (const federation::membership::RosterSite& site : roster.sites)
      if (!cut_off.contains(site.id)) server->send(site.id, wire);
  }
  for (const federation::membership::RosterSite& site : roster.sites)
    if (!cut_off.contains(site.id)) note_sum_sent(site.id, before_last_sum);
  machine.reset();
  FOVEA_TRY(begin_round_when_ready());
  // While the sites apply the sum. A crash may cost it: it can be made again, or is durable already.
  const MonotonicMs now = clock->monotonic();
  if (now.value - last_saved.value < kSaveEveryMs) return sync_ledger();
  last_saved = now;
  return save();
}

Result<void> RunDriver::Parts::save() {
  FOVEA_TRY(run->save_model());
  return publish_ledger();
}

Result<void> RunDriver::Parts::publish_ledger() {
  ledger_dirty = false;
  unpublished_since.reset();
  return ledger.publish();
}

Result<void> RunDriver::Parts::publish_ledger_in_time(bool idle) {
  const MonotonicMs now = clock->monotonic();
  if (ledger.size() == ledger.published_size()) unpublished_since.reset();
  else if (!unpublished_since) unpublished_since = now;
  if (!unpublished_since) return {};
  const std::int64_t waited = now.value - unpublished_since->value;
  return waited >= (idle ? 1 : 2) * kPublishAfterMs ? publish_ledger() : Result<void>();
}

Result<void> RunDriver::Parts::close_without_sum(const round::RoundAborted& aborted) {
  store::RunStore& store = *run;
  store::RoundRecord ended = describe(round, machine->progress().attempt);
  ended.aborted = std::string(federation::messages::to_string(aborted.reason)) +
                  (aborted.detail.empty() ? "" : ": " + aborted.detail);
  ended.next_round = std::max(aborted.next_round, round + 1);
  spdlog::warn("round {} ended without a sum: {}", round, ended.aborted);
  FOVEA_TRY(record(federation::ledger::RoundClose{.key = {store.facts().run, round, ended.attempt},
                                                  .outcome = "abandoned",
                                                  .model = store.model_digest(),
                                                  .cohort = 0}));
  repeat = aborted.repeat;
  FOVEA_TRY(store.abort_round(ended, repeat ? std::optional(repeat->encode()) : std::nullopt));
  FOVEA_TRY(sync_ledger());
  events.write(
      "round_aborted",
      {{"round", round}, {"why", ended.aborted}, {"next_round", ended.next_round}, {"repeats", repeat.has_value()}});
  machine.reset();
  return {};
}

Result<void> RunDriver::Parts::end_without_sum(const round::RoundAborted& aborted) {
  FOVEA_TRY(close_without_sum(aborted));
  if (aborted.reason == federation::messages::RefusalReason::model_already_released)
    return failed_precondition("the run cannot go on: " + aborted.detail);
  if (wait_for_doubters()) return {};
  ++rounds_without_sum;
  if (rounds_without_sum >= kRoundsWithoutSumMax)
    return deadline_exceeded(std::to_string(rounds_without_sum) +
                             " rounds in a row ended without a sum, the last with \"" + run->history().back().aborted +
                             "\"; fix the cause and start the run again; it resumes where it stopped");
  const std::int64_t pause_ms = std::min(kPauseMaxMs, kPauseMinMs << std::min<std::uint32_t>(rounds_without_sum, 16));
  next_round_not_before = MonotonicMs{clock->monotonic().value + pause_ms};
  return {};
}

Result<void> RunDriver::Parts::record(federation::ledger::LedgerEntry entry) {
  FOVEA_TRY(ledger.append(clock->wall(), std::span(&entry, 1)));
  ledger_dirty = true;
  return {};
}

Result<void> RunDriver::Parts::sync_ledger() {
  if (!ledger_dirty) return {};
  FOVEA_TRY(ledger.sync());
  ledger_dirty = false;
  return {};
}

}  // namespace fovea::coordinator::io

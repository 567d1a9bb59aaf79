#include "coordinator/io/run_driver.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/console.h"
#include "common/durable_file.h"
#include "common/stop_signals.h"
#include "coordinator/io/listen_address.h"
#include "coordinator/io/run_driver_parts.h"
#include "coordinator/store/round_record.h"

namespace fovea::coordinator::io {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kTickEveryMs = 100;
constexpr std::int64_t kShowEveryMs = 1'000;
constexpr std::int64_t kRosterCheckEveryMs = 1'000;
constexpr std::int64_t kConfirmationsMaxMs = 10'000;

std::string minutes_and_seconds(std::int64_t ms) {
  const std::int64_t seconds = std::max<std::int64_t>(0, ms) / 1000;
  const auto two = [](std::int64_t value) { return (value < 10 ? "0" : "") + std::to_string(value); };
  return two(seconds / 60) + ":" + two(seconds % 60);
}

// After "3 of 4", for a person.
std::string_view words_for(round::RoundPhase phase) noexcept {
  switch (phase) {
    case round::RoundPhase::announced: return "ready";
    case round::RoundPhase::collecting_keys: return "sent keys";
    case round::RoundPhase::collecting_shares: return "shared";
    case round::RoundPhase::collecting_masked: return "masked";
    case round::RoundPhase::collecting_consistency: return "signed";
    case round::RoundPhase::collecting_unmask: return "unmasked";
    case round::RoundPhase::unmasking: return "removing masks";
    case round::RoundPhase::finished: return "finished";
    case round::RoundPhase::aborted: return "aborted";
  }
  return "";
}

std::string join(const std::vector<SiteId>& sites) {
  std::string out;
  for (const SiteId& site : sites) out += (out.empty() ? "" : ", ") + site.text();
  return out;
}

}  // namespace

void block_stop_signals() { block_signals({SIGINT, SIGTERM}); }

RunDriver::RunDriver(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
RunDriver::~RunDriver() = default;

const std::string& RunDriver::endpoint() const noexcept { return parts_->server->endpoint(); }
const store::RunStore& RunDriver::store() const noexcept { return *parts_->run; }
std::vector<SiteId> RunDriver::lacking() const { return parts_->lacking(); }

Result<std::unique_ptr<RunDriver>> RunDriver::open(RunDriverOptions options, const Clock& clock) {
  const registry::CoordinatorFolder folder = options.folder;
  FOVEA_TRY_ASSIGN(federation::membership::Invite facts, folder.federation());
  FOVEA_TRY_ASSIGN(registry::CoordinatorKeys keys, folder.keys());
  FOVEA_TRY_ASSIGN(federation::membership::Roster roster, folder.roster(clock.wall()));
  FOVEA_TRY_ASSIGN(federation::io::EventLog events, federation::io::EventLog::open(folder.events(), clock));
  FOVEA_TRY_ASSIGN(federation::ledger::Ledger ledger,
                   federation::ledger::Ledger::open({.folder = folder.ledger(),
                                                     .origin = federation::ledger::ledger_origin(
                                                         facts.federation, federation::ledger::kCoordinatorOwner),
                                                     .key = keys.signing.copy(),
                                                     .newest = folder.newest_checkpoint(),
                                                     .history = folder.ledger_history()}));
  FOVEA_TRY_ASSIGN(auto unmasker, UnmaskWorker::create());
  FOVEA_TRY_ASSIGN(Descriptor signals, open_signals({SIGINT, SIGTERM}));
  FOVEA_TRY_ASSIGN(const std::string endpoint, listen_endpoint(options.config.listen_host, options.config.listen_port));
  std::unique_ptr<Parts> parts(new Parts{.options = std::move(options),
                                         .clock = &clock,
                                         .keys = std::move(keys),
                                         .facts = std::move(facts),
                                         .roster = std::move(roster),
                                         .events = std::move(events),
                                         .ledger = std::move(ledger),
                                         .unmasker = std::move(unmasker),
                                         .signals = std::move(signals)});
  Parts& inner = *parts;
  FOVEA_TRY_ASSIGN(inner.server,
                   ZmqServer::start({.endpoint = endpoint}, inner.keys.transport,
                                    [&inner](const federation::io::CurvePublicKey& key) {
                                      const federation::membership::Roster& newest =
                                          inner.next_roster ? *inner.next_roster : inner.roster;
                                      const federation::membership::RosterSite* site = newest.find_transport_key(key);
                                      return site == nullptr ? std::nullopt : std::optional<SiteId>(site->id);
                                    }));
  FOVEA_TRY_ASSIGN(inner.run, inner.options.choose_run());
  FOVEA_TRY(inner.resume_blames());
  FOVEA_TRY(inner.resume_round());
  inner.recall_served();
  std::error_code ignored;
  inner.roster_time = fs::last_write_time(folder.roster_file(), ignored);
  inner.last_roster_check = clock.monotonic();
  inner.limit_cohort();
  return std::unique_ptr<RunDriver>(new RunDriver(std::move(parts)));
}

Result<RunEnd> RunDriver::run() {
  Parts& parts = *parts_;
  const store::RunStore& store = *parts.run;
  FOVEA_TRY(parts.record(federation::ledger::RosterEpoch{parts.roster.epoch, parts.roster.hash,
                                                         static_cast<std::uint32_t>(parts.roster.sites.size())}));
  parts.events.write(parts.options.hand_out_only ? "serve_started" : "run_started",
                     {{"run", store.facts().run.text()},
                      {"plan", to_hex(store.plan().hash)},
                      {"endpoint", parts.server->endpoint()},
                      {"pid", ::getpid()},
                      {"sums", store.sums()},
                      {"rounds_total", store.plan().rounds_total()}});
  parts.show_cut_off();  // nobody said so to this process yet
  spdlog::info("listening on {}", parts.server->endpoint());
  Result<void> outcome;
  while (outcome && !parts.stop && !store.complete()) outcome = parts.loop_once();
  if (outcome && store.complete()) outcome = parts.wait_for_confirmations();
  if (outcome && !parts.options.hand_out_only) outcome = parts.end_run();
  const bool complete = store.complete();
  if (outcome && complete) outcome = parts.hand_out();
  if (outcome && complete) {  // it goes on no more, with nobody
    parts.cut_off.clear();
    parts.show_cut_off();
    outcome = parts.publish_ledger();
  }
  if (!outcome) {
    parts.events.write("run_failed", {{"run", store.facts().run.text()}, {"why", outcome.error().message}});
    return outcome.error();
  }
  if (parts.options.hand_out_only) parts.events.write("serve_stopped", {{"run", store.facts().run.text()}});
  return complete ? RunEnd::complete : RunEnd::stopped;
}

Result<void> RunDriver::Parts::end_run() {
  FOVEA_TRY(write_summary());
  FOVEA_TRY(save());
  events.write(run->complete() ? "run_complete" : "run_stopped",
               {{"run", run->facts().run.text()}, {"sums", run->sums()}});
  return {};
}

Result<void> RunDriver::Parts::loop_once() {
  const int descriptors[] = {signals.number(), unmasker->descriptor()};
  FOVEA_TRY(server->wait(std::chrono::milliseconds(kTickEveryMs), descriptors));
  while (next_signal(signals) != 0) stop = true;
  constexpr int kMessagesMax = 64;  // then look at the clock again
  bool idle = true;
  for (int i = 0; i < kMessagesMax && !stop; ++i) {
    std::optional<InboundMessage> message = server->receive();
    if (!message) break;
    idle = false;
    FOVEA_TRY(handle(std::move(*message)));
  }
  if (std::optional<aggregation::UnmaskOutcome> outcome = unmasker->take(); outcome && machine)
    FOVEA_TRY(feed(round::UnmaskFinished{std::move(*outcome)}));
  FOVEA_TRY(publish_ledger_in_time(idle));
  return tick();
}

Result<void> RunDriver::Parts::tick() {
  const MonotonicMs now = clock->monotonic();
  FOVEA_TRY(watch_roster());
  if (!machine) FOVEA_TRY(begin_round_when_ready());
  if (now.value - last_tick.value < kTickEveryMs) return {};
  last_tick = now;
  FOVEA_TRY(tell_what_arrives());
  if (machine) FOVEA_TRY(feed(round::Tick{now}));
  if (now.value - last_shown.value >= kShowEveryMs) show_progress();
  if (now.value - last_roster_check.value >= kRosterCheckEveryMs) FOVEA_TRY(check_for_new_roster());
  return {};
}

Result<void> RunDriver::Parts::tell_what_arrives() {
  if (!machine || machine->phase() != round::RoundPhase::collecting_masked) {
    bytes_arrived.clear();
    return {};
  }
  for (const federation::membership::RosterSite& site : roster.sites) {
    const std::uint64_t arrived = server->bytes_arrived(site.id);
    const auto [entry, is_first] = bytes_arrived.try_emplace(site.id, arrived);
    const std::uint64_t before = std::exchange(entry->second, arrived);
    if (is_first || arrived == before) continue;
    // A new connection counts from zero again.
    FOVEA_TRY(feed(round::BytesArriving{site.id, arrived > before ? arrived - before : arrived, clock->monotonic()}));
  }
  return {};
}

std::string RunDriver::Parts::why_no_round() const {
  if (!roster_problem.empty()) return "waiting: " + roster_problem;
  if (!doubters.empty())
    return "waiting: by the clocks of " + join({doubters.begin(), doubters.end()}) + " the roster has run out";
  std::size_t present = 0, undecided = 0;
  std::vector<SiteId> missing;
  for (const federation::membership::RosterSite& site : roster.sites) {
    if (left_out.contains(site.id) || cut_off.contains(site.id)) continue;
    const bool here = server->has_session(site.id);
    const bool has_joined = here && joined.contains(site.id);
    present += has_joined ? 1U : 0U;
    undecided += here && !has_joined && !declined.contains(site.id) ? 1U : 0U;
    if (!has_joined && !declined.contains(site.id)) missing.push_back(site.id);
  }
  std::string line = std::to_string(present) + " of " + counted(roster.sites.size(), "site") +
                     (present == 1 ? " has joined" : " have joined");
  if (undecided > 0)
    line += ", " + std::to_string(undecided) + " more" +
            (undecided == 1 ? " is connected and waits" : " are connected and wait") + " for a person's approval there";
  const MonotonicMs now = clock->monotonic();
  const MonotonicMs joining_ends{last_joined.value + std::int64_t{options.config.joining_s} * 1000};
  if (present < run->plan().cohort.smallest)
    line += ", at least " + std::to_string(run->plan().cohort.smallest) + " are needed";
  else if (now < next_round_not_before)
    line += " · the last round ended without a sum; the next begins in " +
            minutes_and_seconds(next_round_not_before.value - now.value);
  else if (round == 0 && now < joining_ends && !missing.empty())
    line += " · waiting for " + join(missing) + ", " + minutes_and_seconds(joining_ends.value - now.value) + " left";
  return line;
}

std::string RunDriver::Parts::round_in_words() const {
  const round::RoundProgress progress = machine->progress();
  const bool too_few = progress.possible < progress.needed;
  std::string line = std::to_string(progress.answered) + " of " + std::to_string(progress.expected) + " " +
                     std::string(words_for(progress.phase)) + ", threshold " +
                     std::to_string(run->plan().secure_aggregation.threshold);
  if (!progress.waiting_for.empty())
    line += " · waiting for " + join(progress.waiting_for) +
            (too_few ? "" : ", " + minutes_and_seconds(progress.left_ms) + " left");
  if (too_few)
    line += " · needs " + std::to_string(progress.needed) + ", " + std::to_string(progress.possible) +
            " can take part; ends in " + minutes_and_seconds(progress.left_ms);
  for (const auto& [site, reason] : progress.refused)
    line += " · " + site.text() + " refused: " + std::string(federation::messages::to_string(reason));
  return line;
}

// Rounds that end without a sum have numbers too, so the number of a round, by which logs and ledgers name it, is not
// always that of its sum.
void RunDriver::Parts::show_progress() {
  last_shown = clock->monotonic();
  if (run->complete()) return show_line(handout_in_words());  // there is no next sum to speak of
  const std::uint32_t sum = run->sums() + 1;
  std::string line = "sum " + std::to_string(sum) + "/" + std::to_string(run->plan().rounds_total()) +
                     (machine && round != sum ? ", tried in round " + std::to_string(round) : "") + " · " +
                     (machine ? round_in_words() : why_no_round());
  for (const auto& [site, reason] : declined) {
    if (!server->has_session(site)) continue;
    line += " · " + site.text() + " does not take part: " + std::string(federation::messages::to_string(reason));
  }
  for (const auto& [site, accusers] : sat_out)
    line += " · " + site.text() + " sits out: not accepted at " + counted(accusers, "site") + " yet";
  for (const auto& [site, lost] : cut_off)
    line += " · goes on without " + site.text() + ", which never had the roster of a sum";
  show_line(line);
}

void RunDriver::Parts::show_line(const std::string& line) {
  if (options.show && line != last_line) options.show(line);
  last_line = line;
}

// Releases are sealed under the roster of their round, and no site gives a second one: a round that was left in R5 ends
// under that roster, even if a newer one is in force since. Sites that the newer one removed are ignored meanwhile.
Result<void> RunDriver::Parts::resume_round() {
  store::RunStore& store = *run;
  if (store.complete()) return {};
  FOVEA_TRY_ASSIGN(journal_at_start, store.begin_round(store.next_round()));
  FOVEA_TRY_ASSIGN(const std::optional<Digest> release, round::roster_of_release(store.next_round(), journal_at_start));
  FOVEA_TRY_ASSIGN(const std::optional<Bytes> stored, store.sum_to_repeat());
  if (stored) {
    auto decoded = round::SumToRepeat::decode(*stored);
    if (!decoded) return corruption(store.folder().string() + "/repeats: " + decoded.error().message);
    repeat = std::move(*decoded);
  }
  const std::optional<Digest> bound = release || !repeat ? release : std::optional(repeat->roster);
  if (bound && *bound != roster.hash) {
    auto replaced = options.folder.replaced_roster(*bound);
    if (!replaced) {
      spdlog::warn(
          "round {} was left while shares were being released under another roster, which cannot be read: its sum is "
          "lost: {}",
          store.next_round(), replaced.error().message);
      repeat.reset();
      return {};
    }
    next_roster = std::exchange(roster, std::move(replaced).value());
    spdlog::info("round {} ends under the roster of epoch {}, before that of epoch {} comes into force",
                 store.next_round(), roster.epoch, next_roster->epoch);
  }
  releasing_at_start = release.has_value();
  return {};
}

// Every connected site should have the last sum before the port closes.
Result<void> RunDriver::Parts::wait_for_confirmations() {
  const store::RoundRecord* last = run->last_sum();
  const std::int64_t deadline = clock->monotonic().value + kConfirmationsMaxMs;
  while (!stop && clock->monotonic().value < deadline) {
    const bool waiting = std::any_of(joined.begin(), joined.end(), [&](const auto& entry) {
      return server->has_session(entry.first) && entry.second.last_round < last->round &&
             !cut_off.contains(entry.first);
    });
    if (!waiting) return {};
    FOVEA_TRY(loop_once());
  }
  return {};
}

Result<void> RunDriver::Parts::write_summary() {
  const store::RunStore& store = *run;
  nlohmann::ordered_json summary = {{"fovea_run_summary", 1},
                                    {"run", store.facts().run.text()},
                                    {"plan", to_hex(store.plan().hash)},
                                    {"name", store.plan().name},
                                    {"complete", store.complete()},
                                    {"rounds_done", store.sums()},
                                    {"rounds_total", store.plan().rounds_total()},
                                    {"model", to_hex(store.model_digest())},
                                    {"model_file", store.sums() > 0 ? store.model_file().string() : ""},
                                    {"started_ms", store.facts().started.value},
                                    {"ended_ms", clock->wall().value}};
  summary["rounds"] = nlohmann::ordered_json::array();
  for (const store::RoundRecord& past : store.history()) summary["rounds"].push_back(store::round_record_json(past));
  return write_file_durably(store.folder() / "summary.json", as_bytes(summary.dump(1) + "\n"));
}

}  // namespace fovea::coordinator::io

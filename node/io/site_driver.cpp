#include "node/io/site_driver.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "common/numbers.h"
#include "common/stop_signals.h"
#include "crypto/hash.h"
#include "crypto/random_source.h"
#include "node/io/clock_difference.h"
#include "node/io/reachability.h"
#include "node/io/site_driver_parts.h"
#include "node/io/site_register.h"
#include "node/io/site_status.h"
#include "node/io/start_checks.h"

namespace fovea::node::io {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kTickEveryMs = 100;
constexpr std::int64_t kStatusEveryMs = 1'000;
constexpr std::int64_t kIdleAfterMs = 5;
// To publish a checkpoint waits for the disk some six times. Entries are durable without it, so those of this long
// share one. No longer: what no checkpoint has, an older journal that is put back takes away unseen.
constexpr std::int64_t kPublishAfterMs = 2'000;
constexpr std::size_t kProgramBytesMax = std::size_t{1} << 30U;
// In a day, of hellos and failures that belong to no approved plan. A node that waits says hello every five seconds:
// some 5 MB.
constexpr std::uint64_t kSessionBytesMax = 64'000'000;
// Of a masked vector: a slow link is busy with it for half a minute at 1 Mbit/s, and what was recorded and queued for
// an attempt that is given up must leave before the next one's messages.
constexpr std::size_t kResumeBelowBytes = std::size_t{4} << 20U;

Result<egress::EgressGate> open_gate(const SiteFolder& folder, const NodeConfig& config,
                                     const federation::membership::RosterSite& self,
                                     const federation::membership::Invite& invite, const SiteKeys& keys,
                                     const Clock& clock) {
  FOVEA_TRY_ASSIGN(const Bytes program, read_file("/proc/self/exe", kProgramBytesMax));
  return egress::EgressGate::open(ledger_options(folder, self, invite, keys),
                                  {.site = self.id,
                                   .software = crypto::sha256(program),
                                   .approver = self.approver_key,
                                   .destination = invite.coordinator_transport_key,
                                   .cohort_min = config.policy.cohort_min,
                                   .run_bytes_max = config.policy.run_bytes_max,
                                   .session_bytes_max = kSessionBytesMax},
                                  clock);
}

std::string software_text() {
  crypto::SystemRandom random;
  std::array<std::uint8_t, 8> word{};
  random.fill(word);
  return "fovea-node " FOVEA_VERSION " start " + to_hex(word);
}

}  // namespace

void block_stop_signals() { block_signals({SIGINT, SIGTERM, SIGCONT, SIGHUP}); }

Result<HoldPoint> HoldPoint::parse(std::string_view text) {
  using federation::messages::MessageKind;
  const std::pair<std::string_view, MessageKind> points[] = {{"keys:", MessageKind::key_list},
                                                             {"shares:", MessageKind::routed_shares},
                                                             {"masked:", MessageKind::consistency_request},
                                                             {"consistency:", MessageKind::unmask_request}};
  for (const auto& [prefix, answer] : points) {
    if (!text.starts_with(prefix)) continue;
    const auto round = read_whole<RoundNumber>(text.substr(prefix.size()));
    if (!round || *round > 999'999) break;
    return HoldPoint{answer, *round, std::string(text)};
  }
  return invalid_argument("--hold-after: expected keys:R, shares:R, masked:R or consistency:R with a round number R");
}

SiteDriver::SiteDriver(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

SiteDriver::~SiteDriver() = default;

Result<std::unique_ptr<SiteDriver>> SiteDriver::open(SiteDriverOptions options, const Clock& clock) {
  options.folder = options.folder.read_once();
  const SiteFolder folder = options.folder;
  FOVEA_TRY_ASSIGN(const federation::membership::RosterSite self, folder.site());
  // Before the settings: where site.json is another site's, they are right.
  FOVEA_TRY_ASSIGN(SiteKeys keys, folder.keys());
  FOVEA_TRY(folder.check_pins());
  FOVEA_TRY(check_settings(folder, options.config, self));
  FOVEA_TRY_ASSIGN(const federation::membership::Invite invite, folder.invite());
  FOVEA_TRY(check_own_files(folder));
  FOVEA_TRY_ASSIGN(FileLock lock,
                   FileLock::take_as(folder.root() / "lock", "fovea-node start",
                                     folder.root().string() + ": another fovea-node runs on this folder"));
  FOVEA_TRY_ASSIGN(federation::io::EventLog events, federation::io::EventLog::open(folder.events(), clock));
  FOVEA_TRY_ASSIGN(std::optional<federation::membership::Roster> roster, folder.newest_roster());
  if (roster) FOVEA_TRY(folder.check_own_entry(*roster));
  FOVEA_TRY_ASSIGN(egress::EgressGate gate, open_gate(folder, options.config, self, invite, keys, clock));
  FOVEA_TRY_ASSIGN(federation::files::RecordFile site_register,
                   open_site_register(folder.site_register(), folder.runs(), keys.log));
  FOVEA_TRY_ASSIGN(const std::size_t restored, restore_releases(site_register, gate.releases_at_open()));
  if (restored > 0) {
    spdlog::warn(
        "{}: lacked {} of the releases that the ledger shows, and no journal in runs/ has them: it was cut, removed or "
        "put back from a backup. They are marked again, so that no second sum on one of those models is released; "
        "which studies were measured for a stage \"intensity\" may be lost with it",
        folder.site_register().string(), restored);
    events.write("register_restored", {{"file", folder.site_register().string()}, {"releases", restored}});
  }
  FOVEA_TRY_ASSIGN(const federation::membership::Endpoint endpoint, coordinator_endpoint(options.config, invite));
  FOVEA_TRY_ASSIGN(auto transport, ZmqTransport::connect({.endpoint = endpoint.text(),
                                                          .coordinator_key = invite.coordinator_transport_key},
                                                         keys.transport));
  FOVEA_TRY_ASSIGN(Descriptor signals, open_signals({SIGINT, SIGTERM, SIGCONT, SIGHUP}));
  std::unique_ptr<Parts> parts(new Parts{.lock = std::move(lock),
                                         .options = std::move(options),
                                         .clock = &clock,
                                         .self = self,
                                         .keys = std::move(keys),
                                         .invite = invite,
                                         .endpoint = endpoint.text(),
                                         .events = std::move(events),
                                         .gate = std::move(gate),
                                         .site_register = std::move(site_register),
                                         .transport = std::move(transport),
                                         .software = software_text(),
                                         .signals = std::move(signals)});
  parts->roster = std::move(roster);
  if (parts->roster) FOVEA_TRY(parts->gate.pin_roster(*parts->roster));
  FOVEA_TRY(parts->recall_decisions());
  FOVEA_TRY(parts->erase_closed());
  return std::unique_ptr<SiteDriver>(new SiteDriver(std::move(parts)));
}

Result<void> SiteDriver::run() {
  Parts& parts = *parts_;
  parts.events.write("started", {{"site", parts.self.id.text()}, {"pid", ::getpid()}});
  Result<void> outcome = parts.follow_acceptances();  // what was decided while the node was stopped
  if (outcome) parts.show_strangers();
  while (!parts.stop && outcome) outcome = parts.loop_once();
  if (parts.worker) parts.worker->cancel();
  if (outcome && parts.run) outcome = parts.run->save_model();
  if (outcome) outcome = parts.gate.publish();
  if (outcome) parts.events.write("stopped");
  else parts.events.write("failed", {{"why", outcome.error().message}});
  return outcome;
}

Result<void> SiteDriver::Parts::loop_once() {
  const std::int64_t unpublished_ms = unpublished_for();
  const bool publishes = unpublished_ms >= kPublishAfterMs;
  const std::chrono::milliseconds timeout(resume_pending ? 1 : publishes ? kIdleAfterMs : kTickEveryMs);
  const int descriptors[] = {signals.number(), worker ? worker->descriptor() : signals.number()};
  FOVEA_TRY(transport->wait(timeout, descriptors));
  handle_signals();
  if (std::exchange(reload_due, false)) {
    FOVEA_TRY(reload_policy());
    // The machine hears of it now: a stop may come before the next tick.
    if (machine) FOVEA_TRY(feed(round::Tick{clock->monotonic()}));
  }
  show_connection();
  // Whoever can cut the connection could else have an entry of the ledger written with each.
  if (transport->connection_count() != greeted_connection && greetings.admit(clock->monotonic())) {
    greeted_connection = transport->connection_count();
    FOVEA_TRY(on_connected());
  }
  constexpr int kFramesMax = 64;  // then look at the training and the clock again
  bool idle = true;
  for (int i = 0; i < kFramesMax && !stop; ++i) {
    std::optional<Bytes> frame = transport->receive();
    if (!frame) break;
    idle = false;
    FOVEA_TRY(handle_frame(std::move(*frame)));
  }
  FOVEA_TRY(take_training_reports());
  if (resume_pending && transport->under_way_bytes() < kResumeBelowBytes) {
    resume_pending = false;
    FOVEA_TRY(feed(round::Resume{}));
  }
  // Entries are durable already; their tiles and checkpoint can wait until nobody waits for this site, but not for
  // ever.
  if (publishes && (idle || unpublished_ms >= 2 * kPublishAfterMs) && !stop) {
    unpublished_since.reset();
    FOVEA_TRY(gate.checkpoint());
  }
  return tick();
}

std::int64_t SiteDriver::Parts::unpublished_for() {
  const MonotonicMs now = clock->monotonic();
  if (gate.ledger().size() == gate.ledger().published_size()) unpublished_since.reset();
  else if (!unpublished_since) unpublished_since = now;
  return unpublished_since ? now.value - unpublished_since->value : 0;
}

void SiteDriver::Parts::handle_signals() {
  for (int number = next_signal(signals); number != 0; number = next_signal(signals)) {
    if (number == SIGHUP) reload_due = true;
    else if (number != SIGCONT) stop = true;
  }
}

Result<void> SiteDriver::Parts::tick() {
  const MonotonicMs now = clock->monotonic();
  if (now.value - last_tick.value < kTickEveryMs) return {};
  last_tick = now;
  FOVEA_TRY(follow_acceptances());
  FOVEA_TRY(look_for_decision());
  FOVEA_TRY(follow_decision());
  FOVEA_TRY(greet_again());
  if (machine) FOVEA_TRY(feed(round::Tick{now}));
  if (now.value - last_status.value >= kStatusEveryMs) {
    FOVEA_TRY(read_decisions());
    FOVEA_TRY(try_waiting_roster());
    write_status();
  }
  return {};
}

void SiteDriver::Parts::show_connection() {
  const ConnectionState state = transport->state();
  if (state_shown && state == shown_state) return;
  if (!connections_shown.admit(clock->monotonic())) return;  // then what it is by then
  state_shown = true;
  shown_state = state;
  switch (state) {
    case ConnectionState::connecting:
      spdlog::info("connecting to the coordinator at {}", endpoint);
      events.write("connecting");
      break;
    case ConnectionState::connected:
      spdlog::info("connected to the coordinator at {}", endpoint);
      events.write("connected");
      break;
    case ConnectionState::refused:
      spdlog::warn("the coordinator at {} refused this site's key {}: {}; trying again", endpoint,
                   federation::membership::shortened_key(self.transport_key), refused_text());
      events.write("refused", {{"epoch", roster ? roster->epoch : 0}, {"why", refused_text()}});
      break;
    case ConnectionState::wrong_peer:
      spdlog::warn(
          "no handshake with what answers at {}: it closes the connection (a firewall or proxy on the way), or does "
          "not "
          "hold the key of the invite; fovea-node --site {} doctor tells which; trying again",
          endpoint, options.folder.root().string());
      events.write("wrong_peer");
      break;
  }
}

std::string SiteDriver::Parts::refused_text() const {
  return io::refused_text(roster ? std::optional(roster->epoch) : std::nullopt, removed_by);
}

void SiteDriver::Parts::write_status() {
  last_status = clock->monotonic();
  SiteStatus status{.at = clock->wall(),
                    .pid = static_cast<std::uint64_t>(::getpid()),
                    .connected = transport->state() == ConnectionState::connected,
                    .epoch = roster ? roster->epoch : 0};
  if (removed_by || transport->state() == ConnectionState::refused) status.not_admitted = refused_text();
  else if (!second_process.empty()) status.not_admitted = second_process;
  status.clock_ahead_ms = clock_ahead_ms;
  if (const auto unknown = strangers(); !unknown.empty()) status.sites_unaccepted = unknown.size();
  if (roster && !roster->check_valid_at(clock->wall()))
    status.roster_invalid = invalid_roster_text(*roster, clock->wall(), clock_ahead_ms);
  else if (!roster && !roster_ignored_why.empty()) status.roster_invalid = roster_ignored_why;  // of the first one
  status.upload_kbit_s = transport->upload_kbit_s();
  if (run) status.slowest_link_kbit_s = run->plan().deadlines.slowest_link();
  status.plan_refused = refused_plan();
  if (!cut_off.empty()) status.cut_off = cut_off;
  if (!sits_out.empty() && run && !run->complete()) status.sits_out = sits_out;
  if (!shut_out.empty() && !(run && run->complete())) status.shut_out = shut_out;
  if (offer && !offer->refused && untrainable.empty())
    (acceptances_asked == offer->run ? status.waiting_for_acceptances : status.waiting_for_approval) =
        to_hex(offer->plan.hash);
  if (run && machine)
    status.run = SiteStatus::Run{.run = run->run().text(),
                                 .plan = run->plan().name,
                                 .phase = std::string(round::to_string(machine->phase())),
                                 .round = machine->round(),
                                 .sums_applied = run->sums_applied(),
                                 .rounds_total = run->plan().rounds_total()};
  // Not evidence: a full disk loses a status line, never the run.
  if (const auto written = replace_file(status_file(options.folder.root()), as_bytes(status.text())); !written)
    spdlog::debug("status: {}", written.error().message);
}

}  // namespace fovea::node::io

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "common/file_lock.h"
#include "federation/ledger/entry.h"
#include "federation/ledger/ledger.h"
#include "federation/ledger/tile_check.h"
#include "node/commands/command.h"
#include "node/commands/site_ledger.h"
#include "node/egress/signed_entries.h"
#include "node/io/clock_difference.h"
#include "node/io/reachability.h"
#include "node/io/site_register.h"
#include "node/io/site_run.h"
#include "node/io/site_status.h"
#include "node/io/start_checks.h"

namespace fovea::node::commands {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::chrono::milliseconds kPatience{5'000};
constexpr std::uintmax_t kDiskFreeMin = std::uintmax_t{2} << 30U;

// The steps from this machine to the coordinator; what depends on a failed step is skipped.
class Checkup {
 public:
  template <class T>
  bool step(const std::string& name, const Result<T>& outcome, const std::string& detail = {}) {
    add(name, outcome.has_value() ? "PASS" : "FAIL", outcome.has_value() ? detail : outcome.error().message);
    if (!outcome && !first_failure_) first_failure_ = Error{outcome.error().code, "fix this first: " + name};
    return outcome.has_value();
  }
  void warn(const std::string& name, const std::string& what) { add(name, "WARN", what); }
  void skip(const std::string& name, const std::string& why) { add(name, "SKIP", why); }
  const std::vector<std::vector<std::string>>& rows() const { return rows_; }
  const Json& json() const { return json_; }
  const std::optional<Error>& first_failure() const { return first_failure_; }

 private:
  void add(const std::string& name, const std::string& verdict, const std::string& detail) {
    rows_.push_back({verdict, name, detail});
    json_.push_back({{"check", name}, {"verdict", verdict}, {"detail", detail}});
  }
  std::vector<std::vector<std::string>> rows_;
  Json json_ = Json::array();
  std::optional<Error> first_failure_;
};

Result<std::string> check_disk(const std::filesystem::path& root) {
  std::error_code error;
  const auto space = std::filesystem::space(root, error);
  if (error) return unavailable("cannot ask for the free space of " + root.string() + ": " + error.message());
  const std::string left = std::to_string(space.available >> 20U) + " MiB free";
  if (space.available < kDiskFreeMin)
    return unavailable(left + " on the disk of " + root.string() + "; at least 2048 are needed");
  return left;
}

void check_acquaintances(Checkup& checkup, const io::SiteFolder& folder,
                         const federation::membership::RosterSite& self) {
  const auto roster = folder.newest_roster();
  if (!roster) return checkup.skip("acquaintances", "the roster cannot be read");
  if (!*roster) return checkup.skip("acquaintances", "there is no roster yet");
  const auto recorded = read_known_sites(folder);
  if (!recorded) return static_cast<void>(checkup.step("acquaintances", Result<void>(recorded.error())));
  const auto unknown = recorded->known.unaccepted(**roster, self);
  if (unknown.empty())
    return static_cast<void>(checkup.step("acquaintances", Result<void>(), "every other site is accepted here"));
  constexpr std::size_t kNamesMax = 10;
  std::string names;
  for (std::size_t i = 0; i < std::min(unknown.size(), kNamesMax); ++i)
    names += (i == 0 ? "" : ", ") + unknown[i]->id.text() +
             (recorded->known.words.knows_other_keys_of(*unknown[i]) ? ": ITS KEYS CHANGED since it was accepted" : "");
  if (unknown.size() > kNamesMax) names += ", ...";
  checkup.warn("acquaintances", io::sites_not_accepted(unknown.size(), names) + ": fovea-node --site " +
                                    folder.root().string() + " roster list, then roster accept");
}

Result<std::string> check_roster(const io::SiteFolder& folder, const federation::membership::RosterSite& site,
                                 UnixMs now) {
  FOVEA_TRY_ASSIGN(const auto roster, folder.newest_roster());
  if (!roster) {
    if (const std::string why = io::roster_trouble(folder.root()); !why.empty()) return deadline_exceeded(why);
    return not_found("there is no roster yet; the coordinator sends it when the node starts");
  }
  if (roster->find(site.id) == nullptr)
    return permission_denied("this site is not on the roster of epoch " + std::to_string(roster->epoch) +
                             ": send join-request.json to the federation's administrators and ask them to sign it");
  FOVEA_TRY(folder.check_own_entry(*roster));
  if (!roster->check_valid_at(now)) {  // with what the node saw when the coordinator last offered a roster
    const auto status = io::read_status(folder.root());
    return deadline_exceeded(io::invalid_roster_text(
        *roster, now, status && *status ? (*status)->clock_ahead_ms : std::optional<std::int64_t>()));
  }
  return "epoch " + std::to_string(roster->epoch) + ", " + std::to_string(roster->sites.size()) + " sites, valid for " +
         std::to_string((roster->valid_until.value - now.value) / 3'600'000) + " hours by this machine's clock";
}

void check_connection(Checkup& checkup, const io::SiteFolder& folder, const io::NodeConfig& config,
                      const federation::membership::Invite& invite) {
  const auto endpoint = io::coordinator_endpoint(config, invite);
  const auto reached = endpoint ? io::try_tcp(*endpoint, kPatience) : Result<void>(endpoint.error());
  if (!checkup.step("name and port", reached, endpoint ? endpoint->text() : "")) {
    checkup.skip("CURVE and roster key", "the port was not reached");
    return;
  }
  const auto keys = folder.keys();
  if (!keys) return checkup.skip("CURVE and roster key", "the keys cannot be read");
  const auto roster = folder.newest_roster();
  const bool listed = roster && *roster && (*roster)->find(config.site) != nullptr;
  const io::CurveTrial trial{endpoint->text(), kPatience, listed ? std::optional((*roster)->epoch) : std::nullopt};
  checkup.step("CURVE and roster key", io::try_curve(trial, invite, *keys),
               "the coordinator knows this site and holds the invite's key");
}

// As the node measured it when it sent its last update: nothing else of that size may leave a site.
void check_link(Checkup& checkup, const io::SiteFolder& folder) {
  const auto status = io::read_status(folder.root());
  if (!status || !*status || !(*status)->upload_kbit_s)
    return checkup.skip("link", "measured while the node sends its first update");
  const std::uint64_t measured = *(*status)->upload_kbit_s;
  const std::optional<std::uint64_t> slowest = (*status)->slowest_link_kbit_s;
  const std::string text = federation::membership::link_text(measured) + " upwards, at the last update";
  const std::string allowed = slowest ? federation::membership::link_text(*slowest) : "";
  if (slowest && measured < *slowest)
    return checkup.warn("link", text + ": the plan of the open run leaves out a site below " + allowed +
                                    "; ask the coordinator for a plan with a longer deadlines.phase_s");
  checkup.step("link", Result<void>(), text + (slowest ? "; the plan of the open run needs " + allowed : ""));
}

// What the running node found out about the run that it has open.
void check_run(Checkup& checkup, const io::SiteFolder& folder) {
  const auto status = io::read_status(folder.root());
  if (!status) return static_cast<void>(checkup.step("run", Result<void>(status.error())));
  if (!*status) return checkup.skip("run", "no node ran here yet");
  const io::SiteStatus& last = **status;
  const std::string seen =
      io::node_runs(folder.root()) ? "" : " (seen at " + utc_text(last.at) + ", when the node ran last)";
  for (const std::string& why : io::kept_out(last)) checkup.warn("run", why + seen);
  if (!io::kept_out(last).empty()) return;
  if (last.waiting_for_approval || last.waiting_for_acceptances)
    return checkup.warn("run",
                        "a plan waits for a person here: fovea-node --site " + folder.root().string() + " status");
  if (!last.run) return checkup.skip("run", "no plan is under way" + seen);
  checkup.step("run", Result<void>(),
               "plan \"" + last.run->plan + "\": " + std::to_string(last.run->sums_applied) + " of " +
                   std::to_string(last.run->rounds_total) + " sums done" + seen);
}

// Whatever a start refuses of ledger, register and journals. A running node has read them at its start, and writes them
// now: only the checkpoint is looked at.
void check_records(Checkup& checkup, const io::SiteFolder& folder, const federation::membership::RosterSite& site,
                   const federation::membership::Invite& invite, const io::SiteKeys& keys) {
  using federation::ledger::Ledger;
  auto options = io::ledger_options(folder, site, invite, keys);
  const bool running = FileLock::is_held(folder.root() / "lock");
  const auto checkpoint_size = [&]() -> Result<std::uint64_t> {
    FOVEA_TRY_ASSIGN(const auto key, crypto::NoteKey::create(options.origin, site.log_key));
    FOVEA_TRY_ASSIGN(const auto newest, federation::ledger::read_checkpoint(folder.ledger(), key));
    return newest.checkpoint.size;
  };
  const auto is_signed = [&](std::uint64_t index, const federation::ledger::StampedEntry& entry) {
    return egress::check_signed_entry(index, entry.body, site.id, site.approver_key);
  };
  const auto entries = running ? checkpoint_size() : Ledger::check(std::move(options), is_signed);
  if (!entries && entries.error().code == ErrorCode::not_found)
    checkup.skip("ledger", "nothing was recorded yet; the node writes it when it starts");
  else
    checkup.step("ledger", entries,
                 !entries  ? ""
                 : running ? "a signed checkpoint of " + std::to_string(*entries) + " entries; the node runs on it"
                           : std::to_string(*entries) +
                                 " entries under a signed checkpoint and in the journal, none older "
                                 "than what was seen of it");
  if (running) return checkup.skip("register and runs", "the running node has read them");
  const auto marks = io::check_site_register(folder.site_register(), folder.runs(), keys.log);
  checkup.step("register and runs", marks ? io::check_runs(folder.runs()) : marks,
               "what was released is known, and the runs can be read");
}

Result<void> run_doctor(CommandContext& context) {
  const io::SiteFolder folder = context.folder();
  Checkup checkup;
  const auto site = folder.site();
  if (checkup.step("site folder", site, folder.root().string())) {
    const auto keys = folder.keys();
    checkup.step("keys", keys, "this site's, readable by their owner only");
    const auto pins = keys ? folder.check_pins() : Result<void>();
    if (keys) checkup.step("pins", pins, "site.json and invite.json are what people here made and joined with");
    else checkup.skip("pins", "the keys cannot be read");
    checkup.step("approver's key", folder.check_approver_key(), "there, under a passphrase");
    const auto config = io::NodeConfig::read(folder.config());
    const auto settings = config ? io::check_settings(folder, *config, *site) : Result<void>(config.error());
    checkup.step("settings", settings, folder.config().string());
    checkup.step("lock and events", io::check_own_files(folder), "the node can write them");
    const auto disk = check_disk(folder.root());
    checkup.step("disk", disk, disk.value_or(""));
    const auto invite = folder.invite();
    if (!pins) {  // whom it names is not even dialled
      checkup.skip("invite", "the pins do not hold");
    } else if (checkup.step("invite", invite,
                            invite ? "federation " + invite->federation + ", fingerprint " + invite->fingerprint() +
                                         "; " + invite->who_decides()
                                   : "")) {
      const auto roster = check_roster(folder, *site, context.clock.wall());
      if (!roster && roster.error().code == ErrorCode::not_found)
        checkup.skip("roster and clock", roster.error().message);
      else checkup.step("roster and clock", roster, roster.value_or(""));
      // A failed step names the clock itself.
      if (const std::string off = io::clock_trouble(folder.root());
          !off.empty() && (roster || roster.error().code == ErrorCode::not_found))
        checkup.warn("clock", off);
      check_acquaintances(checkup, folder, *site);
      check_run(checkup, folder);
      check_link(checkup, folder);
      if (keys) check_records(checkup, folder, *site, *invite, *keys);
      else checkup.skip("ledger", "the keys cannot be read");
      if (config) check_connection(checkup, folder, *config, *invite);
    } else {
      checkup.skip("connection", "join a federation first");
    }
    const std::string data = "fovea-node --site " + folder.root().string() + " data ";
    if (std::filesystem::exists(folder.data() / "catalogue.sqlite"))
      checkup.step("data", Result<void>(), "there is a catalogue; " + data + "check looks closer");
    else checkup.skip("data", "no scans were ingested yet: " + data + "ingest SCANS");
  }
  context.console.data("doctor", checkup.json(), text_table(checkup.rows()));
  if (checkup.first_failure()) return *checkup.first_failure();  // what is wrong with it stands in its line
  return {};
}

}  // namespace

void add_doctor_command(CLI::App& app, CommandContext& context) {
  auto* doctor = app.add_subcommand("doctor", "Check every step from here to the coordinator and say what to fix");
  doctor->callback([&context] { context.console.run("doctor", [&] { return run_doctor(context); }); });
}

}  // namespace fovea::node::commands

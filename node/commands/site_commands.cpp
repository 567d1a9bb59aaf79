#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "common/file_lock.h"
#include "common/ids.h"
#include "crypto/signature.h"
#include "federation/files/passphrase.h"
#include "federation/files/signed_document_file.h"
#include "federation/membership/join_request.h"
#include "node/commands/command.h"
#include "node/io/clock_difference.h"
#include "node/io/site_run.h"
#include "node/io/site_status.h"
#include "node/io/unfinished_runs.h"

namespace fovea::node::commands {
namespace {

constexpr std::int64_t kStatusFreshMs = 5'000;

Result<void> run_init(CommandContext& context, const std::string& name) {
  FOVEA_TRY_ASSIGN(const SiteId id, SiteId::create(name));
  FOVEA_TRY_ASSIGN(const federation::membership::RosterSite site, context.folder().create(id, context.passphrase));
  const std::string print = federation::membership::site_fingerprint(site);
  context.console.data("init", {{"site", id.text()}, {"folder", context.site.string()}, {"fingerprint", print}},
                       "site " + id.text() + " created in " + context.site.string() + "\nfingerprint " + print +
                           "\nnext: fovea-node --site " + context.site.string() + " join INVITE");
  return {};
}

// A document that was replaced is found in many a mailbox: taken up again it brings back administrators who left.
std::string was_replaced(const io::SiteFolder& folder, const federation::membership::Invite& invite) {
  const auto replaced = folder.replaced_at(invite.hash);
  if (!replaced) return {};
  return "\nthis site had this document before, and it was replaced on " + utc_text(*replaced) +
         ": make sure that it is the newest one";
}

// Whether the founding document is another one than this folder has pinned, which only a person may let happen.
Result<bool> check_change(const io::SiteFolder& folder, const federation::membership::Invite& invite,
                          bool accept_change, bool pins_hold) {
  const auto pinned = folder.invite();
  const bool missing = !pinned && pinned.error().code == ErrorCode::not_found;
  // Else whoever can write the folder has a person pin his document by a `join` that looks like any other.
  if (!accept_change && (missing || (pinned && pinned->hash == invite.hash)) && folder.pins_another(invite.hash))
    return permission_denied(folder.pins().string() + ": is of another founding document than this one of " +
                             invite.federation + (missing ? ", and invite.json is missing" : "") +
                             was_replaced(folder, invite) + "\nthe fingerprint of this one is " + invite.fingerprint() +
                             "; if you did not begin to join with it yourself, somebody put it there: ask the "
                             "administrators you know by telephone, and if it is theirs, join with --accept-change");
  if (missing) return false;
  if (!pinned && !accept_change)
    return pinned.error().with_context("what is pinned cannot be read; join with --accept-change replaces it");
  if (!pinned) return true;
  if (pinned->hash == invite.hash) return false;
  if (!pins_hold && accept_change) return true;  // what lies there is nobody's word
  if (pins_hold && pinned->federation != invite.federation)
    return failed_precondition(folder.root().string() + ": has already joined the federation " + pinned->federation +
                               "; create another site folder for a second one");
  if (accept_change) return true;
  std::string what;
  for (const std::string& line : federation::membership::differences(*pinned, invite)) what += "\n  " + line;
  return permission_denied(folder.root().string() + ": is pinned to another founding document of " + invite.federation +
                           ":" + what + was_replaced(folder, invite) + "\nthe fingerprint of this one is " +
                           invite.fingerprint() +
                           "; ask the administrators you know by telephone, and if it is theirs, join with "
                           "--accept-change");
}

// Whether the coordinator of this document has the site, with these keys, on its roster already: it does not ask to
// join again.
bool is_known_to(const io::SiteFolder& folder, const federation::membership::Invite& invite,
                 const federation::membership::RosterSite& site) {
  const auto pinned = folder.invite();
  const auto roster = folder.newest_roster();
  if (!pinned || pinned->coordinator_signing_key != invite.coordinator_signing_key || !roster || !*roster) return false;
  const federation::membership::RosterSite* listed = (*roster)->find(site.id);
  return listed != nullptr && entry_digest(*listed) == entry_digest(site);
}

// Whoever can write the folder could name another approver in site.json, and remove `pins` which shows it. That person
// does not know the passphrase of the key here, nor does a person here know that of another's.
Result<void> check_approver(CommandContext& context, const io::SiteFolder& folder) {
  const auto pinned = folder.check_site_pin();
  if (pinned) return {};
  if (pinned.error().code == ErrorCode::failed_precondition) return pinned.error();  // of a newer version
  context.console.progress("warning: " + pinned.error().message);
  const auto key = folder.unpinned_approver_key(context.passphrase);
  return key ? Result<void>() : Result<void>(key.error());
}

Result<void> run_join(CommandContext& context, const std::filesystem::path& invite_file, bool accept_change) {
  const io::SiteFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(const federation::membership::RosterSite site, folder.site());
  FOVEA_TRY_ASSIGN(const FileLock lock, folder.lock_changes("fovea-node join"));
  FOVEA_TRY_ASSIGN(const federation::membership::SignedDocument document,
                   federation::files::read_signed_document(invite_file));
  auto invite = federation::membership::verify_invite(document);
  if (!invite) return invite.error().with_context(invite_file.string());
  FOVEA_TRY_ASSIGN(const io::SiteKeys keys, folder.keys());
  const bool pins_hold = folder.check_pins().has_value();
  FOVEA_TRY_ASSIGN(const bool changed, check_change(folder, *invite, accept_change, pins_hold));
  FOVEA_TRY(check_approver(context, folder));
  const federation::membership::JoinRequest request{invite->federation, site, context.clock.wall()};
  FOVEA_TRY_ASSIGN(std::string text, request.document());
  federation::membership::SignedDocument signed_request{"join-request", std::move(text), {}};
  FOVEA_TRY(signed_request.sign(keys.identity));
  const bool again = !changed && folder.invite().has_value();
  const bool known = (again || pins_hold) && is_known_to(folder, *invite, site);
  const std::string older = changed ? was_replaced(folder, *invite) : "";
  if (!again) FOVEA_TRY(folder.pin_invite(document));
  else if (!pins_hold) FOVEA_TRY(folder.pin(invite->hash));
  const std::filesystem::path out = folder.root() / "join-request.json";
  FOVEA_TRY(write_file_durably(out, signed_request.serialize()));
  const std::string print = federation::membership::site_fingerprint(site);
  const std::string federation_print = invite->fingerprint();
  context.console.data(
      "join",
      {{"federation", invite->federation},
       {"request", out.string()},
       {"fingerprint", print},
       {"federation_fingerprint", federation_print},
       {"administrators", invite->administrators.size()},
       {"quorum", invite->quorum},
       {"endpoint", invite->endpoint},
       {"joined_before", again}},
      (!again      ? "joined "
       : pins_hold ? "joined already; nothing changed: "
                   : "joined already; written anew is " + folder.pins().string() + ": ") +
          invite->federation + " at " + invite->endpoint + "\n" + invite->who_decides() +
          (again && known && pins_hold
               ? "\nthe federation's fingerprint is " + federation_print
               : "\nask by telephone whether the federation's fingerprint is " + federation_print) +
          (changed ? "\nthe founding document was replaced: restart the node" : "") + older +
          (known ? "\nthere is nothing to send: the administrators have this site's keys"
                 : "\nthen send " + out.string() +
                       " to the federation's administrators and read out this site's fingerprint " + print));
  return {};
}

std::string model_file(const io::SiteFolder& folder, const io::SiteStatus::Run& run) {
  const auto id = RunId::parse(run.run);
  return ((id ? folder.run(*id) : folder.runs()) / io::kModelFile).string();
}

std::string running_text(const io::SiteStatus& now, const io::SiteFolder& folder) {
  const std::string program = "fovea-node --site " + folder.root().string();
  const std::string accept = program + " roster list, then roster accept";
  std::string out = now.connected ? ", connected" : ", not connected";
  if (now.not_admitted) out += "\n" + *now.not_admitted;
  if (now.run) {
    const std::string done =
        std::to_string(now.run->sums_applied) + " of " + std::to_string(now.run->rounds_total) + " sums done";
    out += "\nplan \"" + now.run->plan + "\": ";
    if (now.run->complete()) out += "complete, " + done + "; the model is " + model_file(folder, *now.run);
    else if (!io::kept_out(now).empty()) out += "not taking part, " + done;
    else if (now.run->phase == "idle") out += "waits for the coordinator's next task, " + done;
    else out += now.run->phase + ", round " + std::to_string(now.run->round) + ", " + done;
  }
  if (now.shut_out) out += "\n" + *now.shut_out;
  if (now.sits_out) out += "\n" + *now.sits_out;
  if (now.plan_refused) out += "\n" + *now.plan_refused;
  if (now.cut_off) out += "\n" + *now.cut_off;
  if (now.sites_unaccepted) out += "\n" + io::sites_not_accepted(*now.sites_unaccepted) + ": " + accept;
  if (now.waiting_for_acceptances) out += "; an approved plan waits until more of them are";
  if (now.roster_invalid) out += "\n" + *now.roster_invalid;
  else if (now.clock_ahead_ms && !io::clock_agrees(*now.clock_ahead_ms))
    out += "\n" + io::clock_difference_text(*now.clock_ahead_ms);
  if (now.waiting_for_approval)
    out += "\na plan waits for approval: " + program + " plan approve " + now.waiting_for_approval->substr(0, 12) +
           " --by \"your name\"";
  return out;
}

// What the coordinator has and this site lacks, only the coordinator can say: of the run that goes on here, the lines
// above tell how far it is.
std::string lacking_text(const io::SiteFolder& folder, const std::vector<io::UnfinishedRun>& runs,
                         const std::optional<io::SiteStatus>& now) {
  constexpr std::size_t kShownMax = 5;
  std::string out;
  std::size_t shown = 0;
  for (const io::UnfinishedRun& run : runs) {
    const bool under_way = now && now->run && now->connected && now->run->run == run.run.text() && !now->cut_off &&
                           !now->not_admitted && !now->plan_refused;
    if (under_way || shown == kShownMax) continue;
    ++shown;
    out += "\nthe final model is lacking: " + run.text();
  }
  if (shown > 0)
    out +=
        "\nthe rest comes by itself while a node runs here and the coordinator serves (fovea-coordinator run start "
        "or serve)";
  if (now || shown == 0) return out;
  return out + ": fovea-node --site " + folder.root().string() + " start";
}

nlohmann::ordered_json lacking_json(const std::vector<io::UnfinishedRun>& runs) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const io::UnfinishedRun& run : runs)
    out.push_back({{"run", run.run.text()},
                   {"plan", to_hex(run.plan)},
                   {"name", run.name},
                   {"sums_applied", run.sums},
                   {"rounds_total", run.rounds_total},
                   {"since_ms", run.since.value}});
  return out;
}

// A running node does not stand in the way: it never reads this key.
Result<void> run_passphrase(CommandContext& context) {
  const io::SiteFolder folder = context.folder();
  FOVEA_TRY(folder.site());
  FOVEA_TRY(folder.check_approver_key());
  const std::string file = folder.approver_key_file().string();
  FOVEA_TRY_ASSIGN(const crypto::SigningKey key,
                   federation::files::change_passphrase(folder.approver_key_file(), context.passphrase));
  context.console.data("passphrase", {{"file", file}, {"public_key", to_hex(key.verify_key())}},
                       file +
                           ": under the new passphrase; the key is the same, and nobody has to be told. A copy in a "
                           "backup still opens with the old one");
  return {};
}

Result<void> run_status(CommandContext& context) {
  const io::SiteFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(const federation::membership::RosterSite site, folder.site());
  FOVEA_TRY_ASSIGN(const std::optional<io::SiteStatus> last, io::read_status(folder.root()));
  // The lock goes with the process, however that ended; the file may be older or newer than it.
  const bool running = last && context.clock.wall().value - last->at.value < kStatusFreshMs &&
                       FileLock::is_held(folder.root() / "lock");
  const std::string print = federation::membership::site_fingerprint(site);
  nlohmann::ordered_json data = {
      {"site", site.id.text()},
      {"fingerprint", print},
      {"running", running},
      {"last", last ? nlohmann::ordered_json::parse(last->text()) : nlohmann::ordered_json::object()}};
  const std::vector<io::UnfinishedRun> unfinished = io::unfinished_runs(folder);
  data["unfinished"] = lacking_json(unfinished);
  const auto invite = folder.invite();
  if (invite) data["quorum"] = invite->quorum;
  const std::string program = "fovea-node --site " + context.site.string();
  std::string human =
      "site " + site.id.text() + ": " + (running ? "running" : "not running; start it with " + program + " start");
  if (running) human += running_text(*last, folder);
  human += lacking_text(folder, unfinished, running ? last : std::nullopt);
  human += "\nfingerprint of this site, for other hospitals that ask by telephone: " + print;
  if (invite && invite->one_person_decides()) human += "\n" + invite->who_decides();
  context.console.data("status", data, human);
  return {};
}

}  // namespace

void add_site_commands(CLI::App& app, CommandContext& context) {
  static_cast<void>(app.add_option("--site", context.site, "The site's folder")->capture_default_str());
  app.add_option("--passphrase-fd", context.passphrase.descriptor,
                 "Where a key needs a passphrase: read it from this file descriptor, not from the terminal")
      ->check(CLI::Range(0, 1023));
  auto* init = app.add_subcommand("init", "Create a site: its folder, keys and settings");
  auto* name = init->add_option("name", "This hospital's name in the federation, for example st-anna")->required();
  init->callback(
      [&context, name] { context.console.run("init", [&] { return run_init(context, name->as<std::string>()); }); });
  auto* join = app.add_subcommand(
      "join", "Join the federation that an invite names, and write a request for the federation's administrators");
  auto* invite = join->add_option("invite", "The invite file")->required();
  auto accept = std::make_shared<bool>(false);
  join->add_flag("--accept-change", *accept, "Replace the founding document that is pinned here by another one");
  join->callback([&context, invite, accept] {
    context.console.run("join", [&] { return run_join(context, invite->as<std::string>(), *accept); });
  });
  auto* passphrase = app.add_subcommand("passphrase", "Change the passphrase of the key that approves plans");
  passphrase->callback([&context] { context.console.run("passphrase", [&] { return run_passphrase(context); }); });
  auto* status = app.add_subcommand("status", "Show what the node is doing");
  status->callback([&context] { context.console.run("status", [&] { return run_status(context); }); });
}

}  // namespace fovea::node::commands

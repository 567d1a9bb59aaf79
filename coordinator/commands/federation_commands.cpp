#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/console.h"
#include "common/file_lock.h"
#include "common/ids.h"
#include "coordinator/commands/command.h"
#include "coordinator/registry/next_steps.h"
#include "crypto/key_file.h"
#include "crypto/signature.h"
#include "federation/files/signed_document_file.h"
#include "federation/membership/invite.h"
#include "federation/membership/join_request.h"
#include "federation/membership/roster.h"
#include "federation/membership/signed_document.h"

namespace fovea::coordinator::commands {
namespace {

using Json = nlohmann::ordered_json;

struct Choice {
  std::vector<std::string> files;
  std::string key;
  bool renew = false;
  bool replace = false;

  registry::Waiting waiting() const { return replace ? registry::Waiting::replace : registry::Waiting::keep; }
};

Result<crypto::SigningKey> key_of(CommandContext& context, const Choice& choice) {
  FOVEA_TRY(crypto::check_protected_key_file(choice.key));  // before a passphrase is asked for
  FOVEA_TRY_ASSIGN(const crypto::SecretBytes passphrase, context.passphrase.existing("the key " + choice.key));
  return crypto::read_protected_key_file(choice.key, passphrase);
}

// Two requests of one name with different keys: only one of them can be the hospital's.
Result<void> refuse_other_keys(const Choice& choice, const registry::RosterChange& change,
                               const federation::membership::RosterSite& site) {
  const auto known =
      std::find_if(change.added.begin(), change.added.end(), [&](const auto& each) { return each.id == site.id; });
  if (known == change.added.end() ||
      federation::membership::entry_digest(*known) == federation::membership::entry_digest(site))
    return {};
  const auto at = static_cast<std::size_t>(known - change.added.begin());
  return invalid_argument(choice.files[at] + " (fingerprint " + federation::membership::site_fingerprint(*known) +
                          ") and " + choice.files[change.added.size()] + " (fingerprint " +
                          federation::membership::site_fingerprint(site) + "): ask for " + site.id.text() +
                          " with different keys; ask the hospital by telephone for its fingerprint, and sign that one");
}

void warn_of_few_sites(CommandContext& context, const federation::membership::Roster& roster) {
  constexpr std::size_t kSitesMin = 3;  // as in the plan of `plan new`
  const std::size_t sites = roster.sites.size();
  if (sites < kSitesMin)
    context.console.progress("warning: " + (sites == 0 ? "no site" : counted(sites, "site")) +
                             (sites == 1 || sites == 0 ? " is" : " are") +
                             " left on this roster; a round takes at least " + std::to_string(kSitesMin) +
                             ", so that a sum mixes two honest ones even if another colludes with the coordinator");
}

// Whoever signs first sees what changes too, before the passphrase is asked for: a request with new keys for a hospital
// that is on the roster would else look like a newcomer's.
Result<registry::SignedRoster> show_and_sign(CommandContext& context, const Choice& choice,
                                             const registry::RosterChange& change) {
  const registry::CoordinatorFolder folder = context.folder();
  const UnixMs now = context.clock.wall();
  FOVEA_TRY_ASSIGN(const federation::membership::Roster next, folder.next_roster(change, now));
  const auto before = folder.newest_roster();
  show_change(context, before ? *before : federation::membership::Roster(), next);
  if (!change.added.empty())
    context.console.progress(
        "compare the fingerprint of each new site, or with new keys, with the hospital by telephone");
  FOVEA_TRY_ASSIGN(const crypto::SigningKey key, key_of(context, choice));
  return folder.sign_next(change, key, now);
}

Result<void> run_sign(CommandContext& context, const Choice& choice) {
  const registry::CoordinatorFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, folder.federation());
  if (choice.files.empty() && !choice.renew)
    return invalid_argument(
        "sign: name the join requests to sign, or --renew to sign the present sites for another week");
  registry::RosterChange change{.added = {}, .removed = {}, .waiting = choice.waiting()};
  for (const std::string& file : choice.files) {
    FOVEA_TRY_ASSIGN(const federation::membership::SignedDocument document,
                     federation::files::read_signed_document(file));
    auto request = federation::membership::verify_join_request(document);
    if (!request) return request.error().with_context(file);
    if (request->federation != facts.federation)
      return permission_denied(file + ": asks to join " + request->federation + ", this is " + facts.federation);
    FOVEA_TRY(refuse_other_keys(choice, change, request->site));
    change.added.push_back(request->site);
  }
  FOVEA_TRY_ASSIGN(const registry::SignedRoster outcome, show_and_sign(context, choice, change));
  if (choice.files.empty()) warn_of_few_sites(context, outcome.roster);
  show_roster(context, "sign", outcome);
  return {};
}

Result<void> run_cosign(CommandContext& context, const Choice& choice) {
  const registry::CoordinatorFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(const federation::membership::SignedDocument waiting, folder.waiting_roster());
  FOVEA_TRY_ASSIGN(const federation::membership::Roster next, federation::membership::Roster::parse(waiting.document));
  if (const auto valid = next.check_valid_at(context.clock.wall()); !valid)
    return Error{valid.error().code, folder.next_roster_file().string() + ": " + valid.error().message +
                                         ". Check this machine's clock, and that of whoever signed first; else sign "
                                         "another one: fovea-coordinator sign --renew --replace --key KEYFILE"};
  // Whoever signs second sees what the first one changed, before the passphrase is asked for.
  const auto before = folder.newest_roster();
  show_change(context, before ? *before : federation::membership::Roster(), next);
  FOVEA_TRY_ASSIGN(const crypto::SigningKey key, key_of(context, choice));
  FOVEA_TRY_ASSIGN(const registry::SignedRoster outcome, folder.cosign(key, context.clock.wall()));
  show_roster(context, "cosign", outcome);
  return {};
}

Result<void> run_revoke(CommandContext& context, const Choice& choice) {
  registry::RosterChange change{.added = {}, .removed = {}, .waiting = choice.waiting()};
  for (const std::string& name : choice.files) {
    FOVEA_TRY_ASSIGN(SiteId id, SiteId::create(name));
    change.removed.push_back(std::move(id));
  }
  FOVEA_TRY_ASSIGN(const registry::SignedRoster outcome, show_and_sign(context, choice, change));
  warn_of_few_sites(context, outcome.roster);
  show_roster(context, "revoke", outcome);
  return {};
}

struct WaitingText {
  Json data;
  std::string text;
};

// A roster that waits for signatures: by whom it is signed, and for how many more it waits.
Result<WaitingText> waiting_text(const CommandContext& context, UnixMs now) {
  WaitingText out{.data = nullptr, .text = {}};
  FOVEA_TRY_ASSIGN(const auto waiting, context.folder().who_signs(now));
  if (!waiting) return out;
  out.data = {{"epoch", waiting->roster.epoch},
              {"signed_by", Json::array()},
              {"signatures_missing", waiting->missing()},
              {"sites", waiting->roster.sites.size()}};
  std::string names;
  for (const auto& key : waiting->signed_by) {
    out.data["signed_by"].push_back(to_hex(key));
    names += (names.empty() ? "" : ", ") + federation::membership::shortened_key(key);
  }
  out.text = "the roster of epoch " + std::to_string(waiting->roster.epoch) + ", " +
             counted(waiting->roster.sites.size(), "site") + ", waits in " +
             context.folder().next_roster_file().string() + " for " +
             counted(waiting->missing(), "more administrator") + "; signed by " + (names.empty() ? "nobody" : names) +
             ": fovea-coordinator cosign --key KEYFILE";
  return out;
}

struct SiteChange {
  std::string_view word;  // for scripts
  std::string_view line;  // for people
  const federation::membership::RosterSite* site;
};

std::vector<SiteChange> changes_of(const federation::membership::Roster& before,
                                   const federation::membership::Roster& next) {
  using federation::membership::entry_digest;
  std::vector<SiteChange> out;
  for (const auto& site : next.sites) {
    const auto* known = before.find(site.id);
    if (known == nullptr) out.push_back({"new", "  new      ", &site});
    else if (entry_digest(*known) == entry_digest(site)) out.push_back({"stays", "  stays    ", &site});
    else out.push_back({"new keys", "  NEW KEYS ", &site});
  }
  for (const auto& site : before.sites)
    if (next.find(site.id) == nullptr) out.push_back({"leaves", "  leaves   ", &site});
  return out;
}

Result<void> run_sites(CommandContext& context) {
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, context.folder().federation());
  const UnixMs now = context.clock.wall();
  FOVEA_TRY_ASSIGN(const WaitingText waiting, waiting_text(context, now));
  const auto newest = context.folder().newest_roster();
  if (!newest && newest.error().code == ErrorCode::not_found && !waiting.text.empty()) {
    context.console.data("sites", {{"epoch", 0}, {"sites", Json::array()}, {"waiting", waiting.data}},
                         "no roster is in force yet\n" + waiting.text);
    return {};
  }
  if (!newest) return newest.error();
  const federation::membership::Roster& roster = *newest;
  Json sites = Json::array();
  std::vector<std::vector<std::string>> rows = {{"SITE", "FINGERPRINT"}};
  for (const auto& site : roster.sites) {
    const std::string print = federation::membership::site_fingerprint(site);
    sites.push_back({{"site", site.id.text()},
                     {"fingerprint", print},
                     {"identity_key", to_hex(site.identity_key)},
                     {"log_key", to_hex(site.log_key)}});
    rows.push_back({site.id.text(), print});
  }
  FOVEA_TRY_ASSIGN(const BlamedSites blamed, blamed_sites(context));
  FOVEA_TRY_ASSIGN(const CutOffSites cut_off, cut_off_sites(context));
  const std::string problem = registry::why_not_valid(roster, facts, now);
  const std::string validity = problem.empty() ? "epoch " + std::to_string(roster.epoch) + ", valid until " +
                                                     utc_text(roster.valid_until) + " (" +
                                                     registry::time_left(roster.valid_until, now) + " left)"
                                               : problem;
  context.console.data("sites",
                       {{"epoch", roster.epoch},
                        {"valid_until_ms", roster.valid_until.value},
                        {"sites", sites},
                        {"waiting", waiting.data},
                        {"left_out", blamed.data},
                        {"cut_off", cut_off.data}},
                       validity + "\n" + text_table(rows) + (waiting.text.empty() ? "" : "\n" + waiting.text) +
                           blamed.text + cut_off.text);
  return {};
}

}  // namespace

void show_change(CommandContext& context, const federation::membership::Roster& before,
                 const federation::membership::Roster& next) {
  context.console.progress("roster of epoch " + std::to_string(next.epoch) + ", valid until " +
                           utc_text(next.valid_until) + ":");
  for (const SiteChange& change : changes_of(before, next))
    context.console.progress(std::string(change.line) + change.site->id.text() + ": fingerprint " +
                             federation::membership::site_fingerprint(*change.site));
}

void show_roster(const CommandContext& context, std::string_view command, const registry::SignedRoster& outcome) {
  Json sites = Json::array();
  for (const auto& site : outcome.roster.sites) sites.push_back(site.id.text());
  Json changes = Json::array();
  for (const SiteChange& change : changes_of(outcome.before, outcome.roster))
    changes.push_back({{"site", change.site->id.text()},
                       {"change", change.word},
                       {"fingerprint", federation::membership::site_fingerprint(*change.site)}});
  const std::size_t left = outcome.in_force ? 0 : outcome.quorum - outcome.signatures;
  const std::string file = outcome.file.string();
  std::string text = "roster of epoch " + std::to_string(outcome.roster.epoch) + ": " +
                     counted(outcome.roster.sites.size(), "site") + ", valid until " +
                     utc_text(outcome.roster.valid_until) + ", ";
  if (outcome.signed_before && !outcome.in_force)
    text += "not in force: you have signed it already; it waits in " + file + " for " +
            counted(left, "more administrator") + "\nnext, with this file in their folder: fovea-coordinator cosign " +
            "--key KEYFILE";
  else if (!outcome.in_force)
    text += "not in force: it waits in " + file + " for " + counted(left, "more administrator") +
            "\nnext, with this file in their folder: fovea-coordinator cosign --key KEYFILE";
  else if (context.folder().is_coordinator()) text += "in force";
  else text += "signed by enough\nnext, at the coordinator: fovea-coordinator take " + file;
  context.console.data(command,
                       {{"epoch", outcome.roster.epoch},
                        {"valid_until_ms", outcome.roster.valid_until.value},
                        {"in_force", outcome.in_force},
                        {"signatures_missing", left},
                        {"file", file},
                        {"sites", sites},
                        {"changes", changes}},
                       text);
}

Result<registry::CoordinatorConfig> CommandContext::config() {
  FOVEA_TRY(folder().federation());  // says to run init
  auto config = registry::CoordinatorConfig::read(folder().config());
  if (!config) console.configuration_failed = true;
  return config;
}

Result<std::optional<FileLock>> CommandContext::lock_changes(std::string_view command) const {
  std::error_code error;
  if (!std::filesystem::is_directory(home, error)) return std::optional<FileLock>();
  FOVEA_TRY_ASSIGN(FileLock lock, FileLock::take_as(home / "changes.lock", "fovea-coordinator " + std::string(command),
                                                    home.string()));
  return std::optional<FileLock>(std::move(lock));
}

void add_federation_commands(CLI::App& app, CommandContext& context) {
  auto choice = std::make_shared<Choice>();
  auto* sign = app.add_subcommand("sign", "Put sites on the roster: sign the next epoch");
  sign->add_option("requests", choice->files, "Join requests");
  sign->add_flag("--renew", choice->renew, "Sign the present sites for another seven days");
  const char* const kReplace =
      "Write it over one that waits for further signatures, which is lost then, or over one that was signed by a wrong "
      "clock";
  auto* cosign = app.add_subcommand("cosign", "Sign the waiting roster as a further administrator");
  auto* revoke = app.add_subcommand("revoke", "Take sites off the roster; their connections are cut");
  revoke->add_option("sites", choice->files, "Names of sites")->required();
  for (auto* command : {sign, revoke}) command->add_flag("--replace", choice->replace, kReplace);
  for (auto* command : {sign, cosign, revoke})
    command->add_option("--key", choice->key, "The administrator's key file")->required();
  const auto on = [&context, choice](CLI::App* command, auto body) {
    command->callback([&context, choice, command, body] {
      context.console.run(command->get_name(), [&]() -> Result<void> {
        FOVEA_TRY_ASSIGN(const std::optional<FileLock> lock, context.lock_changes(command->get_name()));
        return body(context, *choice);
      });
    });
  };
  on(sign, run_sign);
  on(cosign, run_cosign);
  on(revoke, run_revoke);
  auto* sites = app.add_subcommand("sites", "Show the roster, and which sites are left out of runs");
  sites->callback([&context] { context.console.run("sites", [&] { return run_sites(context); }); });
  add_blame_commands(app, context);
}

}  // namespace fovea::coordinator::commands

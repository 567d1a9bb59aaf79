// The subcommands of `fovea-coordinator`.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/console.h"
#include "common/file_lock.h"
#include "common/result.h"
#include "coordinator/registry/coordinator_folder.h"
#include "federation/files/passphrase.h"

namespace CLI {
class App;
}

namespace fovea::coordinator::commands {

struct CommandContext {
  Console console;                                   // --json, --quiet
  std::filesystem::path home = "fovea-coordinator";  // --home
  federation::files::PassphraseSource passphrase;    // --passphrase-fd
  SystemClock clock;

  registry::CoordinatorFolder folder() const { return registry::CoordinatorFolder(home); }
  // coordinator.toml; a mistake in it sets exit code 3.
  Result<registry::CoordinatorConfig> config();
  // Of a command that reads documents in the folder and writes what follows from them: what a person saw is what she
  // signs. None where there is no folder yet; failed_precondition names who holds it.
  Result<std::optional<FileLock>> lock_changes(std::string_view command) const;
};

// Site by site what `next` changes, with the fingerprint that covers all keys of a site.
void show_change(CommandContext& context, const federation::membership::Roster& before,
                 const federation::membership::Roster& next);
// What signing or taking a roster has brought about.
void show_roster(const CommandContext& context, std::string_view command, const registry::SignedRoster& outcome);

// administrator, init, amend, sign-founding, take, invite
void add_founding_commands(CLI::App& app, CommandContext& context);
// sign, cosign, revoke, sites, pardon
void add_federation_commands(CLI::App& app, CommandContext& context);
void add_blame_commands(CLI::App& app, CommandContext& context);  // pardon
// What "sites" says of the sites that are left out of runs, as data and for people (empty: nobody is).
struct BlamedSites {
  nlohmann::ordered_json data;
  std::string text;
};
Result<BlamedSites> blamed_sites(const CommandContext& context);
// The same of sites that cannot follow a run any more (coordinator/store/cut_off_sites.h).
struct CutOffSites {
  nlohmann::ordered_json data;
  std::string text;
};
Result<CutOffSites> cut_off_sites(const CommandContext& context);
void add_plan_commands(CLI::App& app, CommandContext& context);   // plan new, plan validate
void add_run_commands(CLI::App& app, CommandContext& context);    // run start, watch, list, stop
void add_serve_command(CLI::App& app, CommandContext& context);   // serve
void add_model_commands(CLI::App& app, CommandContext& context);  // model export

}  // namespace fovea::coordinator::commands

// The subcommands of `fovea-coordinator`.
#pragma once

#include <filesystem>

#include "common/clock.h"
#include "common/console.h"
#include "common/result.h"
#include "coordinator/registry/coordinator_folder.h"

namespace CLI {
class App;
}

namespace fovea::coordinator::commands {

struct CommandContext {
  Console console;                                   // --json, --quiet
  std::filesystem::path home = "fovea-coordinator";  // --home
  SystemClock clock;

  registry::CoordinatorFolder folder() const { return registry::CoordinatorFolder(home); }
  // coordinator.toml; a mistake in it sets exit code 3.
  Result<registry::CoordinatorConfig> config();
};

// init, invite, sign, cosign, sites, revoke, administrator
void add_federation_commands(CLI::App& app, CommandContext& context);
void add_plan_commands(CLI::App& app, CommandContext& context);   // plan new, plan validate
void add_run_commands(CLI::App& app, CommandContext& context);    // run start, watch, list, stop
void add_model_commands(CLI::App& app, CommandContext& context);  // model export

}  // namespace fovea::coordinator::commands

// How a room adds its subcommands to `fovea-node`:
//
//   void add_data_commands(CLI::App& app, CommandContext& context) {
//     CLI::App* data = app.add_subcommand("data", "Scans of this site");
//     CLI::App* list = data->add_subcommand("list", "Studies in the catalogue");
//     list->callback([&context] {
//       context.console.run("data list", [&]() -> Result<void> {
//         FOVEA_TRY_ASSIGN(const NodeConfig config, context.config());
//         …
//         context.console.data("data list", json, human);
//         return {};
//       });
//     });
//   }
//
// Long work reports with context.console.progress(). The context outlives the app. Only the files that add subcommands
// include CLI11.
#pragma once

#include <filesystem>

#include "common/clock.h"
#include "common/console.h"
#include "common/result.h"
#include "federation/files/passphrase.h"
#include "node/io/node_config.h"
#include "node/io/site_folder.h"

namespace CLI {
class App;
}

namespace fovea::node::commands {

struct CommandContext {
  Console console;                                 // --json, --quiet
  std::filesystem::path site = "fovea-site";       // --site
  federation::files::PassphraseSource passphrase;  // --passphrase-fd
  SystemClock clock;

  io::SiteFolder folder() const { return io::SiteFolder(site).read_once(); }
  // node.toml of the site; a mistake in it sets exit code 3.
  Result<io::NodeConfig> config();
  // Log lines go to stderr, from the settings' level on; only errors with --quiet. Once per process.
  void set_up_log(const io::NodeConfig& config);
};

void add_site_commands(CLI::App& app, CommandContext& context);     // init, join, status
void add_start_command(CLI::App& app, CommandContext& context);     // start
void add_plan_commands(CLI::App& app, CommandContext& context);     // plan …
void add_roster_commands(CLI::App& app, CommandContext& context);   // roster …
void add_doctor_command(CLI::App& app, CommandContext& context);    // doctor
void add_egress_commands(CLI::App& app, CommandContext& context);   // egress list
void add_data_commands(CLI::App& app, CommandContext& context);     // data …
void add_predict_command(CLI::App& app, CommandContext& context);   // predict (with learning)
void add_evaluate_command(CLI::App& app, CommandContext& context);  // evaluate (with learning)

}  // namespace fovea::node::commands

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "node/commands/command.h"
#include "node/commands/trainer_choice.h"
#include "node/io/site_driver.h"

namespace fovea::node::commands {
namespace {

struct StartOptions {
  std::string hold_after;
  bool until_complete = false;
};

Result<void> run_start(CommandContext& context, const StartOptions& options) {
  FOVEA_TRY_ASSIGN(const io::NodeConfig config, context.config());
  std::optional<io::HoldPoint> hold;
  if (!options.hold_after.empty()) {
    FOVEA_TRY_ASSIGN(hold, io::HoldPoint::parse(options.hold_after));
  }
  context.set_up_log(config);
  io::block_stop_signals();
  const io::SiteFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(auto driver, io::SiteDriver::open({.folder = folder,
                                                      .config = config,
                                                      .make_trainer =
                                                          [&folder, &config](const federation::membership::Plan& plan) {
                                                            return make_trainer(plan, folder, config);
                                                          },
                                                      .hold = hold,
                                                      .until_complete = options.until_complete},
                                                     context.clock));
  return driver->run();
}

}  // namespace

void add_start_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<StartOptions>();
  auto* start = app.add_subcommand("start", "Run the node: connect, take part in approved plans, until SIGTERM");
  start->add_flag("--until-complete", options->until_complete, "Exit when the plan's last round is applied");
  start->add_option("--hold-after", options->hold_after,
                    "For tests and demonstrations: stop at keys:R, shares:R, masked:R or consistency:R of round R "
                    "until killed or SIGCONT");
  start->callback([&context, options] { context.console.run("start", [&] { return run_start(context, *options); }); });
}

}  // namespace fovea::node::commands

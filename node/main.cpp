#include <CLI/CLI.hpp>

#include "common/command_line.h"
#include "crypto/core_dumps.h"
#include "node/commands/command.h"

int main(int argc, char** argv) {
  fovea::crypto::forbid_core_dumps();
  fovea::keep_large_buffers(64 << 20);  // messages of a megabyte come and go all the time
  fovea::node::commands::CommandContext context;
  CLI::App app("A hospital's node of a Fovea federation", "fovea-node");
  fovea::add_program_options(app, context.console);
  fovea::node::commands::add_site_commands(app, context);
  fovea::node::commands::add_start_command(app, context);
  fovea::node::commands::add_roster_commands(app, context);
  fovea::node::commands::add_plan_commands(app, context);
  fovea::node::commands::add_egress_commands(app, context);
  fovea::node::commands::add_doctor_command(app, context);
  fovea::node::commands::add_data_commands(app, context);
#ifdef FOVEA_WITH_LEARNING
  fovea::node::commands::add_predict_command(app, context);
  fovea::node::commands::add_evaluate_command(app, context);
#endif
  return fovea::run_command_line(app, argc, argv, context.console);
}

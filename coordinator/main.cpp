#include <CLI/CLI.hpp>

#include "common/command_line.h"
#include "coordinator/commands/command.h"
#include "crypto/core_dumps.h"

namespace commands = fovea::coordinator::commands;

int main(int argc, char** argv) {
  fovea::crypto::forbid_core_dumps();
  fovea::keep_large_buffers(64 << 20);  // messages of a megabyte come and go all the time
  commands::CommandContext context;
  CLI::App app("The coordinator of a Fovea federation", "fovea-coordinator");
  fovea::add_program_options(app, context.console);
  commands::add_founding_commands(app, context);
  commands::add_federation_commands(app, context);
  commands::add_plan_commands(app, context);
  commands::add_run_commands(app, context);
  commands::add_serve_command(app, context);
  commands::add_model_commands(app, context);
  return fovea::run_command_line(app, argc, argv, context.console);
}

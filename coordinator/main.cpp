#include <malloc.h>

#include <CLI/CLI.hpp>

#include "common/command_line.h"
#include "coordinator/commands/command.h"

namespace {

// Messages of a megabyte come and go all the time: keep their pages instead of mapping and clearing them anew.
void keep_large_buffers() {
  constexpr int kKeepBytes = 64 << 20;
  ::mallopt(M_MMAP_THRESHOLD, kKeepBytes);
  ::mallopt(M_TRIM_THRESHOLD, kKeepBytes);
}

}  // namespace

int main(int argc, char** argv) {
  keep_large_buffers();
  fovea::coordinator::CommandContext context;
  CLI::App app("The coordinator of a Fovea federation", "fovea-coordinator");
  app.set_version_flag("--version", std::string("fovea-coordinator ") + FOVEA_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", context.console.json, "Print data as one JSON line on stdout");
  app.add_flag("--quiet", context.console.quiet, "No progress on stderr");
  fovea::coordinator::add_federation_commands(app, context);
  fovea::coordinator::add_plan_commands(app, context);
  fovea::coordinator::add_run_commands(app, context);
  fovea::coordinator::add_model_commands(app, context);
  return fovea::run_command_line(app, argc, argv, context.console);
}

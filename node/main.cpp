#include <malloc.h>

#include <CLI/CLI.hpp>

#include "common/command_line.h"
#include "node/commands/command.h"

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
  fovea::node::CommandContext context;
  CLI::App app("A hospital's node of a Fovea federation", "fovea-node");
  app.set_version_flag("--version", std::string("fovea-node ") + FOVEA_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", context.console.json, "Print data as one JSON line on stdout");
  app.add_flag("--quiet", context.console.quiet, "No progress on stderr");
  fovea::node::add_site_commands(app, context);
  fovea::node::add_start_command(app, context);
  fovea::node::add_plan_commands(app, context);
  fovea::node::add_egress_commands(app, context);
  fovea::node::add_doctor_command(app, context);
  fovea::node::add_data_commands(app, context);
#ifdef FOVEA_WITH_LEARNING
  fovea::node::add_predict_command(app, context);
  fovea::node::add_evaluate_command(app, context);
#endif
  return fovea::run_command_line(app, argc, argv, context.console);
}

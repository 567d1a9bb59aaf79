// fovea-audit: proves offline what left a site. No network, no secrets.
#include <CLI/CLI.hpp>

#include "audit/commands.h"
#include "common/command_line.h"
#include "common/console.h"

int main(int argc, char** argv) {
  fovea::Console console;
  CLI::App app("Checks offline, from ledgers, what left each site and why it was allowed", "fovea-audit");
  fovea::add_program_options(app, console);
  fovea::audit::add_commands(app, console);
  return fovea::run_command_line(app, argc, argv, console);
}

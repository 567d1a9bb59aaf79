// fovea-audit: proves offline what left a site. No network, no secrets.
#include <CLI/CLI.hpp>

#include "audit/commands.h"

int main(int argc, char** argv) {
  fovea::Console console;
  CLI::App app("Proves offline what left each site of a federation, and why it was allowed", "fovea-audit");
  app.add_flag("--json", console.json, "Print one line of JSON");
  app.add_flag("--quiet", console.quiet, "No progress on stderr");
  app.set_version_flag("--version", "fovea-audit 0.1.0");
  app.require_subcommand(1);
  app.fallthrough();
  fovea::audit::add_commands(app, console);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(fovea::ExitCode::usage);
  }
  return static_cast<int>(console.exit_code);
}

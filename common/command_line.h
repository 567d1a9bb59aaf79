// Parses a program's command line: --help and --version, "did you mean" for a misspelt word, exit code 2.
#pragma once

#include <optional>

#include "common/console.h"

namespace CLI {
class App;
}

namespace fovea {

// Runs the callbacks of the chosen subcommand. The value is what main() returns.
int run_command_line(CLI::App& app, int argc, char** argv, const Console& console);

}  // namespace fovea

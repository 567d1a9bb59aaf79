// What the main() of every program does: --help and --version, "did you mean" for a misspelt word, exit code 2.
#pragma once

#include "common/console.h"

namespace CLI {
class App;
}

namespace fovea {

// What every program has, to be called before its subcommands are added: --version, --json, --quiet, one subcommand.
// The console outlives the app.
void add_program_options(CLI::App& app, Console& console);

// For a program that allocates and frees buffers of a megabyte all the time: keeps up to `bytes` of freed heap mapped,
// instead of mapping and clearing the pages anew. For the whole process.
void keep_large_buffers(int bytes);

// Runs the callbacks of the chosen subcommand. The value is what main() returns.
int run_command_line(CLI::App& app, int argc, char** argv, const Console& console);

}  // namespace fovea

// What the main() of every program does: --help and --version, "did you mean" for a misspelt word, exit code 2.
#pragma once

#include <filesystem>
#include <string_view>

#include "common/console.h"
#include "common/result.h"

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

// A command's output file takes the place of nothing: a key, the roster in force or a model of last year would be gone.
// failed_precondition names the file, and the option that named it.
Result<void> refuse_existing(const std::filesystem::path& file, std::string_view option = {});

// Runs the callbacks of the chosen subcommand. The value is what main() returns. With --json, --help and --version too
// print one line of JSON: {"text": …}.
int run_command_line(CLI::App& app, int argc, char** argv, const Console& console);

}  // namespace fovea

#include "common/command_line.h"

#include <malloc.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "common/closest_name.h"

namespace fovea {
namespace {

void collect_names(const CLI::App& app, std::vector<std::string>& out) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) out.push_back("--" + name);
  }
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    out.push_back(command->get_name());
    collect_names(*command, out);
  }
}

// The first word that the parser did not expect, as the person typed it.
std::string unexpected_word(const CLI::App& app) {
  for (const std::string& word : app.remaining(true))
    if (word != "--") return word;
  return {};
}

}  // namespace

void keep_large_buffers(int bytes) {
  ::mallopt(M_MMAP_THRESHOLD, bytes);
  ::mallopt(M_TRIM_THRESHOLD, bytes);
}

void add_program_options(CLI::App& app, Console& console) {
  app.set_version_flag("--version", app.get_name() + " " FOVEA_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", console.json, "Print data as one JSON line on stdout");
  app.add_flag("--quiet", console.quiet, "No progress on stderr");
}

Result<void> refuse_existing(const std::filesystem::path& file, std::string_view option) {
  std::error_code ignored;  // a link that leads nowhere would be replaced too
  if (std::filesystem::symlink_status(file, ignored).type() == std::filesystem::file_type::not_found) return {};
  return failed_precondition(file.string() + ": exists; choose another file" +
                             (option.empty() ? "" : " with " + std::string(option)));
}

int run_command_line(CLI::App& app, int argc, char** argv, const Console& console) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help and --version
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    std::cerr << "error: " << error.what();
    std::vector<std::string> names;
    collect_names(app, names);
    const std::string word = unexpected_word(app);
    if (!word.empty()) std::cerr << did_you_mean(word.substr(0, word.find('=')), names);
    std::cerr << "\nRun " << app.get_name()
              << " --help for the commands, and --help after a command for its options.\n";
    return static_cast<int>(ExitCode::usage);
  }
  return static_cast<int>(console.exit_code);
}

}  // namespace fovea

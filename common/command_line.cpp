#include "common/command_line.h"

#include <malloc.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "common/closest_name.h"

namespace fovea {
namespace {

std::vector<std::string> options_of(const CLI::App& command) {
  std::vector<std::string> out;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) out.push_back("--" + name);
  return out;
}

// The command that was typed, as far as there is one, and those that it belongs to, whose options it takes too.
std::vector<const CLI::App*> typed_commands(const CLI::App& app) {
  std::vector<const CLI::App*> out = {&app};
  while (!out.back()->get_subcommands().empty()) out.push_back(out.back()->get_subcommands().back());
  return out;
}

// What could have been meant there: another command's option would be refused in its turn.
std::vector<std::string> names_expected(const CLI::App& app) {
  const std::vector<const CLI::App*> typed = typed_commands(app);
  std::vector<std::string> out;
  for (auto command = typed.rbegin(); command != typed.rend(); ++command) {
    const std::vector<std::string> options = options_of(**command);
    out.insert(out.end(), options.begin(), options.end());
  }
  for (const CLI::App* command : typed.back()->get_subcommands([](const CLI::App*) { return true; }))
    out.push_back(command->get_name());
  return out;
}

// The command that has this option, by the words to type for it; empty where there is none.
std::string owner_of(const CLI::App& app, const std::string& option, const std::string& path) {
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    const std::string name = path + command->get_name();
    const std::vector<std::string> options = options_of(*command);
    if (std::find(options.begin(), options.end(), option) != options.end()) return name;
    if (std::string below = owner_of(*command, option, name + " "); !below.empty()) return below;
  }
  return {};
}

std::string hint_for(const CLI::App& app, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  if (const std::string owner = name.starts_with("--") ? owner_of(app, name, "") : ""; !owner.empty())
    return "; \"" + name + "\" is an option of \"" + owner + "\"";
  return did_you_mean(name, names_expected(app));
}

// "plan new"; the program's name where no command was typed.
std::string typed_command(const CLI::App& app) {
  std::string out;
  for (const CLI::App* at : typed_commands(app))
    if (at != &app) out += (out.empty() ? "" : " ") + at->get_name();
  return out.empty() ? app.get_name() : out;
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
  Console asked = console;  // the parser may stop before it takes the options
  asked.json = std::find(argv, argv + argc, std::string_view("--json")) != argv + argc;
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help and --version
    if (!asked.json) return app.exit(success);
    std::ostringstream text;
    const int code = app.exit(success, text, text);
    asked.data(typed_command(app), {{"text", text.str()}}, "");
    return code;
  } catch (const CLI::ParseError& error) {
    std::string said = error.what();
    const std::string word = unexpected_word(app);
    if (!word.empty() && said.find(word) == std::string::npos) said = "\"" + word + "\" is no command: " + said;
    if (!word.empty()) said += hint_for(app, word);
    asked.fail(typed_command(app), invalid_argument(said), ExitCode::usage);
    std::cerr << "Run " << app.get_name() << " --help for the commands, and --help after a command for its options.\n";
    return static_cast<int>(ExitCode::usage);
  }
  return static_cast<int>(console.exit_code);
}

}  // namespace fovea

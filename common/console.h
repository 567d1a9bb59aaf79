// What a command prints. Data goes to stdout, progress and errors to stderr. With --json the data is one
// line {"fovea":1,"command":"…","data":…}, and an error {"fovea":1,"command":"…","error":{"code","message"}}. A command
// prints one of them: where it fails after its data, the exit code and stderr say so.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace fovea {

// Exit codes of every program.
enum class ExitCode : int {
  ok = 0,
  failed = 1,
  usage = 2,
  configuration = 3,
  connection = 4,
  time_out = 5,
  policy = 6,
  integrity = 7,
  some_refused = 8,  // done, but for some of what was asked
  bug = 70
};

ExitCode exit_code_of(ErrorCode code) noexcept;

// What may be written to a terminal: characters that move the cursor, change the terminal, turn the direction of text
// or cannot be seen become "\x1b". Names and documents of other parties are printed: a plan must not show another plan.
std::string printable(std::string_view text);

struct Console {
  bool json = false;
  bool quiet = false;
  mutable ExitCode exit_code = ExitCode::ok;  // what main() returns
  mutable bool data_printed = false;
  bool configuration_failed = false;  // set by whoever read the settings: the error that follows exits with 3
  // Of a program that serves: takes what would be written to the descriptor here, and never waits for a terminal.
  std::function<void(int, std::string)> writer{};

  // The result of a command: `human` without --json. A newline is added.
  void data(std::string_view command, const nlohmann::ordered_json& value, std::string_view human) const;
  // Progress on stderr, nothing with --quiet.
  void progress(std::string_view line) const;
  // Replaces the line before when stderr is a terminal; otherwise as progress().
  void progress_in_place(std::string_view line) const;
  // Asks a person at a terminal before what cannot be undone; anything but "y" or "yes" is no. Without a terminal on
  // stdin and stderr nobody is asked, and the command itself counts as the answer.
  bool confirmed(std::string_view question) const;
  // A command that is done, and yet has something to tell scripts.
  void finish_with(ExitCode code) const { exit_code = code; }
  // Prints the error and remembers the exit code.
  void fail(std::string_view command, const Error& error);
  void fail(std::string_view command, const Error& error, ExitCode code);
  // Runs a command's body; an error goes to fail(), an exception of a library is a bug (70).
  void run(std::string_view command, const std::function<Result<void>()>& body);

 private:
  void write(int descriptor, std::string text) const;
  void print(int descriptor, std::string_view raw) const;  // a line
};

// "1 site", "3 sites", "2 studies", "0 entries": a number and the word for what it counts. `many`: where another ending
// does not make the plural ("message was", "messages were").
std::string counted(std::uint64_t count, std::string_view one, std::string_view many = {});

// Columns aligned with two spaces between; the first row is the heading.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace fovea

#include "common/console.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

namespace fovea {
namespace {

std::string dump(const nlohmann::ordered_json& value) {
  // Names typed by people may not be UTF-8; printing must not fail over them.
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

// Bytes of the character that `text` begins with, if it is one that moves the cursor, changes the terminal, turns the
// direction of what follows, ends the line or cannot be seen: C0 but tab and newline, DEL, C1, the soft hyphen, the
// marks of bidirectional text, separators of lines, and what has no width.
std::size_t hidden_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const bool c0 = byte(0) < 0x20U && text[0] != '\n' && text[0] != '\t';
  if (c0 || byte(0) == 0x7fU) return 1;
  if (byte(0) == 0xc2U && byte(1) >= 0x80U && byte(1) < 0xa0U) return 2;
  if (byte(0) == 0xc2U && byte(1) == 0xadU) return 2;  // U+00AD
  if (byte(0) == 0xd8U && byte(1) == 0x9cU) return 2;  // U+061C
  const unsigned low = byte(2);
  if (byte(0) == 0xefU && byte(1) == 0xbbU && low == 0xbfU) return 3;  // U+FEFF
  // U+E0000 to U+E0FFF, tags
  if (byte(0) == 0xf3U && byte(1) == 0xa0U && byte(2) >= 0x80U && byte(3) >= 0x80U) return 4;
  if (byte(0) != 0xe2U) return 0;
  // U+200B to U+200F, and U+2028 to U+202E
  if (byte(1) == 0x80U && ((low >= 0x8bU && low <= 0x8fU) || (low >= 0xa8U && low <= 0xaeU))) return 3;
  return byte(1) == 0x81U && low >= 0xa0U && low <= 0xafU ? 3 : 0;  // U+2060 to U+206F
}

// Characters a terminal shows, for UTF-8 text.
std::size_t shown_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t hidden = hidden_length(text.substr(i));
    if (hidden == 0) {
      out.push_back(text[i]);
      continue;
    }
    for (std::size_t j = 0; j < hidden; ++j) {
      char escaped[5];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(text[i + j])));
      out += escaped;
    }
    i += hidden - 1;
  }
  return out;
}

ExitCode exit_code_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::failed_precondition:
    case ErrorCode::not_found: return ExitCode::failed;
    case ErrorCode::unavailable: return ExitCode::connection;
    case ErrorCode::deadline_exceeded: return ExitCode::time_out;
    case ErrorCode::permission_denied: return ExitCode::policy;
    case ErrorCode::corruption: return ExitCode::integrity;
    case ErrorCode::internal: return ExitCode::bug;
  }
  return ExitCode::bug;
}

void Console::write(int descriptor, std::string text) const {
  if (writer) return writer(descriptor, std::move(text));
  std::FILE* const stream = descriptor == STDOUT_FILENO ? stdout : stderr;
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

void Console::print(int descriptor, std::string_view raw) const { write(descriptor, printable(raw) + "\n"); }

void Console::data(std::string_view command, const nlohmann::ordered_json& value, std::string_view human) const {
  if (json) {
    print(STDOUT_FILENO, dump({{"fovea", 1}, {"command", command}, {"data", value}}));
    data_printed = true;
  } else if (!human.empty()) {
    print(STDOUT_FILENO, human);
  }
}

void Console::progress(std::string_view line) const {
  if (!quiet) print(STDERR_FILENO, line);
}

void Console::progress_in_place(std::string_view line) const {
  if (quiet) return;
  if (::isatty(STDERR_FILENO) == 0) return print(STDERR_FILENO, line);
  write(STDERR_FILENO, "\r\033[K" + printable(line));
}

bool Console::confirmed(std::string_view question) const {
  if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDERR_FILENO) == 0) return true;
  std::fprintf(stderr, "%s [y/N] ", printable(question).c_str());
  std::fflush(stderr);
  std::string answer;
  for (char c = 0; ::read(STDIN_FILENO, &c, 1) == 1 && c != '\n';) answer.push_back(c);
  return answer == "y" || answer == "yes";
}

void Console::fail(std::string_view command, const Error& error) {
  fail(command, error, configuration_failed ? ExitCode::configuration : exit_code_of(error.code));
}

void Console::fail(std::string_view command, const Error& error, ExitCode code) {
  exit_code = code;
  if (json && !data_printed)
    print(STDOUT_FILENO, dump({{"fovea", 1},
                               {"command", command},
                               {"error", {{"code", to_string(error.code)}, {"message", error.message}}}}));
  print(STDERR_FILENO, "error: " + error.message);
}

void Console::run(std::string_view command, const std::function<Result<void>()>& body) {
  try {
    if (const auto done = body(); !done) fail(command, done.error());
  } catch (const std::exception& error) {
    fail(command, internal_error(std::string("unexpected: ") + error.what() + "; please report it"));
  }
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  if (count != 1 && !many.empty()) return std::to_string(count) + " " + std::string(many);
  std::string word(one);
  constexpr std::string_view kVowels = "aeiou";
  const bool ies = word.size() > 1 && word.back() == 'y' && kVowels.find(word[word.size() - 2]) == std::string::npos;
  if (count != 1 && ies) word.replace(word.size() - 1, 1, "ies");
  else if (count != 1) word += "s";
  return std::to_string(count) + " " + word;
}

std::string text_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], shown_width(row[i]));
    }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line += std::string(widths[i] - shown_width(row[i]) + 2, ' ');
    }
    out += line + "\n";
  }
  if (!out.empty()) out.pop_back();
  return out;
}

}  // namespace fovea

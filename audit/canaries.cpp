#include "audit/canaries.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/bytes.h"
#include "common/canonical_json.h"
#include "common/durable_file.h"

namespace fovea::audit {
namespace {

constexpr std::size_t kFileMax = std::size_t{16} << 20U;
constexpr std::size_t kBytesMin = 3;
constexpr std::size_t kCertainBytes = 12;  // no hash holds a given text of this length by chance

char in_small(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string in_small(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return in_small(c); });
  return out;
}

bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(kSpace)));
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

// What stands between the quotes.
std::string in_json(std::string_view text) {
  const std::string quoted =
      nlohmann::json(std::string(text)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2);
}

// Entries are full of hex and base64, in which a short identifier such as "4711" or "ab12" occurs by chance, and of
// numbers, which may equal one.
bool is_word_of_a_value(std::string_view text, std::size_t at, std::size_t size) {
  const std::string_view rest = text.substr(at + size);
  const char before = at == 0 ? ' ' : text[at - 1];
  const char after = rest.empty() ? ' ' : rest.front();
  if (is_alphanumeric(before) || is_alphanumeric(after)) return false;
  const bool number = (before == ':' || before == '[' || before == ',') &&
                      (after == ',' || after == '}' || after == ']');
  // In canonical JSON no value begins and ends like this.
  const bool field = at >= 2 && before == '"' && (text[at - 2] == '{' || text[at - 2] == ',') &&
                     rest.starts_with("\":");
  return !number && !field;
}

}  // namespace

Result<std::string> checked_canary(std::string_view text, std::string_view where) {
  const std::string_view word = trimmed(text);
  if (!canonical_json(nlohmann::json(std::string(word))))
    return invalid_argument(std::string(where) +
                            ": is not UTF-8, in which ledgers are written, so that it would not be found; save the "
                            "file as UTF-8");
  if (word.size() < kBytesMin)
    return invalid_argument(std::string(where) + ": a text of fewer than " + std::to_string(kBytesMin) +
                            " bytes would be found by chance; leave it out or write more of it");
  return std::string(word);
}

Result<std::vector<std::string>> read_canary_file(const std::filesystem::path& file) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(file, kFileMax));
  std::string_view rest = as_text(bytes);
  if (rest.find('\0') != std::string_view::npos || rest.starts_with("\xff\xfe") || rest.starts_with("\xfe\xff"))
    return invalid_argument(file.string() +
                            ": holds zero bytes or the mark of UTF-16: none of its names would be found; save the "
                            "file as UTF-8");
  if (rest.starts_with(kMark)) rest.remove_prefix(kMark.size());
  std::vector<std::string> out;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::string_view line = rest.substr(0, rest.find_first_of("\r\n"));
    rest.remove_prefix(line.size());
    rest.remove_prefix(rest.starts_with("\r\n") ? 2 : std::min<std::size_t>(rest.size(), 1));
    if (trimmed(line).empty()) continue;
    FOVEA_TRY_ASSIGN(std::string text, checked_canary(line, file.string() + ", line " + std::to_string(number)));
    out.push_back(std::move(text));
  }
  if (out.empty())
    return invalid_argument(file.string() + ": holds no text to search for; write one name or identifier on each line");
  return out;
}

CanarySearch::CanarySearch(const std::vector<std::string>& canaries) {
  for (const std::string& canary : canaries)
    canaries_.push_back({in_small(in_json(canary)),
                         canary.size() < kCertainBytes && std::all_of(canary.begin(), canary.end(), is_alphanumeric)});
}

std::vector<std::size_t> CanarySearch::found_in(std::string_view json) const {
  std::vector<std::size_t> out;
  if (canaries_.empty()) return out;
  const std::string text = in_small(json);
  for (std::size_t i = 0; i < canaries_.size(); ++i) {
    const Canary& canary = canaries_[i];
    std::size_t at = text.find(canary.text);
    while (canary.short_word && at != std::string::npos && !is_word_of_a_value(text, at, canary.text.size()))
      at = text.find(canary.text, at + 1);
    if (at != std::string::npos) out.push_back(i);
  }
  return out;
}

}  // namespace fovea::audit

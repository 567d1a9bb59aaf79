#include "common/canonical_json.h"

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "common/json_fields.h"

namespace fovea {
namespace {

using nlohmann::json;

Result<void> check_integer(const json& value) {
  const bool inside = value.is_number_unsigned()
                          ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(kCanonicalIntegerMax)
                          : value.get<std::int64_t>() >= -kCanonicalIntegerMax &&
                                value.get<std::int64_t>() <= kCanonicalIntegerMax;
  if (inside) return {};
  return invalid_argument("canonical JSON: an integer is outside ±(2^53 - 1); write it as a string");
}

Result<void> check_allowed(const json& value, std::size_t depth) {
  if (depth > kJsonDepthMax) return invalid_argument("canonical JSON: more than 32 levels");
  if (value.is_number_float()) return invalid_argument("canonical JSON: a floating-point number; write it as a string");
  if (value.is_number_integer()) return check_integer(value);
  if (value.is_binary() || value.is_discarded()) return invalid_argument("canonical JSON: not a JSON value");
  if (value.is_array())
    for (const json& element : value) FOVEA_TRY(check_allowed(element, depth + 1));
  if (value.is_object())
    for (const auto& [key, element] : value.items()) {
      // Above ASCII, UTF-16 order (the standard's) and byte order part ways; with escapes, so do text and order.
      if (std::any_of(key.begin(), key.end(), [](char c) { return c < 0x20 || c > 0x7e || c == '"' || c == '\\'; }))
        return invalid_argument("canonical JSON: a key is not plain ASCII");
      FOVEA_TRY(check_allowed(element, depth + 1));
    }
  return {};
}

// Reads a text once and says whether its form is the canonical one: no space, keys strictly ascending, only the
// escapes that must be. Together with a parser that accepts it and check_allowed this is "the text equals what
// canonical_json would write", at a fifth of the cost of writing it. Bounds the depth before a parser builds anything.
class FormReader {
 public:
  explicit FormReader(std::string_view text) : text_(text) {}

  Result<void> check() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') {
        FOVEA_TRY(string());
        continue;
      }
      if (c == '{' || c == '[') {
        if (keys_.size() == kJsonDepthMax) return invalid_argument("more than 32 levels of JSON");
        keys_.emplace_back();
      }
      if ((c == '}' || c == ']') && !keys_.empty()) keys_.pop_back();
      const bool minus_zero = c == '-' && text_.substr(at_ + 1, 1) == "0";
      if (minus_zero || c == ' ' || c == '\n' || c == '\t' || c == '\r') return refuse();
      ++at_;
    }
    return {};
  }

 private:
  Error refuse() const {
    return invalid_argument("is not canonical JSON (RFC 8785) from byte " + std::to_string(at_) + " on");
  }

  Result<void> string() {
    const std::size_t begin = ++at_;
    bool plain = true;
    for (; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] != '\\') continue;
      plain = false;
      FOVEA_TRY(escape());
    }
    const std::string_view content = text_.substr(begin, at_ - begin);
    const bool key = text_.substr(at_, 2) == "\":";
    if (key && !keys_.empty()) {
      std::optional<std::string_view>& last = keys_.back();
      if (!plain || (last && content <= *last)) return refuse();
      last = content;
    }
    if (at_ < text_.size()) ++at_;
    return {};
  }

  // At a backslash; leaves at_ on the last character of the escape.
  Result<void> escape() {
    const std::string_view rest = text_.substr(at_ + 1, 5);
    if (!rest.empty() && std::string_view("\"\\bfnrt").find(rest[0]) != std::string_view::npos) {
      ++at_;
      return {};
    }
    // \u00XX for the control characters that have no short form, in lower case.
    const bool control = rest.size() == 5 && (rest.starts_with("u000") || rest.starts_with("u001"));
    if (!control || std::string_view("0123456789abcdef").find(rest[4]) == std::string_view::npos) return refuse();
    if (rest[3] == '0' && std::string_view("89acd").find(rest[4]) != std::string_view::npos) return refuse();
    at_ += 5;
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::optional<std::string_view>> keys_;  // the last key of each open object
};

}  // namespace

Result<std::string> canonical_json(const json& value) {
  FOVEA_TRY(check_allowed(value, 1));
  try {
    return value.dump();
  } catch (const json::exception&) {
    return invalid_argument("canonical JSON: a string is not UTF-8");
  }
}

Result<json> parse_canonical_json(std::string_view text, std::string_view source) {
  if (const auto form = FormReader(text).check(); !form)
    return invalid_argument(std::string(source) + ": " + form.error().message);
  json value = json::parse(text, nullptr, false);
  if (value.is_discarded()) return invalid_argument(std::string(source) + ": is not JSON");
  if (const auto allowed = check_allowed(value, 1); !allowed) return allowed.error().with_context(source);
  return value;
}

}  // namespace fovea

#include "common/canonical_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/json_fields.h"

namespace fovea {
namespace {

using nlohmann::json;

Result<void> check_integer(const json& value) {
  const bool inside = value.is_number_unsigned()
                          ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(kCanonicalIntegerMax)
                          : value.get<std::int64_t>() >= -kCanonicalIntegerMax && value.get<std::int64_t>() <= kCanonicalIntegerMax;
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
      // Above ASCII, UTF-16 order (the standard's) and byte order part ways.
      if (std::any_of(key.begin(), key.end(), [](char c) { return static_cast<unsigned char>(c) > 0x7e; }))
        return invalid_argument("canonical JSON: a key is not ASCII");
      FOVEA_TRY(check_allowed(element, depth + 1));
    }
  return {};
}

// The parser builds its value before check_allowed sees it: bound the depth first.
bool too_deep(std::string_view text) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      else if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kJsonDepthMax) return true;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return false;
}

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
  if (too_deep(text)) return invalid_argument(std::string(source) + ": more than 32 levels of JSON");
  json value = json::parse(text, nullptr, false);
  if (value.is_discarded()) return invalid_argument(std::string(source) + ": is not JSON");
  Result<std::string> canonical = canonical_json(value);
  if (!canonical) return canonical.error().with_context(source);
  if (*canonical == text) return value;
  const auto [mine, theirs] = std::mismatch(canonical->begin(), canonical->end(), text.begin(), text.end());
  return invalid_argument(std::string(source) + ": is not canonical JSON (RFC 8785) from byte " +
                          std::to_string(mine - canonical->begin()) + " on");
}

}  // namespace fovea

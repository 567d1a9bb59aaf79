#include "common/json_fields.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "common/closest_name.h"
#include "common/console.h"
#include "common/result.h"

namespace fovea {
namespace {

using nlohmann::json;

// Refuses depth and duplicate keys before any tree is built.
class StrictSax final : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t value, const string_t&) override {
    return std::isfinite(value) || refuse("a number is too large for a double");
  }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return refuse("binary values are not JSON"); }
  bool start_object(std::size_t) override { return enter(true); }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override { return enter(false); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override {
    constexpr std::size_t kShownMax = 60;
    return keys_.back().insert(name).second || refuse("the key \"" + name.substr(0, kShownMax) + "\" occurs twice");
  }
  bool parse_error(std::size_t position, const std::string&, const json::exception&) override {
    return refuse("not JSON at byte " + std::to_string(position));
  }
  const std::string& reason() const { return reason_; }

 private:
  bool enter(bool) {
    if (keys_.size() >= kJsonDepthMax) return refuse("more than " + std::to_string(kJsonDepthMax) + " levels");
    keys_.emplace_back();
    return true;
  }
  bool leave() {
    keys_.pop_back();
    return true;
  }
  bool refuse(std::string reason) {
    if (reason_.empty()) reason_ = std::move(reason);
    return false;
  }

  std::vector<std::set<std::string>> keys_;
  std::string reason_;
};

std::string kind_of(const json& value) {
  if (value.is_string()) return "a text";
  if (value.is_boolean()) return "true or false";
  if (value.is_number_float()) return "the number " + value.dump();
  if (value.is_number()) return "the integer " + value.dump();
  if (value.is_array()) return "a list";
  if (value.is_object()) return "an object";
  return "null";
}

std::string join(std::initializer_list<std::string_view> names) {
  std::string out;
  for (std::string_view name : names) {
    if (!out.empty()) out += ", ";
    out += '"' + std::string(name) + '"';
  }
  return out;
}

std::string number_text(double value) { return json(value).dump(); }

}  // namespace

Result<json> parse_json(ByteView bytes, std::string_view source, std::size_t size_max) {
  if (bytes.size() > size_max)
    return invalid_argument(std::string(source) + ": " + std::to_string(bytes.size()) +
                            " bytes are above the limit of " + std::to_string(size_max));
  const std::string_view text = as_text(bytes);
  // The parser takes a zero byte for the end: what follows would be signed, shown and stored, and mean nothing.
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos)
    return invalid_argument(std::string(source) + ": not JSON at byte " + std::to_string(zero) + ", which is zero");
  if (text.starts_with("\xef\xbb\xbf"))
    return invalid_argument(std::string(source) + ": begins with a byte order mark; save it as UTF-8 without one");
  try {
    StrictSax sax;
    if (!json::sax_parse(text.begin(), text.end(), &sax))
      return invalid_argument(std::string(source) + ": " + sax.reason());
    json value = json::parse(text.begin(), text.end(), nullptr, false);
    if (value.is_discarded()) return invalid_argument(std::string(source) + ": not JSON");
    return value;
  } catch (const std::exception& error) {
    return invalid_argument(std::string(source) + ": not JSON: " + error.what());
  }
}

Result<JsonFields> JsonFields::open(const json& value, std::string path) {
  if (!value.is_object()) return invalid_argument(path + ": expected an object, found " + kind_of(value));
  return JsonFields(value, std::move(path));
}

std::string JsonFields::path_of(std::string_view name) const { return path_ + "." + std::string(name); }

bool JsonFields::has(std::string_view name) const { return value_->contains(name); }

Result<const json*> JsonFields::find(std::string_view name) {
  asked_.emplace_back(name);
  const auto found = value_->find(name);
  if (found == value_->end()) return invalid_argument(path_of(name) + ": is missing; add it");
  return &*found;
}

Result<std::string> JsonFields::text(std::string_view name, std::size_t size_min, std::size_t size_max) {
  FOVEA_TRY_ASSIGN(const json* value, find(name));
  const std::string bounds = std::to_string(size_min) + " to " + std::to_string(size_max) + " bytes";
  if (!value->is_string())
    return invalid_argument(path_of(name) + ": expected a text of " + bounds + ", found " + kind_of(*value));
  const auto& out = value->get_ref<const std::string&>();
  if (out.size() < size_min || out.size() > size_max)
    return invalid_argument(path_of(name) + ": expected a text of " + bounds + ", found " + std::to_string(out.size()) +
                            " bytes");
  return out;
}

Result<std::string> JsonFields::line(std::string_view name, std::size_t size_min, std::size_t size_max) {
  FOVEA_TRY_ASSIGN(std::string out, text(name, size_min, size_max));
  if (out.find_first_of("\n\t") != std::string::npos || printable(out) != out)
    return invalid_argument(path_of(name) +
                            ": has control characters, marks of direction or invisible characters; one line "
                            "of plain text");
  return out;
}

Result<std::string> JsonFields::choice(std::string_view name, std::initializer_list<std::string_view> allowed) {
  FOVEA_TRY_ASSIGN(const json* value, find(name));
  if (!value->is_string())
    return invalid_argument(path_of(name) + ": expected one of " + join(allowed) + ", found " + kind_of(*value));
  const auto& out = value->get_ref<const std::string&>();
  if (std::find(allowed.begin(), allowed.end(), out) == allowed.end()) {
    const std::vector<std::string> names(allowed.begin(), allowed.end());
    return invalid_argument(path_of(name) + ": expected one of " + join(allowed) + did_you_mean(out, names));
  }
  return out;
}

Result<std::uint64_t> JsonFields::integer(std::string_view name, std::uint64_t min, std::uint64_t max) {
  FOVEA_TRY_ASSIGN(const json* value, find(name));
  const std::string bounds = "an integer " + std::to_string(min) + " to " + std::to_string(max);
  if (!value->is_number_unsigned())
    return invalid_argument(path_of(name) + ": expected " + bounds + ", found " + kind_of(*value));
  const auto out = value->get<std::uint64_t>();
  if (out < min || out > max)
    return invalid_argument(path_of(name) + ": expected " + bounds + ", found " + std::to_string(out));
  return out;
}

Result<std::uint32_t> JsonFields::integer32(std::string_view name, std::uint32_t min, std::uint32_t max) {
  FOVEA_TRY_ASSIGN(const std::uint64_t out, integer(name, min, max));
  return static_cast<std::uint32_t>(out);
}

Result<double> JsonFields::number(std::string_view name, double min, double max) {
  FOVEA_TRY_ASSIGN(const json* value, find(name));
  const std::string bounds = "a number " + number_text(min) + " to " + number_text(max);
  if (!value->is_number())
    return invalid_argument(path_of(name) + ": expected " + bounds + ", found " + kind_of(*value));
  const double out = value->get<double>();
  if (!(out >= min && out <= max))
    return invalid_argument(path_of(name) + ": expected " + bounds + ", found " + value->dump());
  return out;
}

Result<bool> JsonFields::boolean(std::string_view name) {
  FOVEA_TRY_ASSIGN(const json* value, find(name));
  if (!value->is_boolean())
    return invalid_argument(path_of(name) + ": expected true or false, found " + kind_of(*value));
  return value->get<bool>();
}

Result<JsonFields> JsonFields::object(std::string_view name) {
  FOVEA_TRY_ASSIGN(const json* value, find(name));
  return open(*value, path_of(name));
}

namespace {

Result<void> check_list(const json& value, const std::string& path, std::size_t count_min, std::size_t count_max) {
  const std::string bounds = "a list of " + std::to_string(count_min) + " to " + std::to_string(count_max) + " entries";
  if (!value.is_array()) return invalid_argument(path + ": expected " + bounds + ", found " + kind_of(value));
  if (value.size() < count_min || value.size() > count_max)
    return invalid_argument(path + ": expected " + bounds + ", found " + std::to_string(value.size()));
  return {};
}

}  // namespace

Result<std::vector<JsonFields>> JsonFields::objects(std::string_view name, std::size_t count_min,
                                                    std::size_t count_max) {
  FOVEA_TRY_ASSIGN(const json* value, find(name));
  FOVEA_TRY(check_list(*value, path_of(name), count_min, count_max));
  std::vector<JsonFields> out;
  for (std::size_t i = 0; i < value->size(); ++i) {
    FOVEA_TRY_ASSIGN(JsonFields fields, open((*value)[i], path_of(name) + "[" + std::to_string(i) + "]"));
    out.push_back(std::move(fields));
  }
  return out;
}

Result<std::vector<std::string>> JsonFields::texts(std::string_view name, std::size_t count_min, std::size_t count_max,
                                                   std::size_t size_max) {
  FOVEA_TRY_ASSIGN(const json* value, find(name));
  FOVEA_TRY(check_list(*value, path_of(name), count_min, count_max));
  std::vector<std::string> out;
  for (std::size_t i = 0; i < value->size(); ++i) {
    const json& entry = (*value)[i];
    const std::string path = path_of(name) + "[" + std::to_string(i) + "]";
    const std::string bounds = "a text of 1 to " + std::to_string(size_max) + " bytes";
    if (!entry.is_string()) return invalid_argument(path + ": expected " + bounds + ", found " + kind_of(entry));
    const auto& text = entry.get_ref<const std::string&>();
    if (text.empty() || text.size() > size_max)
      return invalid_argument(path + ": expected " + bounds + ", found " + std::to_string(text.size()) + " bytes");
    out.push_back(text);
  }
  return out;
}

Result<Bytes> JsonFields::hex_bytes(std::string_view name, std::size_t size) {
  FOVEA_TRY_ASSIGN(const std::string digits, text(name, size * 2, size * 2));
  auto bytes = from_hex(digits);
  if (!bytes) return bytes.error().with_context(path_of(name));
  return bytes;
}

Result<void> JsonFields::finish() const {
  for (const auto& [name, value] : value_->items())
    if (std::find(asked_.begin(), asked_.end(), name) == asked_.end()) {
      constexpr std::size_t kShownMax = 60;
      return invalid_argument(path_of(name.substr(0, kShownMax)) + ": is not a known field" +
                              did_you_mean(name, asked_) + (closest_name(name, asked_).empty() ? "; remove it" : ""));
    }
  return {};
}

}  // namespace fovea

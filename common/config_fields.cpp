#include "common/config_fields.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <sstream>
#include <utility>

#include "common/bytes.h"
#include "common/check.h"
#include "common/closest_name.h"
#include "common/durable_file.h"
#include "common/numbers.h"

namespace fovea {

struct ConfigFields::State {
  toml::table table;
  std::string source;
  std::vector<std::string> asked;

  const toml::node* find(std::string_view key) {
    asked.emplace_back(key);
    return table.at_path(key).node();
  }
  std::string place(const toml::node& node, std::string_view key) const {
    const toml::source_position begin = node.source().begin;
    return source + ":" + std::to_string(begin.line) + ":" + std::to_string(begin.column) + "  " + std::string(key);
  }
};

namespace {

constexpr std::size_t kConfigBytesMax = std::size_t{1} << 20U;

std::string leaf(std::string_view key) { return std::string(key.substr(key.rfind('.') + 1)); }

std::string shown(const toml::node& node) {
  constexpr std::size_t kShownMax = 40;
  if (const auto* text = node.as_string()) {
    std::string value = text->get().substr(0, kShownMax);
    return "the string \"" + value + "\"";
  }
  if (const auto* number = node.as_integer()) return "the integer " + std::to_string(number->get());
  if (node.is_boolean()) return node.as_boolean()->get() ? "true" : "false";
  if (node.is_floating_point()) return "a number with a point";
  if (node.is_array()) return "a list";
  if (node.is_table()) return "a section";
  return "a date or time";
}

Error complain(const std::string& place, const std::string& expected, const std::string& found,
               const std::string& fix) {
  return invalid_argument(place + "\n  expected " + expected + ", found " + found + "\n  fix: " + fix);
}

// The digits of a number somebody put in quotes, or the nearest allowed value.
std::string integer_fix(const toml::node& node, std::string_view key, std::int64_t min, std::int64_t max) {
  std::int64_t value = min;
  if (const auto* text = node.as_string()) {
    value = read_whole<std::int64_t>(text->get()).value_or(min);
  } else if (const auto* number = node.as_integer()) {
    value = number->get();
  }
  return leaf(key) + " = " + std::to_string(std::clamp(value, min, max));
}

void collect(const toml::table& table, const std::string& prefix,
             std::vector<std::pair<std::string, const toml::node*>>& out) {
  for (const auto& [key, node] : table) {
    const std::string path = prefix + std::string(key.str());
    if (const auto* inner = node.as_table()) collect(*inner, path + ".", out);
    else out.emplace_back(path, &node);
  }
}

}  // namespace

ConfigFields::ConfigFields(std::unique_ptr<State> state) : state_(std::move(state)) {}
ConfigFields::ConfigFields(ConfigFields&&) noexcept = default;
ConfigFields& ConfigFields::operator=(ConfigFields&&) noexcept = default;
ConfigFields::~ConfigFields() = default;

Result<ConfigFields> ConfigFields::read(const std::filesystem::path& path) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(path, kConfigBytesMax));
  return parse(as_text(bytes), path.string());
}

Result<ConfigFields> ConfigFields::parse(std::string_view text, std::string source) {
  try {
    auto state = std::make_unique<State>();
    state->table = toml::parse(text, source);
    state->source = std::move(source);
    return ConfigFields(std::move(state));
  } catch (const toml::parse_error& error) {
    const toml::source_position begin = error.source().begin;
    return invalid_argument(source + ":" + std::to_string(begin.line) + ":" + std::to_string(begin.column) +
                            "  is not TOML\n  " + std::string(error.description()) +
                            "\n  fix: write name = value, with texts in double quotes");
  }
}

Result<std::optional<std::string>> ConfigFields::text(std::string_view key, std::size_t size_min,
                                                      std::size_t size_max) {
  const toml::node* node = state_->find(key);
  if (node == nullptr) return std::optional<std::string>();
  const std::string expected = "a string of " + std::to_string(size_min) + "-" + std::to_string(size_max) + " bytes";
  const auto* value = node->as_string();
  if (value == nullptr) {
    std::ostringstream written;
    if (const auto* number = node->as_integer()) written << number->get();
    return complain(state_->place(*node, key), expected, shown(*node), leaf(key) + " = \"" + written.str() + "\"");
  }
  if (value->get().size() < size_min || value->get().size() > size_max)
    return complain(state_->place(*node, key), expected, std::to_string(value->get().size()) + " bytes",
                    "write a string of that length");
  return std::optional<std::string>(value->get());
}

Result<std::string> ConfigFields::required_text(std::string_view key, std::size_t size_min, std::size_t size_max) {
  FOVEA_TRY_ASSIGN(std::optional<std::string> value, text(key, size_min, size_max));
  if (value) return *value;
  return require(key, leaf(key) + " = \"…\"").error();
}

Result<void> ConfigFields::require(std::string_view key, std::string_view example) const {
  if (state_->table.at_path(key).node() != nullptr) return {};
  return invalid_argument(state_->source + "  " + std::string(key) + "\n  is missing\n  fix: add " +
                          std::string(example) + " under [" + std::string(key.substr(0, key.rfind('.'))) + "]");
}

Result<std::optional<std::int64_t>> ConfigFields::integer(std::string_view key, std::int64_t min, std::int64_t max) {
  const toml::node* node = state_->find(key);
  if (node == nullptr) return std::optional<std::int64_t>();
  const auto* value = node->as_integer();
  if (value == nullptr || value->get() < min || value->get() > max)
    return complain(state_->place(*node, key), "an integer " + std::to_string(min) + "-" + std::to_string(max),
                    shown(*node), integer_fix(*node, key, min, max));
  return std::optional<std::int64_t>(value->get());
}

Result<std::optional<bool>> ConfigFields::boolean(std::string_view key) {
  const toml::node* node = state_->find(key);
  if (node == nullptr) return std::optional<bool>();
  if (const auto* value = node->as_boolean()) return std::optional<bool>(value->get());
  return complain(state_->place(*node, key), "true or false", shown(*node), leaf(key) + " = true");
}

Result<std::optional<std::vector<std::string>>> ConfigFields::texts(std::string_view key, std::size_t count_max) {
  using Out = std::optional<std::vector<std::string>>;
  const toml::node* node = state_->find(key);
  if (node == nullptr) return Out();
  const std::string expected = "a list of at most " + std::to_string(count_max) + " strings";
  const std::string fix = leaf(key) + " = [\"…\"]";
  const auto* list = node->as_array();
  if (list == nullptr || list->size() > count_max)
    return complain(state_->place(*node, key), expected, list == nullptr ? shown(*node) : "more", fix);
  std::vector<std::string> out;
  for (const toml::node& entry : *list) {
    const auto* text = entry.as_string();
    if (text == nullptr) return complain(state_->place(entry, key), "a string", shown(entry), fix);
    out.push_back(text->get());
  }
  return Out(std::move(out));
}

Result<void> ConfigFields::log_level_into(std::string_view key, std::string& out) {
  FOVEA_TRY_ASSIGN(const auto level, text(key, 1, 10));
  if (!level) return {};
  constexpr std::array<std::string_view, 4> kLevels{"debug", "info", "warn", "error"};
  if (std::find(kLevels.begin(), kLevels.end(), *level) == kLevels.end())
    return wrong(key, "\"debug\", \"info\", \"warn\" or \"error\"", leaf(key) + " = \"info\"");
  out = *level;
  return {};
}

Error ConfigFields::wrong(std::string_view key, const std::string& expected, const std::string& fix) const {
  const toml::node* node = state_->table.at_path(key).node();
  if (node == nullptr)
    return invalid_argument(state_->source + "  " + std::string(key) + "\n  expected " + expected + "\n  fix: " + fix);
  return complain(state_->place(*node, key), expected, shown(*node), fix);
}

Result<void> ConfigFields::finish() const {
  std::vector<std::pair<std::string, const toml::node*>> present;
  collect(state_->table, "", present);
  for (const auto& [key, node] : present) {
    if (std::find(state_->asked.begin(), state_->asked.end(), key) != state_->asked.end()) continue;
    const std::string nearest = closest_name(key, state_->asked);
    return invalid_argument(state_->place(*node, key) + "\n  is not a known setting\n  fix: " +
                            (nearest.empty() ? "remove the line" : "did you mean " + nearest + "?"));
  }
  return {};
}

std::string with_setting(std::string_view text, std::string_view example, std::string_view setting) {
  std::string out(text);
  const std::size_t at = out.find(example);
  FOVEA_CHECK(at != std::string::npos);
  return out.replace(at, example.size(), setting);
}

}  // namespace fovea

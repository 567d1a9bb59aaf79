// Reads a hand-edited TOML file, value by value. Every error is what, where, why and what to do:
//
//   configs/node.toml:7:8  coordinator.port
//     expected an integer 1-65535, found the string "11112"
//     fix: port = 11112
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace fovea {

class ConfigFields {
 public:
  // not_found: no such file; invalid_argument: not TOML, with line and column.
  static Result<ConfigFields> read(const std::filesystem::path& path);
  static Result<ConfigFields> parse(std::string_view text, std::string source);
  ConfigFields(ConfigFields&&) noexcept;
  ConfigFields& operator=(ConfigFields&&) noexcept;
  ~ConfigFields();

  // `key` is dotted, "coordinator.port". Absent: nothing. Errors are invalid_argument as above.
  Result<std::optional<std::string>> text(std::string_view key, std::size_t size_min, std::size_t size_max);
  Result<std::optional<std::int64_t>> integer(std::string_view key, std::int64_t min, std::int64_t max);
  Result<std::optional<bool>> boolean(std::string_view key);
  Result<std::optional<std::vector<std::string>>> texts(std::string_view key, std::size_t count_max);

  // Absent is an error for these.
  Result<std::string> required_text(std::string_view key, std::size_t size_min, std::size_t size_max);
  // For a key that another reader has read, or will: the example is what the error says to add. A file that was cut
  // short, or a section that somebody deleted, must not fall back on defaults that nobody chose.
  Result<void> require(std::string_view key, std::string_view example) const;

  // The same into `out`, which keeps its value where the key is absent.
  template <class T>
  Result<void> integer_into(std::string_view key, std::int64_t min, std::int64_t max, T& out) {
    FOVEA_TRY_ASSIGN(const std::optional<std::int64_t> value, integer(key, min, max));
    if (value) out = static_cast<T>(*value);
    return {};
  }
  // "debug", "info", "warn" or "error".
  Result<void> log_level_into(std::string_view key, std::string& out);

  // The error for a value that was read but breaks a further rule, at the value's place.
  Error wrong(std::string_view key, const std::string& expected, const std::string& fix) const;

  // Refuses keys that nobody asked for, with the nearest known one.
  Result<void> finish() const;

 private:
  struct State;
  explicit ConfigFields(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// `text` with the line `example`, which must be in it, replaced: how a commented example becomes somebody's settings.
std::string with_setting(std::string_view text, std::string_view example, std::string_view setting);

}  // namespace fovea

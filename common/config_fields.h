// Reads a hand-edited TOML file, value by value. Every error is what, where, why and what to do:
//
//   configs/node.toml:7:8  coordinator.port
//     expected an integer 1-65535, found the string "11112"
//     fix: port = 11112
#pragma once

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

  // The error for a value that was read but breaks a further rule, at the value's place.
  Error wrong(std::string_view key, const std::string& expected, const std::string& fix) const;

  // Refuses keys that nobody asked for, with the nearest known one.
  Result<void> finish() const;

 private:
  struct State;
  explicit ConfigFields(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace fovea

// Strict JSON: what comes from a peer, a file or a person is read field by field, and each error names
// the field, what is allowed and what to do. Refused: more than 32 levels, a key twice in one object,
// bytes after the value, comments, NaN, invalid UTF-8, unknown fields.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/result.h"

namespace fovea {

inline constexpr std::size_t kJsonDepthMax = 32;

// invalid_argument names `source` and the byte where the text stops being acceptable.
Result<nlohmann::json> parse_json(ByteView bytes, std::string_view source, std::size_t size_max);

// Reads one JSON object. The value must outlive the reader and its children. Every reader is
// invalid_argument on a missing field, a wrong type or a value out of bounds, naming its path.
// finish() refuses fields that no reader asked for.
class JsonFields {
 public:
  // `path` is what errors are prefixed with, for example "plan" or "plan.stages[2]".
  static Result<JsonFields> open(const nlohmann::json& value, std::string path);

  bool has(std::string_view name) const;
  Result<std::string> text(std::string_view name, std::size_t size_min, std::size_t size_max);
  // A text of one line that shows what it is: without control characters and marks of direction. For names.
  Result<std::string> line(std::string_view name, std::size_t size_min, std::size_t size_max);
  Result<std::string> choice(std::string_view name, std::initializer_list<std::string_view> allowed);
  Result<std::uint64_t> integer(std::string_view name, std::uint64_t min, std::uint64_t max);
  Result<std::uint32_t> integer32(std::string_view name, std::uint32_t min, std::uint32_t max);
  Result<double> number(std::string_view name, double min, double max);
  Result<bool> boolean(std::string_view name);
  Result<JsonFields> object(std::string_view name);
  // The elements of an array of objects, each with its own path.
  Result<std::vector<JsonFields>> objects(std::string_view name, std::size_t count_min, std::size_t count_max);
  Result<std::vector<std::string>> texts(std::string_view name, std::size_t count_min, std::size_t count_max,
                                         std::size_t size_max);
  Result<Bytes> hex_bytes(std::string_view name, std::size_t size);
  template <std::size_t N>
  Result<std::array<std::uint8_t, N>> hex(std::string_view name) {
    FOVEA_TRY_ASSIGN(const Bytes bytes, hex_bytes(name, N));
    return to_array<N>(bytes, name);
  }

  Result<void> finish() const;
  // "path.name", for errors about rules that span fields.
  std::string path_of(std::string_view name) const;

 private:
  JsonFields(const nlohmann::json& value, std::string path) : value_(&value), path_(std::move(path)) {}
  Result<const nlohmann::json*> find(std::string_view name);

  const nlohmann::json* value_;
  std::string path_;
  std::vector<std::string> asked_;
};

}  // namespace fovea

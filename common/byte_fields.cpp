#include "common/byte_fields.h"

#include <cstddef>

namespace fovea {

void FieldReader::boolean(std::string_view field, bool& out) {
  std::uint8_t number = 0;
  u8(field, number);
  require(number <= 1, field, "expected 0 or 1");
  out = number == 1;
}

void FieldReader::bytes(std::string_view field, Bytes& out, std::size_t size_max) {
  ByteView view;
  bytes(field, view, size_max);
  out.assign(view.begin(), view.end());
}

void FieldReader::require(bool holds, std::string_view field, std::string_view rule) {
  if (!error_ && !holds) fail(invalid_argument(std::string(field) + ": " + std::string(rule)));
}

Result<void> FieldReader::status() const {
  if (error_) return *error_;
  return {};
}

Result<void> FieldReader::finish(std::string_view record) const {
  FOVEA_TRY(status());
  return in_.finish(record);
}

std::size_t FieldReader::read_count(std::string_view field, ListBound bound) {
  std::uint32_t count = 0;
  u32(field, count);
  if (count > bound.count_max)
    require(false, field,
            std::to_string(count) + " " + std::string(bound.noun) + ", at most " + std::to_string(bound.count_max));
  return error_ ? 0 : count;
}

void FieldReader::fail(Error error) {
  if (!prefix_.empty()) error.message.insert(0, std::string(prefix_) + ".");
  error_ = std::move(error);
}

}  // namespace fovea

#include "common/codec.h"

#include <cstddef>
#include <limits>

#include "common/check.h"
#include "common/result.h"

namespace fovea {

void ByteWriter::put(std::uint64_t value, int width) {
  std::uint8_t bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>((value >> (8 * i)) & 0xffU);
  out_.insert(out_.end(), bytes, bytes + width);  // one growth check: model files come through here float by float
}

void ByteWriter::sized(ByteView bytes) {
  FOVEA_CHECK(bytes.size() <= std::numeric_limits<std::uint32_t>::max());
  u32(static_cast<std::uint32_t>(bytes.size()));
  raw(bytes);
}

Result<std::uint64_t> ByteReader::get(std::string_view field, std::size_t width) {
  FOVEA_TRY_ASSIGN(const ByteView view, raw(field, width));
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) value |= static_cast<std::uint64_t>(view[i]) << (8 * i);
  return value;
}

Result<std::uint8_t> ByteReader::u8(std::string_view field) {
  FOVEA_TRY_ASSIGN(const std::uint64_t value, get(field, 1));
  return static_cast<std::uint8_t>(value);
}

Result<std::uint16_t> ByteReader::u16(std::string_view field) {
  FOVEA_TRY_ASSIGN(const std::uint64_t value, get(field, 2));
  return static_cast<std::uint16_t>(value);
}

Result<std::uint32_t> ByteReader::u32(std::string_view field) {
  FOVEA_TRY_ASSIGN(const std::uint64_t value, get(field, 4));
  return static_cast<std::uint32_t>(value);
}

Result<std::uint64_t> ByteReader::u64(std::string_view field) { return get(field, 8); }

Result<float> ByteReader::f32(std::string_view field) {
  FOVEA_TRY_ASSIGN(const std::uint32_t bits, u32(field));
  return std::bit_cast<float>(bits);
}

Result<double> ByteReader::f64(std::string_view field) {
  FOVEA_TRY_ASSIGN(const std::uint64_t bits, u64(field));
  return std::bit_cast<double>(bits);
}

Result<ByteView> ByteReader::raw(std::string_view field, std::size_t size) {
  if (rest_.size() < size)
    return invalid_argument(std::string(field) + ": needs " + std::to_string(size) + " bytes, " +
                            std::to_string(rest_.size()) + " are left");
  const ByteView out = rest_.first(size);
  rest_ = rest_.subspan(size);
  return out;
}

Result<ByteView> ByteReader::sized(std::string_view field, std::size_t size_max) {
  FOVEA_TRY_ASSIGN(const std::uint32_t size, u32(field));
  if (size > size_max)
    return invalid_argument(std::string(field) + ": length " + std::to_string(size) + " is above the limit of " +
                            std::to_string(size_max));
  return raw(field, size);
}

Result<std::string> ByteReader::text(std::string_view field, std::size_t size_max) {
  FOVEA_TRY_ASSIGN(const ByteView view, sized(field, size_max));
  return std::string(as_text(view));
}

Result<void> ByteReader::finish(std::string_view message) const {
  if (rest_.empty()) return {};
  return invalid_argument(std::string(message) + ": " + std::to_string(rest_.size()) + " bytes are left over");
}

}  // namespace fovea

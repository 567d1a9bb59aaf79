#include "common/bytes.h"

namespace fovea {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Lower case alone: one value has one text, and signed documents must not exist in two spellings.
int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

ByteView as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string_view as_text(ByteView bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string to_hex(ByteView bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (std::uint8_t byte : bytes) {
    out.push_back(kHexDigits[byte >> 4U]);
    out.push_back(kHexDigits[byte & 15U]);
  }
  return out;
}

Result<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return invalid_argument("hex text: odd number of digits");
  Bytes out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0)
      return invalid_argument("hex text: not one of 0-9 and a-f (lower case) at position " +
                              std::to_string(high < 0 ? i : i + 1));
    out.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return out;
}

std::string to_base64(ByteView bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = bytes.size() - i;
    const std::uint32_t group = (static_cast<std::uint32_t>(bytes[i]) << 16U) |
                                (left > 1 ? static_cast<std::uint32_t>(bytes[i + 1]) << 8U : 0U) |
                                (left > 2 ? static_cast<std::uint32_t>(bytes[i + 2]) : 0U);
    out.push_back(kBase64Digits[(group >> 18U) & 63U]);
    out.push_back(kBase64Digits[(group >> 12U) & 63U]);
    out.push_back(left > 1 ? kBase64Digits[(group >> 6U) & 63U] : '=');
    out.push_back(left > 2 ? kBase64Digits[group & 63U] : '=');
  }
  return out;
}

Result<Bytes> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return invalid_argument("base64 text: length is not a multiple of 4");
  Bytes out;
  out.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t group = 0;
    std::size_t padding = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const char c = text[i + j];
      const bool last_group = i + 4 == text.size();
      if (c == '=' && last_group && j >= 2) {
        ++padding;
        group <<= 6U;
        continue;
      }
      const std::size_t value = kBase64Digits.find(c);
      if (value == std::string_view::npos || padding > 0)
        return invalid_argument("base64 text: unexpected character at position " + std::to_string(i + j));
      group = (group << 6U) | static_cast<std::uint32_t>(value);
    }
    if ((padding == 1 && (group & 0xffU) != 0) || (padding == 2 && (group & 0xffffU) != 0))
      return invalid_argument("base64 text: unused bits are not zero");
    out.push_back(static_cast<std::uint8_t>(group >> 16U));
    if (padding < 2) out.push_back(static_cast<std::uint8_t>((group >> 8U) & 0xffU));
    if (padding < 1) out.push_back(static_cast<std::uint8_t>(group & 0xffU));
  }
  return out;
}

}  // namespace fovea

#include "common/numbers.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <system_error>

namespace fovea {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// How many digits `text` begins with; they are taken off it.
std::size_t take_digits(std::string_view& text) noexcept {
  std::size_t count = 0;
  while (count < text.size() && is_digit(text[count])) ++count;
  text.remove_prefix(count);
  return count;
}

bool take_one(std::string_view& text, char low, char high) noexcept {
  if (text.empty() || (text.front() != low && text.front() != high)) return false;
  text.remove_prefix(1);
  return true;
}

// What follows the longest number that `text` begins with; nothing where it begins with none.
std::optional<std::string_view> behind_decimal(std::string_view text) noexcept {
  take_one(text, '+', '-');
  std::size_t digits = take_digits(text);
  if (take_one(text, '.', '.')) digits += take_digits(text);
  if (digits == 0) return std::nullopt;
  std::string_view power = text;
  if (take_one(power, 'e', 'E')) {
    take_one(power, '+', '-');
    if (take_digits(power) > 0) text = power;
  }
  return text;
}

// std::from_chars knows no plus.
template <class T>
std::optional<T> converted(std::string_view text) noexcept {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  T out{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

}  // namespace

std::optional<std::uint64_t> read_digits(std::string_view text) noexcept {
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  return converted<std::uint64_t>(text);
}

std::optional<std::int64_t> read_integer(std::string_view text) noexcept {
  std::string_view digits = text;
  take_one(digits, '+', '-');
  if (digits.empty() || !is_digit(digits.front())) return std::nullopt;
  return converted<std::int64_t>(text);
}

std::optional<double> read_decimal(std::string_view text) noexcept {
  const std::optional<std::string_view> rest = behind_decimal(text);
  if (!rest || !rest->empty()) return std::nullopt;
  const std::optional<double> out = converted<double>(text);
  return out && std::isfinite(*out) ? out : std::nullopt;
}

std::string_view decimal_fault(std::string_view text) noexcept {
  if (text.empty()) return "empty; expected a number";
  const std::optional<std::string_view> rest = behind_decimal(text);
  if (!rest) return "not a number";
  if (rest->empty()) return "beyond the range of numbers";
  switch (rest->front()) {
    case ',': return "a decimal comma; expected a number with a point";
    case '.': return "several points; expected a number with one at most";
    case 'x':
    case 'X': return "hexadecimal; expected a decimal number";
    default: return "more than a number (a unit behind it?); expected the number alone";
  }
}

bool all_finite(std::span<const float> values) noexcept {
  std::uint32_t found = 0;
  for (const float value : values)
    found |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(value) & 0x7F800000U) == 0x7F800000U);
  return found == 0;
}

}  // namespace fovea

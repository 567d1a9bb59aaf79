// Numbers as text, read as a whole or not at all: "1,5" is not 1, "154 lb" not 154, "0x10" neither 0 nor 16. No locale,
// no blanks, no NaN, no infinity. The one reader of numbers in texts, so that no half of one passes anywhere. Also
// whether a vector holds numbers only: a diverged update or a damaged model is found before it spreads.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

namespace fovea {

// Digits alone; nothing where they are more than 2⁶⁴ − 1.
std::optional<std::uint64_t> read_digits(std::string_view text) noexcept;
// Digits behind one sign or none: an IS of DICOM without its padding.
std::optional<std::int64_t> read_integer(std::string_view text) noexcept;
// [sign] digits [. digits] [e [sign] digits], with a digit on either side of the point: a DS of DICOM without its
// padding. Nothing where it does not fit into a double.
std::optional<double> read_decimal(std::string_view text) noexcept;
// What keeps `text` from being one, in words for a message that names the field: "a decimal comma; …". Never quotes it.
std::string_view decimal_fault(std::string_view text) noexcept;

// Digits alone, into a type that may be smaller.
template <std::integral T>
std::optional<T> read_whole(std::string_view text) noexcept {
  const std::optional<std::uint64_t> value = read_digits(text);
  if (!value || *value > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) return std::nullopt;
  return static_cast<T>(*value);
}

bool all_finite(std::span<const float> values) noexcept;  // no NaN, no infinity; whole vectors at a time

}  // namespace fovea

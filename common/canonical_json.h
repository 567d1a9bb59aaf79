// Canonical JSON (RFC 8785) for what is hashed into a ledger: one value has one text.
// Only the part of JSON that is the same in every implementation is allowed: objects with plain ASCII keys, arrays,
// strings, booleans, null, and integers within ±(2^53 − 1). No floats: a decimal number is written as a string.
// With these limits RFC 8785 is nlohmann's compact dump: bytewise key order equals UTF-16 order on ASCII keys,
// the string escapes are the same, and integers have one form.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "common/result.h"

namespace fovea {

inline constexpr std::int64_t kCanonicalIntegerMax = (std::int64_t{1} << 53) - 1;

// invalid_argument names what is outside the allowed part: a float, an integer out of range, a key that is not
// plain ASCII (printable, without '"' and '\'), a string that is not UTF-8, more than 32 levels.
Result<std::string> canonical_json(const nlohmann::json& value);

// The value of a text that is canonical already; invalid_argument when it is not the one canonical text of its
// value (spaces, key order, a key twice, another escape), naming `source` and the first byte that differs.
Result<nlohmann::json> parse_canonical_json(std::string_view text, std::string_view source);

}  // namespace fovea

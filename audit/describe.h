// Entries in words: one line for a list, a paragraph for a person who asks about one of them.
#pragma once

#include <string>
#include <string_view>

#include "common/clock.h"
#include "federation/ledger/entry.h"

namespace fovea::audit {

std::string byte_text(std::uint64_t bytes);  // "983 149 bytes" below 10 kB, "983.1 kB", "3.9 MB" above
std::string short_hex(ByteView bytes);       // the first 8 digits

// What a kind of message carries, for a person who is not an engineer.
std::string_view kind_meaning(std::string_view kind);
// What a kind of message cannot carry, and why.
std::string_view kind_limit(std::string_view kind);

std::string one_line(const federation::LedgerEntry& entry);
// Who, what, to whom, under whose approval, and which checks were passed. Ends with a newline.
std::string explanation(std::uint64_t index, const federation::StampedEntry& entry);

}  // namespace fovea::audit

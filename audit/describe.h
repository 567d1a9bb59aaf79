// Entries in words: one line for a list, a paragraph for a person who asks about one of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "federation/ledger/entry.h"

namespace fovea::audit {

std::string byte_text(std::uint64_t bytes);  // "9831 bytes" below 10 kB, "983.1 kB", "3.9 MB" above
std::string short_hex(ByteView bytes);       // the first 8 digits

// What a kind of message carries, for a person who is not an engineer; `kind` as entries name it.
std::string_view kind_meaning(std::string_view kind);
// The most that a kind of message can carry, and why.
std::string_view kind_limit(std::string_view kind);
// How many kinds of message a site can send: all that the gate lets out.
std::size_t kind_count() noexcept;

// What a ledger or a file says, so that it cannot begin a line of its own: a new line could turn a verdict around.
// Console prints the other characters that are hidden in a text.
std::string on_one_line(std::string_view text);

std::string one_line(const federation::ledger::LedgerEntry& entry);
// Who, what, to whom, under whose approval, and which checks were passed. Ends with a newline.
std::string explanation(std::uint64_t index, const federation::ledger::StampedEntry& entry);

}  // namespace fovea::audit

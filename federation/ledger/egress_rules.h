// What must hold before a message of a kind may leave a site: stated once, for the gate that enforces it and for the
// auditor who checks afterwards that it was enforced.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "federation/messages/message_kind.h"

namespace fovea::federation::ledger {

// Absent for the kinds that sites do not send.
std::optional<messages::MessageScope> egress_scope(messages::MessageKind kind);
// The kind of an entry's text; absent when no site sends it.
std::optional<messages::MessageKind> egress_kind(std::string_view text);

// The names of the gate's checks, in order. `identifiers` stands in an entry only where the site has given the gate
// names and identifiers to look for.
inline constexpr std::string_view kOptionalCheck = "identifiers";
std::vector<std::string> required_checks(messages::MessageKind kind);

}  // namespace fovea::federation::ledger

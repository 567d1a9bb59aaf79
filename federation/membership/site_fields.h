// The fields of a site as the roster and the join request write them, and rules for texts of several documents.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "common/json_fields.h"
#include "federation/membership/roster.h"

namespace fovea::federation::membership {

inline constexpr std::size_t kFederationNameMax = 80;  // bytes

// 1 to 80 letters, digits, '-', '_' and '.': the name is part of the ledgers' origins. invalid_argument otherwise.
Result<void> check_federation_name(std::string_view name);
// The field "federation".
Result<std::string> read_federation_name(JsonFields& fields);

// That these texts of a document that is written now are lines. Earlier programs signed any text, and ledgers keep it:
// it is read as it is.
Result<void> check_lines(std::string_view document, std::string_view what,
                         std::initializer_list<std::string_view> names);

// The number of a document's format, as far as this version reads it. failed_precondition: above `newest`, of a newer
// version than this program; invalid_argument: no such number.
Result<std::uint64_t> read_format(JsonFields& fields, std::string_view name, std::uint64_t newest);

Result<RosterSite> read_site_fields(JsonFields& fields);
void write_site_fields(const RosterSite& site, nlohmann::ordered_json& out);

}  // namespace fovea::federation::membership

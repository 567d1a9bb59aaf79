// The fields of a site as the roster and the join request write them.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "common/json_fields.h"
#include "federation/membership/roster.h"

namespace fovea::federation {

inline constexpr std::size_t kFederationNameMax = 80;  // bytes

// Printable ASCII without spaces, '+', '/' and quotes: the name is part of the ledgers' origins.
Result<void> check_federation_name(std::string_view name);
// The field "federation".
Result<std::string> read_federation_name(JsonFields& fields);

Result<RosterSite> read_site_fields(JsonFields& fields);
void write_site_fields(const RosterSite& site, nlohmann::ordered_json& out);

}  // namespace fovea::federation

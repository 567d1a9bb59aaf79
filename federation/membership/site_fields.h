// The fields of a site as the roster and the join request write them.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "common/json_fields.h"
#include "federation/membership/roster.h"

namespace fovea::federation {

inline constexpr std::size_t kFederationNameMax = 80;  // bytes

Result<RosterSite> read_site_fields(JsonFields& fields);
void write_site_fields(const RosterSite& site, nlohmann::ordered_json& out);

}  // namespace fovea::federation

#include "federation/membership/site_fields.h"

#include <nlohmann/json.hpp>

namespace fovea::federation {

Result<RosterSite> read_site_fields(JsonFields& fields) {
  FOVEA_TRY_ASSIGN(const std::string id, fields.text("id", 1, 40));
  auto parsed = SiteId::create(id);
  if (!parsed) return parsed.error().with_context(fields.path_of("id"));
  RosterSite out{.id = std::move(parsed).value()};
  FOVEA_TRY_ASSIGN(out.identity_key, fields.hex<32>("identity_key"));
  FOVEA_TRY_ASSIGN(out.transport_key, fields.hex<32>("transport_key"));
  FOVEA_TRY_ASSIGN(out.log_key, fields.hex<32>("log_key"));
  FOVEA_TRY_ASSIGN(out.approver_key, fields.hex<32>("approver_key"));
  return out;
}

void write_site_fields(const RosterSite& site, nlohmann::ordered_json& out) {
  out["id"] = site.id.text();
  out["identity_key"] = to_hex(site.identity_key);
  out["transport_key"] = to_hex(site.transport_key);
  out["log_key"] = to_hex(site.log_key);
  out["approver_key"] = to_hex(site.approver_key);
}

}  // namespace fovea::federation

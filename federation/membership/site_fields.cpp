#include "federation/membership/site_fields.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/bytes.h"
#include "common/canonical_json.h"
#include "common/ids.h"

namespace fovea::federation::membership {

Result<void> check_federation_name(std::string_view name) {
  const bool valid = !name.empty() && name.size() <= kFederationNameMax &&
                     std::all_of(name.begin(), name.end(), [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                              c == '_' || c == '.';
                     });
  if (valid) return {};
  return invalid_argument("federation name: expected 1 to " + std::to_string(kFederationNameMax) +
                          " letters, digits, '-', '_' and '.', for example \"lesions-2026\"");
}

Result<std::string> read_federation_name(JsonFields& fields) {
  FOVEA_TRY_ASSIGN(std::string name, fields.line("federation", 1, kFederationNameMax));
  if (const auto valid = check_federation_name(name); !valid)
    return valid.error().with_context(fields.path_of("federation"));
  return name;
}

Result<void> check_lines(std::string_view document, std::string_view what,
                         std::initializer_list<std::string_view> names) {
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(as_bytes(document), what, kSignedDocumentBytesMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, std::string(what)));
  for (const std::string_view name : names) FOVEA_TRY(fields.line(name, 0, kSignedDocumentBytesMax));
  return {};
}

Result<std::uint64_t> read_format(JsonFields& fields, std::string_view name, std::uint64_t newest) {
  FOVEA_TRY_ASSIGN(const std::uint64_t format, fields.integer(name, 1, std::uint64_t{kCanonicalIntegerMax}));
  if (format <= newest) return format;
  return failed_precondition(fields.path_of(name) + ": is " + std::to_string(format) +
                             ", a format of a newer version than this program, which reads up to " +
                             std::to_string(newest) + "; update the program");
}

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

}  // namespace fovea::federation::membership

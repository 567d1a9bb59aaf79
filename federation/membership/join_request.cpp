#include "federation/membership/join_request.h"

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "common/bytes.h"
#include "common/canonical_json.h"
#include "common/json_fields.h"
#include "federation/membership/site_fields.h"

namespace fovea::federation::membership {

Result<JoinRequest> JoinRequest::parse(std::string_view document) {
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(as_bytes(document), "join request", kSignedDocumentBytesMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, "join request"));
  FOVEA_TRY(read_format(fields, "fovea_join_request", 1));
  FOVEA_TRY_ASSIGN(const std::string federation, read_federation_name(fields));
  FOVEA_TRY_ASSIGN(const std::uint64_t created, fields.integer("created_ms", 0, std::uint64_t{kCanonicalIntegerMax}));
  FOVEA_TRY_ASSIGN(RosterSite site, read_site_fields(fields));
  FOVEA_TRY(fields.finish());
  return JoinRequest{federation, std::move(site), UnixMs{static_cast<std::int64_t>(created)}};
}

Result<std::string> JoinRequest::document() const {
  nlohmann::ordered_json value = {{"fovea_join_request", 1}, {"federation", federation}, {"created_ms", created.value}};
  write_site_fields(site, value);
  std::string text = value.dump(1) + "\n";
  FOVEA_TRY(parse(text));
  return text;
}

Result<JoinRequest> verify_join_request(const SignedDocument& signed_document) {
  FOVEA_TRY(signed_document.check_kind("join-request"));
  FOVEA_TRY_ASSIGN(JoinRequest request, JoinRequest::parse(signed_document.document));
  const PublicKeyBytes keys[] = {request.site.identity_key};
  FOVEA_TRY_ASSIGN(const std::size_t valid, signed_document.count_valid("join-request", keys));
  if (valid != 1)
    return permission_denied("join request: is not signed with the identity key it names; run fovea-node join again");
  return request;
}

}  // namespace fovea::federation::membership

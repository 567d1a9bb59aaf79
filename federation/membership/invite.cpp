#include "federation/membership/invite.h"

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "common/bytes.h"
#include "common/json_fields.h"
#include "federation/membership/site_fields.h"

namespace fovea::federation::membership {

Result<Invite> Invite::parse(std::string_view document) {
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(as_bytes(document), "invite", kSignedDocumentBytesMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, "invite"));
  FOVEA_TRY(fields.integer("fovea_invite", 1, 1));
  Invite out;
  FOVEA_TRY_ASSIGN(out.federation, read_federation_name(fields));
  FOVEA_TRY_ASSIGN(out.endpoint, fields.text("endpoint", 1, 300));
  if (!out.endpoint.starts_with("tcp://")) return invalid_argument("invite.endpoint: expected \"tcp://host:port\"");
  FOVEA_TRY_ASSIGN(out.coordinator_transport_key, fields.hex<32>("coordinator_transport_key"));
  FOVEA_TRY_ASSIGN(out.coordinator_signing_key, fields.hex<32>("coordinator_signing_key"));
  FOVEA_TRY_ASSIGN(const std::vector<std::string> keys, fields.texts("administrators", 1, 2, 64));
  for (const std::string& hex : keys) {
    FOVEA_TRY_ASSIGN(const Bytes bytes, from_hex(hex));
    FOVEA_TRY_ASSIGN(const PublicKeyBytes key, to_array<32>(bytes, "invite.administrators"));
    out.administrators.push_back(key);
  }
  FOVEA_TRY(fields.finish());
  return out;
}

Result<std::string> Invite::document() const {
  nlohmann::ordered_json value = {{"fovea_invite", 1},
                                  {"federation", federation},
                                  {"endpoint", endpoint},
                                  {"coordinator_transport_key", to_hex(coordinator_transport_key)},
                                  {"coordinator_signing_key", to_hex(coordinator_signing_key)}};
  value["administrators"] = nlohmann::ordered_json::array();
  for (const PublicKeyBytes& key : administrators) value["administrators"].push_back(to_hex(key));
  std::string text = value.dump(1) + "\n";
  FOVEA_TRY(parse(text));
  return text;
}

Result<Invite> verify_invite(const SignedDocument& signed_document) {
  // The keys come from the document itself, so the signature only proves that it was not damaged or
  // spliced; who they belong to is what the two people compare by telephone.
  FOVEA_TRY_ASSIGN(Invite invite, Invite::parse(signed_document.document));
  FOVEA_TRY_ASSIGN(const std::size_t valid, signed_document.count_valid("invite", invite.administrators));
  if (valid == 0) return permission_denied("invite: no administrator it names has signed it; ask for a new one");
  return invite;
}

}  // namespace fovea::federation::membership

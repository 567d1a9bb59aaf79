#include "federation/membership/acquaintance.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/bytes.h"
#include "common/canonical_json.h"
#include "common/json_fields.h"
#include "federation/membership/site_fields.h"

namespace fovea::federation::membership {

Result<Acquaintance> Acquaintance::parse(std::string_view document) {
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(as_bytes(document), "acquaintance", kSignedDocumentBytesMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, "acquaintance"));
  FOVEA_TRY(read_format(fields, "fovea_acquaintance", 1));
  FOVEA_TRY_ASSIGN(const std::string id, fields.text("site", 1, 40));
  FOVEA_TRY_ASSIGN(SiteId site, SiteId::create(id));
  FOVEA_TRY_ASSIGN(JsonFields entry, fields.object("accepted"));
  FOVEA_TRY_ASSIGN(RosterSite accepted, read_site_fields(entry));
  FOVEA_TRY(entry.finish());
  Acquaintance out{.site = std::move(site), .accepted = std::move(accepted)};
  FOVEA_TRY_ASSIGN(out.approver, fields.line("approver", 1, 80));
  FOVEA_TRY_ASSIGN(const std::uint64_t at, fields.integer("accepted_ms", 0, std::uint64_t{kCanonicalIntegerMax}));
  out.accepted_at = UnixMs{static_cast<std::int64_t>(at)};
  FOVEA_TRY(fields.finish());
  return out;
}

Result<std::string> Acquaintance::document() const {
  nlohmann::ordered_json entry;
  write_site_fields(accepted, entry);
  const nlohmann::ordered_json value = {{"fovea_acquaintance", 1},
                                        {"site", site.text()},
                                        {"accepted", std::move(entry)},
                                        {"approver", approver},
                                        {"accepted_ms", accepted_at.value}};
  FOVEA_TRY_ASSIGN(std::string text, document_text(value, "acquaintance"));
  FOVEA_TRY(parse(text));
  return text;
}

Result<Acquaintance> verify_acquaintance(const SignedDocument& signed_document, const PublicKeyBytes& approver_key) {
  FOVEA_TRY(signed_document.check_approver(kAcquaintanceKind, approver_key));
  return Acquaintance::parse(signed_document.document);
}

Result<Acquaintance> verify_acquaintance(const SignedDocument& signed_document, const RosterSite& self,
                                         const RosterSite& other) {
  FOVEA_TRY_ASSIGN(Acquaintance out, verify_acquaintance(signed_document, self.approver_key));
  if (out.site != self.id) return permission_denied("acquaintance: is for the site " + out.site.text());
  if (entry_digest(out.accepted) != entry_digest(other))
    return permission_denied("acquaintance: is about other keys than those of " + other.id.text() + " on the roster");
  return out;
}

}  // namespace fovea::federation::membership

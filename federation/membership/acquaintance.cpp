#include "federation/membership/acquaintance.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/bytes.h"
#include "common/canonical_json.h"
#include "common/json_fields.h"
#include "federation/membership/site_fields.h"

namespace fovea::federation::membership {
namespace {

struct FieldNames {
  const char* format;
  const char* time;
};
FieldNames names_of(bool ended) {
  return ended ? FieldNames{"fovea_acquaintance_end", "ended_ms"} : FieldNames{"fovea_acquaintance", "accepted_ms"};
}

Result<Acquaintance> verify_as(std::string_view kind, const SignedDocument& signed_document,
                               const PublicKeyBytes& approver_key) {
  FOVEA_TRY(signed_document.check_approver(kind, approver_key));
  return Acquaintance::parse(signed_document.document, kind);
}

}  // namespace

Result<Acquaintance> Acquaintance::parse(std::string_view document, std::string_view kind) {
  const FieldNames names = names_of(kind == kAcquaintanceEndKind);
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(as_bytes(document), kind, kSignedDocumentBytesMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, std::string(kind)));
  FOVEA_TRY(read_format(fields, names.format, 1));
  FOVEA_TRY_ASSIGN(const std::string id, fields.text("site", 1, 40));
  FOVEA_TRY_ASSIGN(SiteId site, SiteId::create(id));
  FOVEA_TRY_ASSIGN(JsonFields entry, fields.object("accepted"));
  FOVEA_TRY_ASSIGN(RosterSite accepted, read_site_fields(entry));
  FOVEA_TRY(entry.finish());
  Acquaintance out{.site = std::move(site), .accepted = std::move(accepted)};
  out.ended = kind == kAcquaintanceEndKind;
  FOVEA_TRY_ASSIGN(out.approver, fields.line("approver", 1, 80));
  FOVEA_TRY_ASSIGN(const std::uint64_t at, fields.integer(names.time, 0, std::uint64_t{kCanonicalIntegerMax}));
  out.accepted_at = UnixMs{static_cast<std::int64_t>(at)};
  FOVEA_TRY(fields.finish());
  return out;
}

Result<std::string> Acquaintance::document() const {
  const FieldNames names = names_of(ended);
  nlohmann::ordered_json entry;
  write_site_fields(accepted, entry);
  const nlohmann::ordered_json value = {{names.format, 1},
                                        {"site", site.text()},
                                        {"accepted", std::move(entry)},
                                        {"approver", approver},
                                        {names.time, accepted_at.value}};
  FOVEA_TRY_ASSIGN(std::string text, document_text(value, kind()));
  FOVEA_TRY(parse(text, kind()));
  return text;
}

Result<Acquaintance> verify_acquaintance(const SignedDocument& signed_document, const PublicKeyBytes& approver_key) {
  return verify_as(kAcquaintanceKind, signed_document, approver_key);
}

Result<Acquaintance> verify_acquaintance_end(const SignedDocument& signed_document,
                                             const PublicKeyBytes& approver_key) {
  return verify_as(kAcquaintanceEndKind, signed_document, approver_key);
}

Result<Acquaintance> verify_word_about_site(const SignedDocument& signed_document, const PublicKeyBytes& approver_key) {
  const bool ended = signed_document.kind == kAcquaintanceEndKind;
  return verify_as(ended ? kAcquaintanceEndKind : kAcquaintanceKind, signed_document, approver_key);
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

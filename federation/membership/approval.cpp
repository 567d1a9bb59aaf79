#include "federation/membership/approval.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "common/canonical_json.h"
#include "common/json_fields.h"
#include "federation/membership/site_fields.h"

namespace fovea::federation::membership {

Result<Approval> Approval::parse(std::string_view document) {
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(as_bytes(document), "approval", kSignedDocumentBytesMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, "approval"));
  FOVEA_TRY(read_format(fields, "fovea_approval", 1));
  FOVEA_TRY_ASSIGN(const std::string id, fields.text("site", 1, 40));
  FOVEA_TRY_ASSIGN(SiteId site, SiteId::create(id));
  Approval out{.site = std::move(site)};
  FOVEA_TRY_ASSIGN(out.plan, fields.hex<32>("plan"));
  FOVEA_TRY_ASSIGN(const std::string decision, fields.choice("decision", {"approved", "rejected"}));
  out.decision = decision == "approved" ? ApprovalDecision::approved : ApprovalDecision::rejected;
  FOVEA_TRY_ASSIGN(out.approver, fields.text("approver", 1, 80));
  FOVEA_TRY_ASSIGN(out.reason, fields.text("reason", 0, 500));
  FOVEA_TRY_ASSIGN(const std::uint64_t decided, fields.integer("decided_ms", 0, std::uint64_t{kCanonicalIntegerMax}));
  out.decided = UnixMs{static_cast<std::int64_t>(decided)};
  FOVEA_TRY(fields.finish());
  return out;
}

Result<std::string> Approval::document() const {
  const nlohmann::ordered_json value = {
      {"fovea_approval", 1},        {"site", site.text()},
      {"plan", to_hex(plan)},       {"decision", decision == ApprovalDecision::approved ? "approved" : "rejected"},
      {"approver", approver},       {"reason", reason},
      {"decided_ms", decided.value}};
  FOVEA_TRY_ASSIGN(std::string text, document_text(value, "approval"));
  FOVEA_TRY(parse(text));
  FOVEA_TRY(check_lines(text, "approval", {"approver", "reason"}));
  return text;
}

Result<Approval> verify_approval(const SignedDocument& signed_document, const PublicKeyBytes& approver_key) {
  FOVEA_TRY(signed_document.check_approver("approval", approver_key));
  return Approval::parse(signed_document.document);
}

}  // namespace fovea::federation::membership

#include "federation/membership/pardon.h"

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/canonical_json.h"
#include "common/json_fields.h"
#include "federation/membership/site_fields.h"

namespace fovea::federation::membership {

Result<Pardon> Pardon::parse(std::string_view document) {
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(as_bytes(document), "pardon", kSignedDocumentBytesMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, "pardon"));
  FOVEA_TRY(read_format(fields, "fovea_pardon", 1));
  FOVEA_TRY_ASSIGN(const std::string id, fields.text("site", 1, 40));
  FOVEA_TRY_ASSIGN(SiteId site, SiteId::create(id));
  Pardon out{.site = std::move(site)};
  FOVEA_TRY_ASSIGN(const std::string run, fields.text("run", 32, 32));
  FOVEA_TRY_ASSIGN(out.run, RunId::parse(run));
  FOVEA_TRY_ASSIGN(out.evidence, fields.hex<32>("evidence"));
  FOVEA_TRY_ASSIGN(out.reason, fields.text("reason", 0, 500));
  FOVEA_TRY_ASSIGN(const std::uint64_t decided, fields.integer("decided_ms", 0, std::uint64_t{kCanonicalIntegerMax}));
  out.decided = UnixMs{static_cast<std::int64_t>(decided)};
  FOVEA_TRY(fields.finish());
  return out;
}

Result<std::string> Pardon::document() const {
  const nlohmann::ordered_json value = {{"fovea_pardon", 1}, {"site", site.text()},
                                        {"run", run.text()}, {"evidence", to_hex(evidence)},
                                        {"reason", reason},  {"decided_ms", decided.value}};
  FOVEA_TRY_ASSIGN(std::string text, document_text(value, "pardon"));
  FOVEA_TRY(parse(text));
  FOVEA_TRY(check_lines(text, "pardon", {"reason"}));
  return text;
}

Result<VerifiedPardon> verify_pardon(const SignedDocument& signed_document,
                                     std::span<const PublicKeyBytes> administrators) {
  for (const PublicKeyBytes& administrator : administrators) {
    FOVEA_TRY_ASSIGN(const std::size_t valid, signed_document.count_valid("pardon", std::span(&administrator, 1)));
    if (valid == 0) continue;
    FOVEA_TRY_ASSIGN(Pardon pardon, Pardon::parse(signed_document.document));
    return VerifiedPardon{std::move(pardon), administrator};
  }
  return permission_denied("pardon: is signed by none of the federation's administrators");
}

}  // namespace fovea::federation::membership

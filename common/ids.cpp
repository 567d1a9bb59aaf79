#include "common/ids.h"

#include <cstddef>

#include "common/result.h"

namespace fovea {

Result<SiteId> SiteId::create(std::string_view text) {
  constexpr std::size_t kSizeMax = 40;
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (text.empty() || text.size() > kSizeMax)
    return invalid_argument("site id: expected 1 to 40 characters, found " + std::to_string(text.size()));
  if (text.front() < 'a' || text.front() > 'z') return invalid_argument("site id: must start with a letter a-z");
  // The name of the coordinator's ledger: a site's key would sign that, too.
  if (text == "coordinator") return invalid_argument("site id: \"coordinator\" is reserved; take the hospital's name");
  for (char c : text)
    if (!allowed(c)) return invalid_argument("site id: only a-z, 0-9 and '-' are allowed; use for example \"st-anna\"");
  return SiteId(std::string(text));
}

Result<RunId> RunId::parse(std::string_view hex) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, from_hex(hex));
  FOVEA_TRY_ASSIGN(const auto fixed, to_array<16>(bytes, "run id"));
  return RunId{fixed};
}

std::string RunId::text() const { return to_hex(bytes); }

}  // namespace fovea

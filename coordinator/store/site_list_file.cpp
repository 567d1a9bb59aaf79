#include "coordinator/store/site_list_file.h"

#include <cstddef>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "federation/messages/attempt_ref.h"

namespace fovea::coordinator::store {
namespace {

constexpr std::size_t kBytesMax = std::size_t{1} << 20U;

Result<void> take_entries(ByteView bytes, const std::string& kind,
                          const std::function<Result<void>(SiteId, JsonFields&)>& take) {
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(bytes, kind, kBytesMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, kind));
  FOVEA_TRY(fields.integer(kind, 1, 1));
  FOVEA_TRY_ASSIGN(std::vector<JsonFields> entries, fields.objects("sites", 0, federation::messages::kCohortMax));
  FOVEA_TRY(fields.finish());
  for (JsonFields& entry : entries) {
    FOVEA_TRY_ASSIGN(const std::string name, entry.line("site", 1, 64));
    FOVEA_TRY_ASSIGN(SiteId site, SiteId::create(name));
    FOVEA_TRY(take(std::move(site), entry));
    FOVEA_TRY(entry.finish());
  }
  return {};
}

}  // namespace

Result<void> SiteListFile::write(const nlohmann::ordered_json& entries) const {
  const nlohmann::ordered_json out = {{kind, 1}, {"sites", entries}};
  return replace_file(path, as_bytes(out.dump() + "\n"));
}

Result<void> SiteListFile::read(const std::function<Result<void>(SiteId, JsonFields&)>& take) const {
  const auto bytes = read_file(path, kBytesMax);
  if (!bytes && bytes.error().code == ErrorCode::not_found) return {};
  if (!bytes) return bytes.error();
  const auto taken = take_entries(*bytes, kind, take);
  return taken ? taken : Result<void>(taken.error().with_context(path.string()));
}

}  // namespace fovea::coordinator::store

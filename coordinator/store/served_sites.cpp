#include "coordinator/store/served_sites.h"

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "common/json_fields.h"
#include "federation/messages/attempt_ref.h"

namespace fovea::coordinator::store {
namespace {

constexpr std::size_t kBytesMax = std::size_t{1} << 20U;
constexpr std::size_t kSitesMax = federation::messages::kCohortMax;

std::filesystem::path file_of(const std::filesystem::path& run_folder) { return run_folder / "last-sum.json"; }

Result<std::set<SiteId>> parse(ByteView bytes) {
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(bytes, "last-sum", kBytesMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, "last-sum"));
  FOVEA_TRY(fields.integer("fovea_last_sum", 1, 1));
  FOVEA_TRY_ASSIGN(std::vector<JsonFields> entries, fields.objects("sites", 0, kSitesMax));
  FOVEA_TRY(fields.finish());
  std::set<SiteId> out;
  for (JsonFields& entry : entries) {
    FOVEA_TRY_ASSIGN(const std::string name, entry.line("site", 1, 64));
    FOVEA_TRY_ASSIGN(SiteId site, SiteId::create(name));
    FOVEA_TRY(entry.finish());
    out.insert(std::move(site));
  }
  return out;
}

}  // namespace

Result<void> write_served_sites(const std::filesystem::path& run_folder, const std::set<SiteId>& sites) {
  nlohmann::ordered_json entries = nlohmann::ordered_json::array();
  for (const SiteId& site : sites) entries.push_back({{"site", site.text()}});
  const nlohmann::ordered_json out = {{"fovea_last_sum", 1}, {"sites", entries}};
  return replace_file(file_of(run_folder), as_bytes(out.dump() + "\n"));
}

Result<std::set<SiteId>> read_served_sites(const std::filesystem::path& run_folder) {
  const auto bytes = read_file(file_of(run_folder), kBytesMax);
  if (!bytes && bytes.error().code == ErrorCode::not_found) return std::set<SiteId>();
  if (!bytes) return bytes.error();
  auto sites = parse(*bytes);
  if (!sites) return sites.error().with_context(file_of(run_folder).string());
  return sites;
}

}  // namespace fovea::coordinator::store

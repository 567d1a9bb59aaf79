#include "coordinator/store/cut_off_sites.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "common/json_fields.h"
#include "federation/messages/attempt_ref.h"

namespace fovea::coordinator::store {
namespace {

constexpr std::size_t kBytesMax = std::size_t{1} << 20U;
constexpr std::size_t kSitesMax = federation::messages::kCohortMax;

std::filesystem::path file_of(const std::filesystem::path& run_folder) { return run_folder / "cut-off.json"; }

Result<std::vector<CutOffSite>> parse(ByteView bytes) {
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(bytes, "cut-off", kBytesMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, "cut-off"));
  FOVEA_TRY(fields.integer("fovea_cut_off", 1, 1));
  FOVEA_TRY_ASSIGN(std::vector<JsonFields> entries, fields.objects("sites", 0, kSitesMax));
  FOVEA_TRY(fields.finish());
  std::vector<CutOffSite> out;
  for (JsonFields& entry : entries) {
    FOVEA_TRY_ASSIGN(const std::string name, entry.line("site", 1, 64));
    FOVEA_TRY_ASSIGN(SiteId site, SiteId::create(name));
    FOVEA_TRY_ASSIGN(const std::uint32_t round, entry.integer32("round", 1, std::numeric_limits<std::uint32_t>::max()));
    FOVEA_TRY(entry.finish());
    out.push_back({std::move(site), round});
  }
  return out;
}

}  // namespace

Result<void> write_cut_off_sites(const std::filesystem::path& run_folder, const std::vector<CutOffSite>& sites) {
  nlohmann::ordered_json entries = nlohmann::ordered_json::array();
  for (const CutOffSite& cut_off : sites) entries.push_back({{"site", cut_off.site.text()}, {"round", cut_off.round}});
  const nlohmann::ordered_json out = {{"fovea_cut_off", 1}, {"sites", entries}};
  return replace_file(file_of(run_folder), as_bytes(out.dump() + "\n"));
}

Result<std::vector<CutOffSite>> read_cut_off_sites(const std::filesystem::path& run_folder) {
  const auto bytes = read_file(file_of(run_folder), kBytesMax);
  if (!bytes && bytes.error().code == ErrorCode::not_found) return std::vector<CutOffSite>();
  if (!bytes) return bytes.error();
  auto sites = parse(*bytes);
  if (!sites) return sites.error().with_context(file_of(run_folder).string());
  return sites;
}

}  // namespace fovea::coordinator::store

#include "coordinator/store/cut_off_sites.h"

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "coordinator/store/site_list_file.h"

namespace fovea::coordinator::store {
namespace {

SiteListFile list_of(const std::filesystem::path& run_folder) { return {run_folder / "cut-off.json", "fovea_cut_off"}; }

}  // namespace

Result<void> write_cut_off_sites(const std::filesystem::path& run_folder, const std::vector<CutOffSite>& sites) {
  nlohmann::ordered_json entries = nlohmann::ordered_json::array();
  for (const CutOffSite& cut_off : sites) entries.push_back({{"site", cut_off.site.text()}, {"round", cut_off.round}});
  return list_of(run_folder).write(entries);
}

Result<std::vector<CutOffSite>> read_cut_off_sites(const std::filesystem::path& run_folder) {
  std::vector<CutOffSite> out;
  FOVEA_TRY(list_of(run_folder).read([&](SiteId site, JsonFields& entry) -> Result<void> {
    FOVEA_TRY_ASSIGN(const std::uint32_t round, entry.integer32("round", 1, std::numeric_limits<std::uint32_t>::max()));
    out.push_back({std::move(site), round});
    return {};
  }));
  return out;
}

}  // namespace fovea::coordinator::store

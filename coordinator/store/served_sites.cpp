#include "coordinator/store/served_sites.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "coordinator/store/site_list_file.h"

namespace fovea::coordinator::store {
namespace {

SiteListFile list_of(const std::filesystem::path& run_folder) {
  return {run_folder / "last-sum.json", "fovea_last_sum"};
}

}  // namespace

Result<void> write_served_sites(const std::filesystem::path& run_folder, const std::set<SiteId>& sites) {
  nlohmann::ordered_json entries = nlohmann::ordered_json::array();
  for (const SiteId& site : sites) entries.push_back({{"site", site.text()}});
  return list_of(run_folder).write(entries);
}

Result<std::set<SiteId>> read_served_sites(const std::filesystem::path& run_folder) {
  std::set<SiteId> out;
  FOVEA_TRY(list_of(run_folder).read([&](SiteId site, JsonFields&) -> Result<void> {
    out.insert(std::move(site));
    return {};
  }));
  return out;
}

}  // namespace fovea::coordinator::store

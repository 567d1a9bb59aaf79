// Which sites said that they have the last sum of a run: for whoever waits for them, and for `fovea-coordinator sites`.
// Not evidence, and not durable: a site that is missing says it again.
#pragma once

#include <filesystem>
#include <set>

#include "common/ids.h"
#include "common/result.h"

namespace fovea::coordinator::store {

Result<void> write_served_sites(const std::filesystem::path& run_folder, const std::set<SiteId>& sites);
// None where there is no such file. invalid_argument names it, with the field.
Result<std::set<SiteId>> read_served_sites(const std::filesystem::path& run_folder);

}  // namespace fovea::coordinator::store

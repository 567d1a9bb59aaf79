// Which sites cannot follow a run any more, as they said to the process that serves it: for `fovea-coordinator sites`.
// Not evidence, and not durable: each start writes it anew, and the sites say it again.
#pragma once

#include <filesystem>
#include <vector>

#include "common/ids.h"
#include "common/result.h"

namespace fovea::coordinator::store {

struct CutOffSite {
  SiteId site;
  RoundNumber round = 0;  // of the first sum under a roster that it never had
};

Result<void> write_cut_off_sites(const std::filesystem::path& run_folder, const std::vector<CutOffSite>& sites);
// None where there is no such file. invalid_argument names it, with the field.
Result<std::vector<CutOffSite>> read_cut_off_sites(const std::filesystem::path& run_folder);

}  // namespace fovea::coordinator::store

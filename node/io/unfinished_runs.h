// The runs of a site whose last sum it does not have: for `fovea-node status`, and for the greeting of a node that has
// just started, so that a coordinator which has ended such a run hands out what is missing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "node/io/site_folder.h"

namespace fovea::node::io {

struct UnfinishedRun {
  RunId run;
  Digest plan{};
  std::string name;  // of the plan
  std::uint32_t sums = 0;
  std::uint32_t rounds_total = 0;
  UnixMs since{};  // when the model here was saved last, or the run was opened

  // "run 0011… of plan \"lesions\": 2 of 4 sums are in the model here, the last since 2026-…"
  std::string text() const;
};

// The newest first. A run or plan that cannot be read, and one whose plan a person here rejected last, is left out.
std::vector<UnfinishedRun> unfinished_runs(const SiteFolder& folder);

}  // namespace fovea::node::io

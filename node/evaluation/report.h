// An evaluation as JSON, for programs and the record: figures with intervals, then one row a study under its
// salted code. No names, no voxels, no positions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "node/evaluation/metrics.h"

namespace fovea::node {

// {"studies", "labelled", "auc", "auc_interval": {"low","high"}, "region_auc", "region_auc_interval", "recall_at":
// {"8","16","32"}, "recall_at_32_interval": {"low","high"},
//  "recall_at_32_by_size": {group: {"recall","findings"}}, "recall_reordered_at": {…}, "voxels_read_fraction",
//  "seconds_a_study", "notes": […]}; a figure that cannot be told is null, an interval (95 %, patients resampled) likewise.
// `notes` says in words what could not be told and why (for example no study AUC when every study is positive).
nlohmann::json summary_json(std::span<const StudyResult> studies, std::uint64_t seed);

// summary_json plus "rows".
nlohmann::json report_json(std::span<const StudyResult> studies, std::uint64_t seed);

// The same figures in a few lines of text.
std::string summary_text(std::span<const StudyResult> studies, std::uint64_t seed);

}  // namespace fovea::node

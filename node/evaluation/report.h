// An evaluation as JSON, for programs and the record: figures with intervals, then one row per study under its
// code. No names, no voxels, no positions.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "node/evaluation/metrics.h"

namespace fovea::node::evaluation {

// {"studies", "labelled",
//  "auc", "auc_interval": {"low","high"}, "region_auc", "region_auc_interval": {"low","high"},
//  "recall_at": {"8","16","32"}, "recall_at_32_interval": {"low","high"},
//  "recall_at_32_by_size": {group: {"recall","findings"}}, "recall_reordered_at": {"8","16","32"},
//  "voxels_read_fraction", "seconds_a_study", "notes": […]}
// Intervals are 95 %, patients resampled. An undefined figure or interval is null; `notes` says why (for example no
// study AUC when every study is positive).
nlohmann::json summary_json(std::span<const StudyResult> studies, std::uint64_t seed);

// summary_json plus "rows".
nlohmann::json report_json(std::span<const StudyResult> studies, std::uint64_t seed);

// The same figures in a few lines of text.
std::string summary_text(std::span<const StudyResult> studies, std::uint64_t seed);

}  // namespace fovea::node::evaluation

// Looks at studies with a model and compares what it finds with what is known of them. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "common/result.h"
#include "node/embedding/look.h"
#include "node/evaluation/metrics.h"
#include "node/network/network_blocks.h"
#include "node/saliency/regions.h"
#include "node/store/findings.h"
#include "node/store/study_catalogue.h"
#include "node/training/training_set.h"

namespace fovea::node::evaluation {

// Ranks of the findings among the regions looked at, in their order and in the region head's.
std::vector<FindingResult> match_findings(const embedding::StudyLook& look, std::span<const store::Finding> findings);

// The exploration is drawn from `seed` and the study's code: the same model and seed give the same result. Errors as
// look_at.
Result<StudyResult> evaluate_study(const network::NetworkParameters& parameters, training::LearningStudy& study,
                                   std::string patient_code, const saliency::LookSettings& settings,
                                   std::uint64_t seed);

// How a plan wants studies to be looked at.
struct EvaluationSettings {
  training::VoxelRule voxels;
  saliency::LookSettings look;
  std::uint64_t seed = 0;
};

struct Evaluation {
  std::vector<StudyResult> studies;  // in the records' order
  std::uint32_t skipped = 0;         // studies that could not be opened
};

// All usable studies among these records, one open at a time, since a site may hold thousands. `progress` is called
// after each with how many records are done. Errors as open_learning_set and evaluate_study.
using EvaluationProgress = std::function<void(std::size_t done)>;
Result<Evaluation> evaluate_studies(const network::NetworkParameters& parameters,
                                    std::span<const store::StudyRecord> records, const EvaluationSettings& settings,
                                    const EvaluationProgress& progress);

}  // namespace fovea::node::evaluation

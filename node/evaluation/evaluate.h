// Looks at a study with a model and says what was found of what is there.
#pragma once

#include "node/embedding/look.h"
#include "node/evaluation/metrics.h"
#include "node/training/training_set.h"

namespace fovea::node {

// Ranks of the findings among the regions looked at, in their order and in the region head's.
std::vector<FindingResult> match_findings(const StudyLook& look, std::span<const Finding> findings);

// The exploration is drawn from `seed` and the study's code: the same model and seed give the same result.
Result<StudyResult> evaluate_study(const NetworkParameters& parameters, LearningStudy& study, std::string patient_code,
                                   const LookSettings& settings, std::uint64_t seed);

}  // namespace fovea::node

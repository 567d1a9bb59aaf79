// The tensors of the architecture "fovea-1": the proposer, the region encoder and the heads. What they
// compute is in node/saliency and node/embedding; the sizes there are read from these shapes.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/result.h"
#include "federation/model/layout.h"

namespace fovea::federation::model {

inline constexpr std::uint32_t kEmbeddingSize = 128;
// What a head sees of a region besides its embedding: proposer logit, log radius, position (3).
inline constexpr std::uint32_t kRegionTraits = 5;
inline constexpr std::uint32_t kStudyInput = kEmbeddingSize + kRegionTraits + 1;  // and the region head's objectness
inline constexpr std::uint32_t kPeakInput = 4;                                    // the study's highest logits
inline constexpr std::uint32_t kRegionOutputs = 5;  // objectness logit, centre offset (3), log radius

// What the networks see is (x − mean) / deviation of x, the voxels as the plan's normalisation leaves them. A stage
// "intensity" makes these of all sites' data; as they start, mean 0 and deviation 1, they change nothing. Stored so
// that each lies within ±0.5.
inline constexpr std::string_view kIntensityMean = "intensity.mean",
                                  kIntensitySquare = "intensity.square";  // one number each
inline constexpr float kIntensityMeanUnit = 4;                            // the mean is this times the first
inline constexpr float kIntensitySquareUnit = 8;                          // the mean square is this times the second

Result<ModelLayout> make_fovea_1_layout();

}  // namespace fovea::federation::model

// Stage 2: a small 3D U-Net over the coarse volume that says where a finding may be. Heat map after
// Zhou et al. 2019, "Objects as points"; GroupNorm throughout.
#pragma once

#include <span>
#include <vector>

#include "node/network/network_blocks.h"
#include "node/saliency/regions.h"
#include "node/scan_view/scan_source.h"

namespace fovea::node {

// Crops of the coarse volume with what should be found in them. A crop has edge³ coarse voxels and
// (edge / 2)³ cells; edge is a multiple of kProposerStride.
inline constexpr std::int64_t kProposerStride = 8;
struct ProposerBatch {
  std::int64_t count = 0;
  std::int64_t edge = 0;
  std::vector<float> images;      // count · edge³, i fastest
  std::vector<float> heat;        // count · (edge/2)³: 1 at a finding's cell, a Gaussian around it, 0 elsewhere
  std::vector<float> log_radius;  // ln(mm), where radius_weight > 0
  std::vector<float> radius_weight;
};

// Mean loss of the batch; its gradient is added to parameters.gradients(). internal: torch failed.
Result<double> accumulate_proposer_gradient(NetworkParameters& parameters, const ProposerBatch& batch);

// The heat map of a whole scan, in overlapping tiles over the prior; cells outside the prior get kNoHeat.
Result<HeatMap> find_heat(const NetworkParameters& parameters, const ScanSource& scan, const Prior& prior);

inline constexpr float kNoHeat = -20;

}  // namespace fovea::node

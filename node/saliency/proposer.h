// Stage 2: a small 3D U-Net over the coarse view that says where a finding may be. Heat map after
// Zhou et al. 2019, "Objects as points"; GroupNorm throughout.
#pragma once

#include <cstdint>
#include <vector>

#include "common/result.h"
#include "node/network/network_blocks.h"
#include "node/saliency/prior.h"
#include "node/saliency/regions.h"
#include "node/scan_view/coarse_view.h"

namespace fovea::node::saliency {

// Crops of the coarse view with what should be found in them. A crop has edge³ coarse voxels and (edge / 2)³ cells;
// edge is a multiple of kProposerStride.
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
Result<double> accumulate_proposer_gradient(network::NetworkParameters& parameters, const ProposerBatch& batch);

// The heat map of a whole scan, in overlapping tiles over the prior; cells outside the prior get kNoHeat. internal:
// torch failed.
Result<HeatMap> find_heat(const network::NetworkParameters& parameters, const scan_view::CoarseView& coarse,
                          const Prior& prior);

inline constexpr float kNoHeat = -20;

}  // namespace fovea::node::saliency

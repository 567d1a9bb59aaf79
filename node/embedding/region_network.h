// Stages 3 and 4: what a region looks like at full resolution (encoder), whether it holds a finding and where
// (region head), and what the study's regions say together (study heads: mean pool, gated attention after
// Ilse et al. 2018, and the highest region logits).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/result.h"
#include "federation/model/fovea_1_layout.h"
#include "node/network/network_blocks.h"
#include "node/volume/volume.h"

namespace fovea::node::embedding {

inline constexpr std::size_t kEmbeddingSize = federation::model::kEmbeddingSize;
using Embedding = std::array<float, kEmbeddingSize>;  // each in (−1, 1)
using Traits = std::array<float, federation::model::kRegionTraits>;

// The region head's outputs.
struct RegionAssessment {
  double logit = 0;  // of holding a finding
  // From the region's centre to the finding's, along the scan's axes.
  Eigen::Vector3d offset_mm = Eigen::Vector3d::Zero();
  double radius_mm = 0;
};

// Regions of one study with what is known of them, for training.
struct RegionBag {
  std::int64_t count = 0;
  std::vector<float> crops;  // count · kRegionVoxels
  std::vector<Traits> traits;
  std::vector<float> objectness;           // 0 or 1
  std::vector<float> weight;               // of the objectness; 0 where it is unclear
  std::vector<Eigen::Vector3d> offset_mm;  // where geometry_weight > 0
  std::vector<float> log_radius;           // ln(mm), where geometry_weight > 0
  std::vector<float> geometry_weight;
  std::optional<int> label;  // of the study
};

// A study as the study heads see it.
struct StudyVectors {
  std::vector<Embedding> embeddings;
  std::vector<Traits> traits;
};

// Each adds the gradient of its loss to parameters.gradients() and returns the loss. internal: torch failed.
Result<double> accumulate_bag_gradient(network::NetworkParameters& parameters, const RegionBag& bag);
Result<double> accumulate_study_gradient(network::NetworkParameters& parameters, const StudyVectors& study, int label);

// Inference, without gradients; one embedding per kRegionVoxels of `crops`. internal: torch failed.
Result<std::vector<Embedding>> embed_regions(const network::NetworkParameters& parameters,
                                             std::span<const float> crops);
Result<std::vector<RegionAssessment>> assess_regions(const network::NetworkParameters& parameters,
                                                     const StudyVectors& study);
// The mean of the three study heads.
Result<double> study_logit(const network::NetworkParameters& parameters, const StudyVectors& study);

}  // namespace fovea::node::embedding

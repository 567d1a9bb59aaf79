// Looking at one study: proposer, regions, encoder, heads. What training, evaluation and prediction share.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "node/embedding/region_network.h"
#include "node/saliency/regions.h"
#include "node/scan_view/scan_source.h"

namespace fovea::node {

// The box around the prior, in mm along the scan's axes: positions of regions are told relative to it.
struct BodyBox {
  Point3 low{}, high{};
  static BodyBox of(const Prior& prior);
};

// Proposer logit, log radius and position as the heads take them: each of order one.
Traits traits_of(const Region& region, const BodyBox& box, const VolumeGeometry& geometry);

// Embeddings as they are kept: eight bits a number.
using StoredEmbedding = std::array<std::int8_t, kEmbeddingSize>;
StoredEmbedding quantised(const Embedding& embedding) noexcept;
Embedding dequantised(const StoredEmbedding& stored) noexcept;

struct StudyLook {
  std::vector<Region> regions;  // in the order they were chosen
  StudyVectors vectors;         // embeddings already rounded as the store keeps them
  std::vector<RegionAssessment> assessments;
  double logit = 0;          // of the study
  double fraction_read = 0;  // of the full-resolution voxels, halos included
};

// Crops of all regions, one after another.
Result<std::vector<float>> read_regions(ScanSource& scan, std::span<const Region> regions);

// Stages 1 to 4. `seed` draws the exploration. Begins a new read session of the scan.
Result<StudyLook> look_at(const NetworkParameters& parameters, ScanSource& scan, const Prior& prior,
                          const LookSettings& settings, std::uint64_t seed);

// A seed of its own for each study.
std::uint64_t look_seed(std::uint64_t seed, std::string_view study_code) noexcept;

// A region after the region head: where the finding's centre is thought to be.
Point3 refined_centre(const Region& region, const RegionAssessment& assessment,
                      const VolumeGeometry& geometry) noexcept;

}  // namespace fovea::node

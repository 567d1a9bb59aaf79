// Looking at one study: proposer, regions, encoder, heads. What training, evaluation and prediction share.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "node/embedding/region_network.h"
#include "node/network/network_blocks.h"
#include "node/saliency/prior.h"
#include "node/saliency/regions.h"
#include "node/scan_view/scan_source.h"
#include "node/volume/volume.h"

namespace fovea::node::embedding {

// The box around the body, in mm along the scan's axes; positions of regions are relative to it.
struct BodyBox {
  volume::Point3 low = volume::Point3::Zero(), high = volume::Point3::Zero();
  static BodyBox of(const saliency::Prior& prior);
};

// Proposer logit, log radius and position, scaled for the heads so that each is of order one.
Traits traits_of(const saliency::Region& region, const BodyBox& box, const volume::VolumeGeometry& geometry);

// Embeddings as they are stored: eight bits per number.
using StoredEmbedding = std::array<std::int8_t, kEmbeddingSize>;
StoredEmbedding quantised(const Embedding& embedding) noexcept;
Embedding dequantised(const StoredEmbedding& stored) noexcept;

struct StudyLook {
  std::vector<saliency::Region> regions;  // in the order they were chosen
  StudyVectors vectors;                   // embeddings already rounded as the store keeps them
  std::vector<RegionAssessment> assessments;
  double logit = 0;          // of the study
  double fraction_read = 0;  // of the full-resolution voxels, halos included
};

// The crops of all regions, one after another. Errors are the scan's.
Result<std::vector<float>> read_regions(scan_view::ScanSource& scan, std::span<const saliency::Region> regions);

// Stages 1 to 4. `seed` draws the exploration. Begins a new read session of the scan. failed_precondition: the prior
// leaves no place to look at; internal: torch failed; others are the scan's.
Result<StudyLook> look_at(const network::NetworkParameters& parameters, scan_view::ScanSource& scan,
                          const saliency::Prior& prior, const saliency::LookSettings& settings, std::uint64_t seed);

// A seed of its own for each study.
std::uint64_t look_seed(std::uint64_t seed, std::string_view study_code) noexcept;

// Where the region head expects the finding's centre, in mm.
volume::Point3 refined_centre(const saliency::Region& region, const RegionAssessment& assessment,
                              const volume::VolumeGeometry& geometry) noexcept;

}  // namespace fovea::node::embedding

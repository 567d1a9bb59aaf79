// Draws the proposer's training crops from a site's studies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "node/network/random_draws.h"
#include "node/saliency/proposer.h"
#include "node/store/findings.h"
#include "node/training/augmentation.h"
#include "node/training/training_set.h"
#include "node/volume/volume.h"

namespace fovea::node::training {

struct ProposerSampling {
  // Few small crops, so that a round has many steps at the same cost: averaging over the hospitals evens out the noise
  // of small batches.
  std::int64_t crops = 3;
  std::int64_t edge = 32;          // coarse voxels, a multiple of kProposerStride
  double finding_share = 2.0 / 3;  // of the crops, around a finding
  double sigma_mm = 3;             // of the target's Gaussian
  IntensitySpread intensity;
};

class ProposerSampler {
 public:
  // `set` must outlive the sampler. Only studies whose findings are known are used.
  ProposerSampler(const LearningSet& set, ProposerSampling sampling);

  std::size_t studies() const noexcept { return known_.size(); }
  // The next batch; studies() must not be 0.
  saliency::ProposerBatch draw(network::RandomDraws& random) const;

 private:
  struct Place {
    const LearningStudy* study = nullptr;
    volume::Point3 middle = volume::Point3::Zero();  // continuous coarse index
  };
  Place draw_place(network::RandomDraws& random, bool at_finding) const;
  void fill(const Place& place, std::size_t crop, network::RandomDraws& random, saliency::ProposerBatch& batch) const;

  ProposerSampling sampling_;
  std::vector<const LearningStudy*> known_;
  std::vector<std::pair<const LearningStudy*, const store::Finding*>> findings_;
};

}  // namespace fovea::node::training

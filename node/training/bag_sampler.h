// Draws the encoder's training bags: regions of one study, some around its findings, the others where the
// proposer would look.
#pragma once

#include <cstddef>
#include <vector>

#include "common/result.h"
#include "node/embedding/region_network.h"
#include "node/network/random_draws.h"
#include "node/saliency/regions.h"
#include "node/training/augmentation.h"
#include "node/training/training_set.h"

namespace fovea::node::training {

struct BagSampling {
  std::size_t regions = 16;
  std::size_t findings_max = 6;  // regions around findings in one bag
  double jitter_mm = 5;          // of those, along each axis
  double positive_share = 0.6;   // of the bags, from studies with findings
  double positive_weight = 2;    // of a region with a finding, in the loss
  double ignore_mm = 16;         // no hit, but nearer to a finding than this: neither finding nor background
  IntensitySpread intensity;
};

// Where the proposer would look in each study of a set, in the set's order; empty where findings are unknown.
using ProposedRegions = std::vector<std::vector<saliency::Region>>;

class BagSampler {
 public:
  // Both must outlive the sampler.
  BagSampler(const LearningSet& set, const ProposedRegions& proposed, BagSampling sampling);

  std::size_t studies() const noexcept { return with_.size() + without_.size(); }
  // The next bag; studies() must not be 0. An error is the scan's.
  Result<embedding::RegionBag> draw(network::RandomDraws& random) const;

 private:
  std::vector<saliency::Region> draw_regions(std::size_t study, network::RandomDraws& random) const;
  const LearningSet& set_;
  const ProposedRegions& proposed_;
  BagSampling sampling_;
  std::vector<std::size_t> with_, without_;  // studies with findings, and known to have none
};

}  // namespace fovea::node::training

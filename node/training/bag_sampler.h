// Draws the encoder's training bags: regions of one study, some around its findings, the others where the
// proposer would look.
#pragma once

#include "node/embedding/look.h"
#include "node/network/random_draws.h"
#include "node/training/training_set.h"

namespace fovea::node {

struct BagSampling {
  std::size_t regions = 16;
  std::size_t findings_max = 6;  // regions around findings in one bag
  double jitter_mm = 5;          // of those, along each axis
  double positive_share = 0.6;   // of the bags, from studies with findings
  double positive_weight = 2;    // of a region with a finding in its loss
  double ignore_mm = 16;         // beyond a hit and nearer than this: neither finding nor background
  double gain_spread = 0.2, offset_spread = 0.2;
};

// Where the proposer would look in each study of a set, in the set's order; empty where findings are unknown.
using Candidates = std::vector<std::vector<Region>>;

class BagSampler {
 public:
  // Both must outlive the sampler.
  BagSampler(const LearningSet& set, const Candidates& candidates, BagSampling sampling);

  std::size_t studies() const noexcept { return with_.size() + without_.size(); }
  // The next bag; studies() must not be 0. An error is the scan's.
  Result<RegionBag> draw(RandomDraws& random) const;

 private:
  std::vector<Region> draw_regions(std::size_t study, RandomDraws& random) const;
  const LearningSet& set_;
  const Candidates& candidates_;
  BagSampling sampling_;
  std::vector<std::size_t> with_, without_;  // studies with findings, and known to have none
};

}  // namespace fovea::node

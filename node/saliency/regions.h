// From a heat map to the regions that are looked at: non-maximum suppression, the top K, and a share of
// exploration drawn from the prior with known inclusion probabilities, so that what the proposer misses
// can be estimated (Horvitz and Thompson 1952).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "node/saliency/prior.h"
#include "node/volume/volume.h"

namespace fovea::node::saliency {

// Per cell of the prior's grid.
struct HeatMap {
  std::vector<float> logits;
  std::vector<float> log_radius;  // ln(mm)
};

struct Region {
  volume::Point3 centre_mm = volume::Point3::Zero();
  double radius_mm = 0;
  double logit = 0;       // of the proposer, at its centre
  double inclusion = 1;   // probability with which this region was drawn; 1 when chosen by rank
  bool explored = false;  // drawn from the prior
};

struct LookSettings {
  std::uint32_t regions = 32;
  double exploration = 0.125;  // share of the regions, 0 to 1
  double nms_mm = 10;
};

// A radius in mm from a network's ln(mm), bounded to 0.1 to 55 mm, so that no output of a network overflows.
double radius_of_log(float log_radius) noexcept;

// The `count_max` cells of highest logit with prior > 0, none closer than `nms_mm` to a better one;
// equal logits in order of cell. Centres are refined to the heat's centroid over the neighbouring cells.
std::vector<Region> suppress_non_maxima(const Prior& prior, const HeatMap& heat, std::size_t count_max, double nms_mm);

// Ranked regions first, then the explored ones. The same seed draws the same regions.
std::vector<Region> choose_regions(const Prior& prior, const HeatMap& heat, const LookSettings& settings,
                                   std::uint64_t seed);

}  // namespace fovea::node::saliency

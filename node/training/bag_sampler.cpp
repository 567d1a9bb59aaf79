#include "node/training/bag_sampler.h"

#include <algorithm>
#include <cmath>

#include "node/saliency/hit_rule.h"

namespace fovea::node {
namespace {

// Mirrors a crop in place along the chosen axes.
void flip_crop(std::span<float> crop, const std::array<bool, 3>& flipped) {
  const auto edge = static_cast<std::size_t>(kRegionEdge);
  if (flipped[0])
    for (std::size_t row = 0; row < edge * edge; ++row) {
      const std::span<float> voxels = crop.subspan(row * edge, edge);
      std::reverse(voxels.begin(), voxels.end());
    }
  const auto swap_rows = [&](std::size_t a, std::size_t b, std::size_t count) {
    std::swap_ranges(crop.begin() + static_cast<std::ptrdiff_t>(a),
                     crop.begin() + static_cast<std::ptrdiff_t>(a + count),
                     crop.begin() + static_cast<std::ptrdiff_t>(b));
  };
  if (flipped[1])
    for (std::size_t k = 0; k < edge; ++k)
      for (std::size_t j = 0; j < edge / 2; ++j)
        swap_rows((k * edge + j) * edge, (k * edge + edge - 1 - j) * edge, edge);
  if (flipped[2])
    for (std::size_t k = 0; k < edge / 2; ++k) swap_rows(k * edge * edge, (edge - 1 - k) * edge * edge, edge * edge);
}

const Finding* nearest_finding(const Point3& point, const std::vector<Finding>& findings) {
  const auto nearest = std::min_element(findings.begin(), findings.end(), [&](const Finding& a, const Finding& b) {
    return distance_mm(point, a.center_mm) < distance_mm(point, b.center_mm);
  });
  return nearest == findings.end() ? nullptr : &*nearest;
}

struct Truth {
  const Finding* finding = nullptr;
  Point3 offset_mm{};  // along the scan's axes
};

void add_truth(const Region& region, const Truth& truth, const BagSampling& sampling, RegionBag& bag) {
  const bool known = truth.finding != nullptr;
  const double distance = known ? distance_mm(region.centre_mm, truth.finding->center_mm) : 0;
  const bool hit = known && is_hit(region.centre_mm, *truth.finding);
  const bool unclear = known && !hit && distance < sampling.ignore_mm;
  bag.objectness.push_back(hit ? 1 : 0);
  bag.weight.push_back(unclear ? 0 : static_cast<float>(hit ? sampling.positive_weight : 1));
  constexpr double kOffsetReachMm = 12;
  const bool has_geometry = known && distance < kOffsetReachMm;
  bag.geometry_weight.push_back(has_geometry ? 1 : 0);
  bag.offset_mm.push_back(has_geometry ? truth.offset_mm : Point3{});
  bag.log_radius.push_back(has_geometry ? static_cast<float>(std::log(std::max(truth.finding->diameter_mm / 2, 0.5)))
                                        : 0);
}

}  // namespace

BagSampler::BagSampler(const LearningSet& set, const Candidates& candidates, BagSampling sampling)
    : set_(set), candidates_(candidates), sampling_(sampling) {
  FOVEA_CHECK(set.studies.size() == candidates.size());
  for (std::size_t s = 0; s < candidates.size(); ++s) {
    if (!set.studies[s].findings_known || candidates[s].empty()) continue;
    (set.studies[s].findings.empty() ? without_ : with_).push_back(s);
  }
}

std::vector<Region> BagSampler::draw_regions(std::size_t study, RandomDraws& random) const {
  const std::vector<Region>& candidates = candidates_[study];
  std::vector<Region> regions;
  std::vector<const Finding*> findings;
  for (const Finding& finding : set_.studies[study].findings) findings.push_back(&finding);
  for (std::size_t n = 0; n < sampling_.findings_max && !findings.empty(); ++n) {
    const std::size_t chosen = random.below(findings.size());
    Region region;
    region.centre_mm = findings[chosen]->center_mm;
    // The traits of the nearest candidate: what the proposer would have said here.
    const auto near = std::min_element(candidates.begin(), candidates.end(), [&](const Region& a, const Region& b) {
      return distance_mm(region.centre_mm, a.centre_mm) < distance_mm(region.centre_mm, b.centre_mm);
    });
    region.logit = near->logit;
    region.radius_mm = near->radius_mm;
    for (double& mm : region.centre_mm) mm += random.uniform(-sampling_.jitter_mm, sampling_.jitter_mm);
    regions.push_back(region);
    findings.erase(findings.begin() + static_cast<std::ptrdiff_t>(chosen));
  }
  while (regions.size() < sampling_.regions) {
    const double place = random.uniform();  // squared: the better ranked, the oftener
    Region region = candidates[std::min(
        static_cast<std::size_t>(place * place * static_cast<double>(candidates.size())), candidates.size() - 1)];
    for (double& mm : region.centre_mm) mm += random.uniform(-2, 2);
    regions.push_back(region);
  }
  return regions;
}

Result<RegionBag> BagSampler::draw(RandomDraws& random) const {
  const bool positive = without_.empty() || (!with_.empty() && random.chance(sampling_.positive_share));
  const std::vector<std::size_t>& from = positive ? with_ : without_;
  const std::size_t index = from[random.below(from.size())];
  const LearningStudy& study = set_.studies[index];
  const VolumeGeometry& geometry = study.prior.grid.geometry;
  const BodyBox box = BodyBox::of(study.prior);
  const std::vector<Region> regions = draw_regions(index, random);

  RegionBag bag;
  bag.count = static_cast<std::int64_t>(regions.size());
  bag.label = study.label;
  FOVEA_TRY_ASSIGN(bag.crops, read_regions(*study.scan, regions));
  const auto gain = static_cast<float>(1 + random.uniform(-sampling_.gain_spread, sampling_.gain_spread));
  const auto offset = static_cast<float>(random.uniform(-sampling_.offset_spread, sampling_.offset_spread));
  for (float& voxel : bag.crops) voxel = voxel * gain + offset;
  for (std::size_t r = 0; r < regions.size(); ++r) {
    std::array<bool, 3> flipped{};
    for (bool& axis : flipped) axis = random.chance(0.5);
    flip_crop(std::span(bag.crops).subspan(r * kRegionVoxels, kRegionVoxels), flipped);
    bag.traits.push_back(traits_of(regions[r], box, geometry));
    Truth truth{nearest_finding(regions[r].centre_mm, study.findings), {}};
    if (truth.finding != nullptr) {
      const Point3 from_index = geometry.to_index(regions[r].centre_mm),
                   to_index = geometry.to_index(truth.finding->center_mm);
      for (std::size_t axis = 0; axis < 3; ++axis)
        truth.offset_mm[axis] =
            (to_index[axis] - from_index[axis]) * geometry.spacing_mm[axis] * (flipped[axis] ? -1 : 1);
    }
    add_truth(regions[r], truth, sampling_, bag);
  }
  return bag;
}

}  // namespace fovea::node

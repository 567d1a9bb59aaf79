#include "node/training/bag_sampler.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

#include "common/check.h"
#include "node/embedding/look.h"
#include "node/saliency/hit_rule.h"
#include "node/scan_view/scan_source.h"

namespace fovea::node::training {
namespace {

const store::Finding* nearest_finding(const volume::Point3& point, const std::vector<store::Finding>& findings) {
  const auto nearest =
      std::min_element(findings.begin(), findings.end(), [&](const store::Finding& a, const store::Finding& b) {
        return (point - a.center_mm).norm() < (point - b.center_mm).norm();
      });
  return nearest == findings.end() ? nullptr : &*nearest;
}

struct Truth {
  const store::Finding* finding = nullptr;
  Eigen::Vector3d offset_mm = Eigen::Vector3d::Zero();  // along the scan's axes
};

void add_truth(const saliency::Region& region, const Truth& truth, const BagSampling& sampling,
               embedding::RegionBag& bag) {
  const bool known = truth.finding != nullptr;
  const double distance = known ? (region.centre_mm - truth.finding->center_mm).norm() : 0;
  const bool hit = known && saliency::is_hit(region.centre_mm, *truth.finding);
  const bool unclear = known && !hit && distance < sampling.ignore_mm;
  bag.objectness.push_back(hit ? 1 : 0);
  bag.weight.push_back(unclear ? 0 : static_cast<float>(hit ? sampling.positive_weight : 1));
  constexpr double kOffsetReachMm = 12;
  const bool has_geometry = known && distance < kOffsetReachMm;
  bag.geometry_weight.push_back(has_geometry ? 1 : 0);
  bag.offset_mm.push_back(has_geometry ? truth.offset_mm : Eigen::Vector3d(0, 0, 0));
  bag.log_radius.push_back(has_geometry ? static_cast<float>(std::log(std::max(truth.finding->diameter_mm / 2, 0.5)))
                                        : 0);
}

}  // namespace

BagSampler::BagSampler(const LearningSet& set, const ProposedRegions& proposed, BagSampling sampling)
    : set_(set), proposed_(proposed), sampling_(sampling) {
  FOVEA_CHECK(set.studies.size() == proposed.size());
  for (std::size_t s = 0; s < proposed.size(); ++s) {
    if (!set.studies[s].findings_known || proposed[s].empty()) continue;
    (set.studies[s].findings.empty() ? without_ : with_).push_back(s);
  }
}

std::vector<saliency::Region> BagSampler::draw_regions(std::size_t study, network::RandomDraws& random) const {
  const std::vector<saliency::Region>& proposed = proposed_[study];
  std::vector<saliency::Region> regions;
  std::vector<const store::Finding*> findings;
  for (const store::Finding& finding : set_.studies[study].findings) findings.push_back(&finding);
  for (std::size_t n = 0; n < sampling_.findings_max && !findings.empty(); ++n) {
    const std::size_t chosen = random.below(findings.size());
    saliency::Region region;
    region.centre_mm = findings[chosen]->center_mm;
    // Logit and radius of the nearest proposed region stand for the proposer's at this place.
    const auto near =
        std::min_element(proposed.begin(), proposed.end(), [&](const saliency::Region& a, const saliency::Region& b) {
          return (region.centre_mm - a.centre_mm).norm() < (region.centre_mm - b.centre_mm).norm();
        });
    region.logit = near->logit;
    region.radius_mm = near->radius_mm;
    for (double& mm : region.centre_mm) mm += random.uniform(-sampling_.jitter_mm, sampling_.jitter_mm);
    regions.push_back(region);
    findings.erase(findings.begin() + static_cast<std::ptrdiff_t>(chosen));
  }
  while (regions.size() < sampling_.regions) {
    const double place = random.uniform();  // squared below, so that better ranked regions are drawn more often
    saliency::Region region = proposed[std::min(
        static_cast<std::size_t>(place * place * static_cast<double>(proposed.size())), proposed.size() - 1)];
    for (double& mm : region.centre_mm) mm += random.uniform(-2, 2);
    regions.push_back(region);
  }
  return regions;
}

Result<embedding::RegionBag> BagSampler::draw(network::RandomDraws& random) const {
  const bool positive = without_.empty() || (!with_.empty() && random.chance(sampling_.positive_share));
  const std::vector<std::size_t>& from = positive ? with_ : without_;
  const std::size_t index = from[random.below(from.size())];
  const LearningStudy& study = set_.studies[index];
  const volume::VolumeGeometry& geometry = study.prior.grid.geometry;
  const embedding::BodyBox box = embedding::BodyBox::of(study.prior);
  const std::vector<saliency::Region> regions = draw_regions(index, random);

  embedding::RegionBag bag;
  bag.count = static_cast<std::int64_t>(regions.size());
  bag.label = study.label;
  FOVEA_TRY_ASSIGN(bag.crops, embedding::read_regions(*study.scan, regions));
  draw_intensity_change(sampling_.intensity, random).apply(bag.crops);
  for (std::size_t r = 0; r < regions.size(); ++r) {
    const Flips flipped = draw_flips(random);
    flip_cube(std::span(bag.crops).subspan(r * scan_view::kRegionVoxels, scan_view::kRegionVoxels),
              scan_view::kRegionEdge, flipped);
    bag.traits.push_back(embedding::traits_of(regions[r], box, geometry));
    Truth truth{.finding = nearest_finding(regions[r].centre_mm, study.findings)};
    if (truth.finding != nullptr) {
      const Eigen::Vector3d voxels =
          geometry.to_index(truth.finding->center_mm) - geometry.to_index(regions[r].centre_mm);
      truth.offset_mm = voxels.cwiseProduct(geometry.spacing_mm);
      for (unsigned axis = 0; axis < 3; ++axis)
        if (flipped[axis]) truth.offset_mm[axis] *= -1;
    }
    add_truth(regions[r], truth, sampling_, bag);
  }
  return bag;
}

}  // namespace fovea::node::training

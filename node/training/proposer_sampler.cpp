#include "node/training/proposer_sampler.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "common/check.h"
#include "node/saliency/prior.h"
#include "node/scan_view/coarse_view.h"
#include "node/store/pyramid.h"

namespace fovea::node::training {
namespace {

// How one crop is cut: crop index c along an axis is coarse index begin + c, or begin + edge − 1 − c if flipped.
struct Cut {
  volume::Index3 begin{};
  Flips flipped{};
  std::int64_t edge = 0;

  double to_crop(std::size_t axis, double coarse) const noexcept {
    const double at = coarse - static_cast<double>(begin[axis]);
    return flipped[axis] ? static_cast<double>(edge - 1) - at : at;
  }
};

// Raises the heat around a finding to its Gaussian, and sets its radius at its cell. `at` is in cells.
struct Target {
  volume::Point3 at = volume::Point3::Zero();
  double radius_mm = 0;
};
void draw_target(const Target& target, std::int64_t cells, double sigma_cells, std::size_t first,
                 saliency::ProposerBatch& batch) {
  volume::Index3 middle{};
  for (unsigned axis = 0; axis < 3; ++axis) middle[axis] = std::lround(target.at[axis]);
  const auto reach = static_cast<std::int64_t>(std::ceil(3 * sigma_cells));
  for (std::int64_t k = std::max<std::int64_t>(0, middle[2] - reach); k <= std::min(cells - 1, middle[2] + reach); ++k)
    for (std::int64_t j = std::max<std::int64_t>(0, middle[1] - reach); j <= std::min(cells - 1, middle[1] + reach);
         ++j)
      for (std::int64_t i = std::max<std::int64_t>(0, middle[0] - reach); i <= std::min(cells - 1, middle[0] + reach);
           ++i) {
        const auto square = static_cast<double>((i - middle[0]) * (i - middle[0]) + (j - middle[1]) * (j - middle[1]) +
                                                (k - middle[2]) * (k - middle[2]));
        const std::size_t at = first + static_cast<std::size_t>((k * cells + j) * cells + i);
        batch.heat[at] =
            std::max(batch.heat[at], static_cast<float>(std::exp(-square / (2 * sigma_cells * sigma_cells))));
        if (square > 0) continue;
        batch.log_radius[at] = static_cast<float>(std::log(std::max(target.radius_mm, 0.5)));
        batch.radius_weight[at] = 1;
      }
}

}  // namespace

ProposerSampler::ProposerSampler(const LearningSet& set, ProposerSampling sampling) : sampling_(sampling) {
  for (const LearningStudy& study : set.studies) {
    if (!study.findings_known) continue;
    known_.push_back(&study);
    for (const store::Finding& finding : study.findings) findings_.emplace_back(&study, &finding);
  }
}

ProposerSampler::Place ProposerSampler::draw_place(network::RandomDraws& random, bool at_finding) const {
  Place place;
  if (at_finding && !findings_.empty()) {
    const auto& [study, finding] = findings_[random.below(findings_.size())];
    place.study = study;
    place.middle = study->scan->coarse().geometry().to_index(finding->center_mm);
    const double reach = static_cast<double>(sampling_.edge) / 2 - 6;  // the finding stays clear of the crop's border
    for (double& middle : place.middle) middle += random.uniform(-reach, reach);
    return place;
  }
  place.study = known_[random.below(known_.size())];
  const saliency::Prior& prior = place.study->prior;
  std::size_t cell = 0;
  for (int tries = 0; tries < 100; ++tries) {
    cell = random.below(prior.weights.size());
    if (prior.weights[cell] >= 1) break;
  }
  const volume::Index3& size = prior.grid.geometry.size;
  const volume::Index3 index = saliency::cell_index(size, cell);
  for (unsigned axis = 0; axis < 3; ++axis)
    place.middle[axis] = static_cast<double>(index[axis] * saliency::kCellVoxels);
  return place;
}

void ProposerSampler::fill(const Place& place, std::size_t crop, network::RandomDraws& random,
                           saliency::ProposerBatch& batch) const {
  const scan_view::CoarseView& coarse = place.study->scan->coarse();
  Cut cut;
  cut.edge = sampling_.edge;
  for (unsigned axis = 0; axis < 3; ++axis) cut.begin[axis] = std::lround(place.middle[axis]) - sampling_.edge / 2;
  cut.flipped = draw_flips(random);
  const IntensityChange change = draw_intensity_change(sampling_.intensity, random);
  const auto voxels = static_cast<std::size_t>(sampling_.edge * sampling_.edge * sampling_.edge);
  const std::span<float> image = std::span(batch.images).subspan(crop * voxels, voxels);
  coarse.copy_box(cut.begin, {cut.edge, cut.edge, cut.edge}, image);
  flip_cube(image, cut.edge, cut.flipped);
  change.apply(image);

  const std::int64_t cells = sampling_.edge / saliency::kCellVoxels;
  const double sigma_cells =
      sampling_.sigma_mm / (store::kCoarseSpacingMm * static_cast<double>(saliency::kCellVoxels));
  const std::size_t first = crop * static_cast<std::size_t>(cells * cells * cells);
  for (const store::Finding& finding : place.study->findings) {
    const volume::Point3 index = coarse.geometry().to_index(finding.center_mm);
    Target target{.radius_mm = finding.diameter_mm / 2};
    for (unsigned axis = 0; axis < 3; ++axis)
      target.at[axis] = (cut.to_crop(axis, index[axis]) - 0.5) / static_cast<double>(saliency::kCellVoxels);
    if (target.at.minCoeff() > -3 && target.at.maxCoeff() < static_cast<double>(cells + 2))
      draw_target(target, cells, sigma_cells, first, batch);
  }
}

saliency::ProposerBatch ProposerSampler::draw(network::RandomDraws& random) const {
  FOVEA_CHECK(!known_.empty());
  saliency::ProposerBatch batch;
  batch.count = sampling_.crops;
  batch.edge = sampling_.edge;
  const auto crops = static_cast<std::size_t>(sampling_.crops);
  const auto edge = static_cast<std::size_t>(sampling_.edge);
  batch.images.resize(crops * edge * edge * edge);
  const std::size_t cells = crops * edge * edge * edge / 8;
  batch.heat.resize(cells);
  batch.log_radius.resize(cells);
  batch.radius_weight.resize(cells);
  const auto at_findings = static_cast<std::size_t>(std::lround(sampling_.finding_share * static_cast<double>(crops)));
  for (std::size_t crop = 0; crop < crops; ++crop) fill(draw_place(random, crop < at_findings), crop, random, batch);
  return batch;
}

}  // namespace fovea::node::training

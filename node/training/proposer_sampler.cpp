#include "node/training/proposer_sampler.h"

#include <algorithm>
#include <cmath>

namespace fovea::node {
namespace {

// How one crop is cut: crop index c along an axis is coarse index begin + c, or begin + edge − 1 − c if flipped.
struct Cut {
  Index3 begin{};
  std::array<bool, 3> flipped{};
  std::int64_t edge = 0;
  float gain = 1, offset = 0;

  double to_crop(std::size_t axis, double coarse) const noexcept {
    const double at = coarse - static_cast<double>(begin[axis]);
    return flipped[axis] ? static_cast<double>(edge - 1) - at : at;
  }
};

void copy_image(const CoarseView& coarse, const Cut& cut, std::span<float> out) {
  const auto source = [&](std::size_t axis, std::int64_t c) {
    return cut.begin[axis] + (cut.flipped[axis] ? cut.edge - 1 - c : c);
  };
  const auto length = static_cast<std::size_t>(cut.edge);
  for (std::int64_t z = 0; z < cut.edge; ++z)
    for (std::int64_t y = 0; y < cut.edge; ++y) {
      const std::span<float> row = out.subspan(static_cast<std::size_t>(z * cut.edge + y) * length, length);
      coarse.copy_row({cut.begin[0], source(1, y), source(2, z)}, row);
      if (cut.flipped[0]) std::reverse(row.begin(), row.end());
      for (float& value : row) value = value * cut.gain + cut.offset;
    }
}

// Raises the heat around a finding to its Gaussian, and notes its radius at its cell. `at` is in cells.
struct Target {
  Point3 at{};
  double radius_mm = 0;
};
void draw_target(const Target& target, std::int64_t cells, double sigma_cells, std::size_t first,
                 ProposerBatch& batch) {
  Index3 middle{};
  for (std::size_t axis = 0; axis < 3; ++axis) middle[axis] = std::lround(target.at[axis]);
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
    for (const Finding& finding : study.findings) findings_.emplace_back(&study, &finding);
  }
}

ProposerSampler::Place ProposerSampler::draw_place(RandomDraws& random, bool at_finding) const {
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
  const Prior& prior = place.study->prior;
  std::size_t cell = 0;
  for (int tries = 0; tries < 100; ++tries) {
    cell = random.below(prior.weights.size());
    if (prior.weights[cell] >= 1) break;
  }
  const Index3& size = prior.grid.geometry.size;
  const auto at = static_cast<std::int64_t>(cell);
  const Index3 index{at % size[0], at / size[0] % size[1], at / (size[0] * size[1])};
  for (std::size_t axis = 0; axis < 3; ++axis) place.middle[axis] = static_cast<double>(index[axis] * kCellVoxels);
  return place;
}

void ProposerSampler::fill(const Place& place, std::size_t crop, RandomDraws& random, ProposerBatch& batch) const {
  const CoarseView& coarse = place.study->scan->coarse();
  Cut cut;
  cut.edge = sampling_.edge;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    cut.begin[axis] = std::lround(place.middle[axis]) - sampling_.edge / 2;
    cut.flipped[axis] = random.chance(0.5);
  }
  cut.gain = static_cast<float>(1 + random.uniform(-sampling_.gain_spread, sampling_.gain_spread));
  cut.offset = static_cast<float>(random.uniform(-sampling_.offset_spread, sampling_.offset_spread));
  const auto voxels = static_cast<std::size_t>(sampling_.edge * sampling_.edge * sampling_.edge);
  copy_image(coarse, cut, std::span(batch.images).subspan(crop * voxels, voxels));

  const std::int64_t cells = sampling_.edge / kCellVoxels;
  const double sigma_cells = sampling_.sigma_mm / (kCoarseSpacingMm * static_cast<double>(kCellVoxels));
  const std::size_t first = crop * static_cast<std::size_t>(cells * cells * cells);
  for (const Finding& finding : place.study->findings) {
    const Point3 index = coarse.geometry().to_index(finding.center_mm);
    Target target{{}, finding.diameter_mm / 2};
    for (std::size_t axis = 0; axis < 3; ++axis)
      target.at[axis] = (cut.to_crop(axis, index[axis]) - 0.5) / static_cast<double>(kCellVoxels);
    const bool inside = std::all_of(target.at.begin(), target.at.end(),
                                    [&](double at) { return at > -3 && at < static_cast<double>(cells + 2); });
    if (inside) draw_target(target, cells, sigma_cells, first, batch);
  }
}

ProposerBatch ProposerSampler::draw(RandomDraws& random) const {
  FOVEA_CHECK(!known_.empty());
  ProposerBatch batch;
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

}  // namespace fovea::node

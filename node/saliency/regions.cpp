#include "node/saliency/regions.h"

#include <algorithm>
#include <cmath>

#include "common/check.h"
#include "node/network/random_draws.h"

namespace fovea::node::saliency {
namespace {

volume::Point3 centre_of(const volume::VolumeGeometry& geometry, std::size_t cell) {
  const volume::Index3 at = cell_index(geometry.size, cell);
  return geometry.to_point({static_cast<double>(at[0]), static_cast<double>(at[1]), static_cast<double>(at[2])});
}

// The heat's centroid over the cell and its 26 neighbours.
volume::Point3 refined_centre(const volume::VolumeGeometry& geometry, const HeatMap& heat, std::size_t cell) {
  const volume::Index3 at = cell_index(geometry.size, cell);
  double total = 0;
  volume::Point3 sum = volume::Point3::Zero();
  for (std::int64_t k = std::max<std::int64_t>(0, at[2] - 1); k <= std::min(geometry.size[2] - 1, at[2] + 1); ++k)
    for (std::int64_t j = std::max<std::int64_t>(0, at[1] - 1); j <= std::min(geometry.size[1] - 1, at[1] + 1); ++j)
      for (std::int64_t i = std::max<std::int64_t>(0, at[0] - 1); i <= std::min(geometry.size[0] - 1, at[0] + 1); ++i) {
        const double logit = static_cast<double>(heat.logits[geometry.offset(i, j, k)]);
        const double weight = 1 / (1 + std::exp(-logit));
        total += weight;
        sum += weight * volume::Point3(static_cast<double>(i), static_cast<double>(j), static_cast<double>(k));
      }
  if (!(total > 0)) return centre_of(geometry, cell);
  return geometry.to_point(sum / total);
}

Region region_at(const volume::VolumeGeometry& geometry, const HeatMap& heat, std::size_t cell) {
  Region region;
  region.centre_mm = centre_of(geometry, cell);
  region.radius_mm = radius_of_log(heat.log_radius[cell]);
  region.logit = static_cast<double>(heat.logits[cell]);
  return region;
}

bool is_clear(const volume::Point3& point, const std::vector<volume::Point3>& taken, double distance_min_mm) {
  return std::none_of(taken.begin(), taken.end(), [&](const volume::Point3& other) {
    return (point - other).squaredNorm() < distance_min_mm * distance_min_mm;
  });
}

// Independent draws, so a cell's inclusion probability is 1 − (1 − p)^draws.
void explore(const Prior& prior, const HeatMap& heat, double nms_mm, std::size_t draws, network::RandomDraws random,
             std::vector<Region>& regions) {
  const volume::VolumeGeometry& geometry = prior.grid.geometry;
  std::vector<volume::Point3> taken;
  for (const Region& region : regions) taken.push_back(region.centre_mm);
  std::vector<double> cumulative(prior.weights.size());
  double total = 0;
  for (std::size_t cell = 0; cell < cumulative.size(); ++cell) {
    const double weight = static_cast<double>(prior.weights[cell]);
    if (weight > 0 && is_clear(centre_of(geometry, cell), taken, nms_mm)) total += weight;
    cumulative[cell] = total;
  }
  if (!(total > 0)) return;
  for (std::size_t draw = 0; draw < draws; ++draw) {
    const double at = random.uniform(0, total);
    const auto found = std::upper_bound(cumulative.begin(), cumulative.end(), at);
    const auto cell = std::min(static_cast<std::size_t>(found - cumulative.begin()), cumulative.size() - 1);
    Region region = region_at(geometry, heat, cell);
    region.explored = true;
    region.inclusion = 1 - std::pow(1 - static_cast<double>(prior.weights[cell]) / total, static_cast<double>(draws));
    regions.push_back(region);
  }
}

}  // namespace

double radius_of_log(float log_radius) noexcept {
  return std::exp(std::clamp(static_cast<double>(log_radius), -2.0, 4.0));
}

std::vector<Region> suppress_non_maxima(const Prior& prior, const HeatMap& heat, std::size_t count_max, double nms_mm) {
  const volume::VolumeGeometry& geometry = prior.grid.geometry;
  FOVEA_CHECK(heat.logits.size() == prior.weights.size() && heat.log_radius.size() == prior.weights.size());
  std::vector<std::size_t> order;
  for (std::size_t cell = 0; cell < prior.weights.size(); ++cell)
    if (prior.weights[cell] > 0) order.push_back(cell);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return heat.logits[a] != heat.logits[b] ? heat.logits[a] > heat.logits[b] : a < b;
  });
  std::vector<Region> regions;
  std::vector<volume::Point3> taken;
  for (const std::size_t cell : order) {
    if (regions.size() == count_max) break;
    Region region = region_at(geometry, heat, cell);
    if (!is_clear(region.centre_mm, taken, nms_mm)) continue;
    taken.push_back(region.centre_mm);
    region.centre_mm = refined_centre(geometry, heat, cell);
    regions.push_back(region);
  }
  return regions;
}

std::vector<Region> choose_regions(const Prior& prior, const HeatMap& heat, const LookSettings& settings,
                                   std::uint64_t seed) {
  const auto explored = static_cast<std::size_t>(std::lround(settings.exploration * settings.regions));
  const std::size_t ranked = settings.regions - std::min<std::size_t>(explored, settings.regions);
  std::vector<Region> regions = suppress_non_maxima(prior, heat, ranked, settings.nms_mm);
  explore(prior, heat, settings.nms_mm, settings.regions - ranked, network::RandomDraws(seed), regions);
  return regions;
}

}  // namespace fovea::node::saliency

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "node/network/random_draws.h"
#include "node/saliency/hit_rule.h"
#include "node/saliency/prior.h"
#include "node/saliency/regions.h"
#include "node/saliency/tiling.h"
#include "node/scan_view/coarse_view.h"
#include "node/store/findings.h"
#include "node/volume/volume.h"

namespace fovea::node {
namespace {

volume::Volume ball_volume(std::int64_t edge, double radius_voxels) {
  volume::Volume volume;
  volume.geometry.size = {edge, edge + 2, edge - 3};
  volume.geometry.spacing_mm = {2, 2, 2};
  volume.geometry.origin_mm = {-10, 5, 20};
  volume.voxels.assign(volume.geometry.voxel_count(), -4);
  const double middle = static_cast<double>(edge) / 2;
  for (std::int64_t k = 0; k < volume.geometry.size[2]; ++k)
    for (std::int64_t j = 0; j < volume.geometry.size[1]; ++j)
      for (std::int64_t i = 0; i < volume.geometry.size[0]; ++i) {
        const double x = static_cast<double>(i) - middle, y = static_cast<double>(j) - middle,
                     z = static_cast<double>(k) - middle;
        if (x * x + y * y + z * z < radius_voxels * radius_voxels) volume.voxels[volume.geometry.offset(i, j, k)] = 0;
      }
  return volume;
}

TEST(RandomDraws, NeverRepeatBetweenSumsOrSites) {
  std::set<std::uint64_t> seen;
  std::size_t drawn = 0;
  for (std::uint64_t site = 0; site < 4; ++site)
    for (std::uint64_t sum = 1; sum <= 32; ++sum) {
      network::RandomDraws draws = network::draws_of_sum(7, site, sum);
      for (int i = 0; i < 1000; ++i, ++drawn) seen.insert(draws.next());
    }
  EXPECT_EQ(seen.size(), drawn);
  // Multiples of the step as seeds would repeat: sum 9 would draw what sum 1 draws from its eighth draw on.
  network::RandomDraws early(0x9E3779B97F4A7C15U), late(9 * 0x9E3779B97F4A7C15U);
  for (int i = 0; i < 8; ++i) early.next();
  EXPECT_EQ(early.next(), late.next());
}

TEST(CoarseView, KeepsEveryValueToOneStepAndLeavesOutAir) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    network::RandomDraws random(seed);
    volume::Volume volume = ball_volume(20, 5);
    for (float& value : volume.voxels)
      if (value > -4) value = static_cast<float>(random.uniform(-3.9, 4));
    const scan_view::CoarseView view(volume, -4);
    EXPECT_LE(view.bytes(), 2U * 11 * 11 * 11) << "seed " << seed;
    const volume::Index3& size = volume.geometry.size;
    std::vector<float> row(static_cast<std::size_t>(size[0]) + 6);
    for (std::int64_t k = -2; k < size[2] + 2; ++k)
      for (std::int64_t j = -2; j < size[1] + 2; ++j) {
        view.copy_row({-3, j, k}, row);
        for (std::int64_t i = -3; i < size[0] + 3; ++i) {
          const bool inside = i >= 0 && j >= 0 && k >= 0 && i < size[0] && j < size[1] && k < size[2];
          const float expected = inside ? volume.voxels[volume.geometry.offset(i, j, k)] : -4;
          ASSERT_NEAR(row[static_cast<std::size_t>(i + 3)], expected, 4.0 / 32'767)
              << "seed " << seed << ", at " << i << ' ' << j << ' ' << k;
        }
      }
  }
}

TEST(CoarseView, IsEmptyForAirAlone) {
  volume::Volume volume = ball_volume(12, 0);
  const scan_view::CoarseView view(volume, -4);
  EXPECT_EQ(view.bytes(), 0U);
  EXPECT_EQ(view.geometry().size, volume.geometry.size);
  std::vector<float> row(3, 1);
  view.copy_row({2, 2, 2}, row);
  EXPECT_EQ(row, (std::vector<float>{-4, -4, -4}));
}

saliency::Prior open_prior(const volume::Index3& size) {
  saliency::Prior prior;
  prior.grid.geometry.size = size;
  prior.grid.geometry.spacing_mm = {4, 4, 4};
  prior.weights.assign(prior.grid.geometry.voxel_count(), 1);
  return prior;
}

saliency::HeatMap random_heat(const saliency::Prior& prior, std::uint64_t seed) {
  network::RandomDraws random(seed);
  saliency::HeatMap heat{std::vector<float>(prior.weights.size()), std::vector<float>(prior.weights.size(), 1)};
  for (float& logit : heat.logits) logit = static_cast<float>(std::floor(random.uniform(-30, 10)));  // with ties
  return heat;
}

TEST(CoarseView, CopiesABoxAsItsRows) {
  const volume::Volume volume = ball_volume(16, 6);
  const scan_view::CoarseView view(volume, -4);
  const volume::Index3 from{-2, 3, 5}, size{7, 4, 20};  // over three faces
  std::vector<float> box(static_cast<std::size_t>(size[0] * size[1] * size[2]));
  view.copy_box(from, size, box);
  std::vector<float> row(static_cast<std::size_t>(size[0])), rows;
  for (std::int64_t k = 0; k < size[2]; ++k)
    for (std::int64_t j = 0; j < size[1]; ++j) {
      view.copy_row({from[0], from[1] + j, from[2] + k}, row);
      rows.insert(rows.end(), row.begin(), row.end());
    }
  EXPECT_EQ(box, rows);
}

volume::Point3 cell_centre(const saliency::Prior& prior, std::size_t cell) {
  const volume::Index3& size = prior.grid.geometry.size;
  const auto at = static_cast<std::int64_t>(cell);
  return prior.grid.geometry.to_point({static_cast<double>(at % size[0]), static_cast<double>(at / size[0] % size[1]),
                                       static_cast<double>(at / (size[0] * size[1]))});
}

// By definition: the best cell that is left, then everything near it is struck out.
std::vector<double> naive_logits(const saliency::Prior& prior, const saliency::HeatMap& heat, std::size_t count,
                                 double nms_mm) {
  std::vector<bool> struck(prior.weights.size());
  std::vector<double> out;
  while (out.size() < count) {
    std::size_t best = struck.size();
    for (std::size_t cell = 0; cell < struck.size(); ++cell)
      if (!struck[cell] && prior.weights[cell] > 0 && (best == struck.size() || heat.logits[cell] > heat.logits[best]))
        best = cell;
    if (best == struck.size()) break;
    out.push_back(static_cast<double>(heat.logits[best]));
    for (std::size_t cell = 0; cell < struck.size(); ++cell)
      if ((cell_centre(prior, cell) - cell_centre(prior, best)).norm() < nms_mm) struck[cell] = true;
  }
  return out;
}

TEST(Suppression, EqualsTheDefinition) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    saliency::Prior prior = open_prior({7, 9, 6});
    network::RandomDraws random(seed);
    for (float& weight : prior.weights) weight = random.chance(0.2) ? 0 : 1;
    const saliency::HeatMap heat = random_heat(prior, seed);
    const std::vector<saliency::Region> regions = saliency::suppress_non_maxima(prior, heat, 20, 10);
    std::vector<double> logits;
    for (const saliency::Region& region : regions) logits.push_back(region.logit);
    ASSERT_EQ(logits, naive_logits(prior, heat, 20, 10)) << "seed " << seed;
  }
}

TEST(Suppression, FindsNothingInAnEmptyPrior) {
  saliency::Prior prior = open_prior({4, 4, 4});
  std::fill(prior.weights.begin(), prior.weights.end(), 0.0F);
  EXPECT_TRUE(saliency::suppress_non_maxima(prior, random_heat(prior, 1), 8, 10).empty());
  EXPECT_TRUE(saliency::choose_regions(prior, random_heat(prior, 1), {}, 1).empty());
}

TEST(Suppression, MovesCentresTowardsTheHeat) {
  const saliency::Prior prior = open_prior({9, 9, 9});
  saliency::HeatMap heat{std::vector<float>(prior.weights.size(), -20), std::vector<float>(prior.weights.size(), 1)};
  heat.logits[prior.grid.geometry.offset(4, 4, 4)] = 2;
  heat.logits[prior.grid.geometry.offset(5, 4, 4)] = 1.9F;
  const saliency::Region region = saliency::suppress_non_maxima(prior, heat, 1, 10).front();
  EXPECT_NEAR(region.centre_mm[0], 4.5 * 4, 0.2);
  EXPECT_NEAR(region.centre_mm[1], 4 * 4, 0.01);
}

TEST(Exploration, DrawsItsShareAwayFromRankedRegionsWithKnownProbabilities) {
  const saliency::Prior prior = open_prior({20, 20, 20});
  const saliency::HeatMap heat = random_heat(prior, 3);
  const saliency::LookSettings settings{.regions = 32, .exploration = 0.125, .nms_mm = 10};
  const std::vector<saliency::Region> regions = saliency::choose_regions(prior, heat, settings, 5);
  ASSERT_EQ(regions.size(), 32U);
  EXPECT_EQ(
      std::count_if(regions.begin(), regions.end(), [](const saliency::Region& region) { return region.explored; }), 4);
  for (std::size_t r = 0; r < regions.size(); ++r) {
    EXPECT_EQ(regions[r].explored, r >= 28);
    EXPECT_EQ(regions[r].inclusion == 1, !regions[r].explored);
    for (std::size_t other = 0; regions[r].explored && other < 28; ++other)
      EXPECT_GE((regions[r].centre_mm - regions[other].centre_mm).norm(), 10 - 1e-9);
  }
  const std::vector<saliency::Region> again = saliency::choose_regions(prior, heat, settings, 5),
                                      reseeded = saliency::choose_regions(prior, heat, settings, 6);
  EXPECT_EQ(again.back().centre_mm, regions.back().centre_mm);
  EXPECT_NE(reseeded.back().centre_mm, regions.back().centre_mm);
}

// Horvitz–Thompson: dividing by the inclusion probabilities must estimate a total without bias.
TEST(Exploration, InclusionProbabilitiesEstimateTotals) {
  saliency::Prior prior = open_prior({8, 8, 8});
  for (std::size_t cell = 0; cell < prior.weights.size(); ++cell) prior.weights[cell] = cell % 3 == 0 ? 1.0F : 0.25F;
  const saliency::HeatMap heat = random_heat(prior, 9);
  const saliency::LookSettings settings{.regions = 4, .exploration = 1, .nms_mm = 10};
  double estimate = 0;
  constexpr int kRepeats = 4000;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    std::vector<volume::Point3> seen;  // a cell drawn twice is one cell
    for (const saliency::Region& region :
         saliency::choose_regions(prior, heat, settings, static_cast<std::uint64_t>(repeat) * 7919 + 1)) {
      if (std::find(seen.begin(), seen.end(), region.centre_mm) != seen.end()) continue;
      seen.push_back(region.centre_mm);
      estimate += 1 / region.inclusion;
    }
  }
  EXPECT_NEAR(estimate / kRepeats, 512, 12);
}

TEST(HitRule, ReachesTwoMmBeyondTheLargerOfRadiusAndFourMm) {
  const store::Finding small{.center_mm = {1, 2, 3}, .diameter_mm = 3},
      large{.center_mm = {1, 2, 3}, .diameter_mm = 14};
  EXPECT_TRUE(saliency::is_hit({1, 2, 9}, small));
  EXPECT_FALSE(saliency::is_hit({1, 2, 9.01}, small));
  EXPECT_TRUE(saliency::is_hit({10, 2, 3}, large));
  EXPECT_FALSE(saliency::is_hit({10.01, 2, 3}, large));
}

TEST(Prior, IsTheFilledBodyAndAMarginAroundIt) {
  volume::Volume volume = ball_volume(40, 15);
  volume.voxels[volume.geometry.offset(20, 20, 20)] = -4;  // a hole
  volume.voxels[volume.geometry.offset(1, 1, 1)] = 0;      // a speck outside
  const saliency::Prior prior = saliency::body_prior(scan_view::CoarseView(volume, -4), {.air = -4, .body = -1});
  const volume::VolumeGeometry& grid = prior.grid.geometry;
  EXPECT_EQ(grid.size, (volume::Index3{20, 21, 19}));
  EXPECT_EQ(prior.weights[grid.offset(10, 10, 10)], 1);
  EXPECT_EQ(prior.weights[grid.offset(0, 0, 0)], 0);
  EXPECT_EQ(prior.weights[grid.offset(1, 10, 10)], saliency::kMarginPrior);
  EXPECT_EQ(prior.weights[grid.offset(2, 10, 10)], saliency::kMarginPrior);
  EXPECT_EQ(prior.weights[grid.offset(0, 10, 10)], 0);
  // A cell's centre is the middle of its voxels.
  const volume::Point3 cell = grid.to_point({3, 4, 5}), voxels = volume.geometry.to_point({6.5, 8.5, 10.5});
  for (unsigned axis = 0; axis < 3; ++axis) EXPECT_NEAR(cell[axis], voxels[axis], 1e-9);
}

TEST(Prior, CoversTheWholeScanWhenThereIsNoBody) {
  const saliency::Prior prior =
      saliency::body_prior(scan_view::CoarseView(ball_volume(20, 0), -4), {.air = -4, .body = -1});
  EXPECT_TRUE(std::all_of(prior.weights.begin(), prior.weights.end(), [](float weight) { return weight == 1; }));
}

TEST(Tiling, OwnsEveryPositionExactlyOnce) {
  for (std::int64_t begin = 0; begin < 20; ++begin)
    for (std::int64_t length = 1; length < 300; ++length) {
      const saliency::TileSettings settings{.edge_max = 64, .overlap = 16, .step = 8};
      const saliency::AxisTiles axis = saliency::tile_axis(begin, begin + length, settings);
      ASSERT_LE(axis.edge, settings.edge_max);
      ASSERT_EQ(axis.edge % settings.step, 0);
      std::int64_t next = begin / 8 * 8;
      for (const saliency::AxisTiles::Tile& tile : axis.tiles) {
        ASSERT_EQ(tile.own_begin, next) << begin << " " << length;
        ASSERT_GE(tile.own_begin, tile.begin);
        ASSERT_LE(tile.own_end, tile.begin + axis.edge);
        ASSERT_EQ(tile.begin % 8, 0);
        next = tile.own_end;
      }
      ASSERT_EQ(next, begin + length);
    }
}

}  // namespace
}  // namespace fovea::node

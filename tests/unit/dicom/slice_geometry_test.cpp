// The grid of a series from where its slices lie: tilted, uneven and oblique stacks, and positions that no scanner
// gives (found by the fuzz target slice_places as numbers that no integer holds).
#include "node/intake/dicom/slice_geometry.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/scans.h"

namespace fovea::node {
namespace {

std::vector<intake::SlicePlace> stack_at(const std::vector<volume::Point3>& positions) {
  std::vector<intake::SlicePlace> out;
  for (const volume::Point3& position : positions)
    out.push_back({.rows = 4,
                   .columns = 3,
                   .row_spacing_mm = 1,
                   .column_spacing_mm = 2,
                   .row_direction = {1, 0, 0},
                   .column_direction = {0, 1, 0},
                   .position_mm = position,
                   .thickness_mm = 2});
  return out;
}

TEST(SliceGeometry, PlacesAKilometreAwayAreRefused) {
  EXPECT_TRUE(intake::stack_slices(stack_at({{0, 0, 999'990}, {0, 0, 999'992}, {0, 0, 999'994}})));
  for (const std::vector<volume::Point3>& positions :
       {std::vector<volume::Point3>{{0, 0, 0}, {0, 0, 2}, {0, 0, 3.04e199}},
        std::vector<volume::Point3>{{0, 0, 0}, {5e299, 0, 1e300}},
        std::vector<volume::Point3>{{0, -2e6, 0}, {0, 0, 2}}}) {
    const auto stack = intake::stack_slices(stack_at(positions));
    ASSERT_FALSE(stack);
    EXPECT_NE(stack.error().message.find("a kilometre away"), std::string::npos) << stack.error().message;
  }
}

// Slices of a value that is linear in patient millimetres: resampling must give back exactly that, wherever it gives
// anything.
void expect_linear(const std::vector<volume::Point3>& positions, const std::vector<double>& thickness,
                   const volume::Index3& size, double distance_mm) {
  const Eigen::Matrix3d direction = turned(25, -40);
  const auto value = [](const volume::Point3& p) { return 3 * p[0] - 2 * p[1] + 5 * p[2]; };
  std::vector<intake::SlicePlace> slices;
  std::vector<float> voxels;
  for (std::size_t s = 0; s < positions.size(); ++s) {
    intake::SlicePlace place{.rows = 20,
                             .columns = 30,
                             .row_spacing_mm = 0.7,
                             .column_spacing_mm = 0.9,
                             .row_direction = direction.col(0),
                             .column_direction = direction.col(1),
                             .position_mm = direction * positions[s],
                             .thickness_mm = thickness[s]};
    slices.push_back(place);
    for (std::int64_t j = 0; j < 20; ++j)
      for (std::int64_t i = 0; i < 30; ++i) {
        const volume::Point3 at = place.position_mm + 0.9 * static_cast<double>(i) * place.row_direction +
                                  0.7 * static_cast<double>(j) * place.column_direction;
        voxels.push_back(static_cast<float>(value(at)));
      }
  }
  const Result<intake::StackedSlices> stack = intake::stack_slices(slices);
  ASSERT_TRUE(stack) << stack.error().message;
  ASSERT_TRUE(stack->resampling);
  EXPECT_EQ(stack->geometry.size, size);
  EXPECT_NEAR(stack->geometry.spacing_mm[2], distance_mm, 1e-9);
  std::vector<float> out(stack->geometry.voxel_count());
  intake::resample_slices(*stack, 30, 20, voxels, out);
  std::size_t known = 0;
  for (std::int64_t k = 0; k < size[2]; ++k)
    for (std::int64_t j = 0; j < size[1]; ++j)
      for (std::int64_t i = 0; i < size[0]; ++i) {
        const float got = out[stack->geometry.offset(i, j, k)];
        if (std::isnan(got)) continue;
        ++known;
        ASSERT_NEAR(
            static_cast<double>(got),
            value(stack->geometry.to_point({static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)})),
            2e-3);
      }
  EXPECT_GE(known, 30u * 19u * positions.size() * 8 / 10);
}

TEST(StackSlices, ATiltedStackIsShearedBack) {
  // 0.5 mm along the columns' direction for each 2 mm: 14°; 4.5 mm are 6.4 rows.
  std::vector<volume::Point3> positions;
  for (int s = 0; s < 10; ++s) positions.push_back({0, 0.5 * s, 2.0 * s});
  expect_linear(positions, std::vector<double>(10, 2.0), {30, 27, 10}, 2);
  for (volume::Point3& p : positions) p = {-p[1], 0, p[2]};  // the other way, along the rows
  expect_linear(positions, std::vector<double>(10, 2.0), {35, 20, 10}, 2);
}

TEST(StackSlices, UnevenDistancesAreResampledWhereSlicesAreThickEnough) {
  std::vector<volume::Point3> positions;
  std::vector<double> thickness;
  double z = 0;
  for (int s = 0; s < 16; ++s) {
    positions.push_back({0, 0.2 * z, z});
    thickness.push_back(s < 8 ? 4.0 : 7.0);
    z += s < 7 ? 4.0 : s == 7 ? 1.08 : 7.0;
  }
  expect_linear(positions, thickness, {30, 43, 20}, 4);
  std::vector<intake::SlicePlace> bare;
  for (const volume::Point3& p : positions)
    bare.push_back({.rows = 20,
                    .columns = 30,
                    .row_spacing_mm = 0.7,
                    .column_spacing_mm = 0.9,
                    .row_direction = {1, 0, 0},
                    .column_direction = {0, 1, 0},
                    .position_mm = {0, 0, p[2]}});
  EXPECT_NE(intake::stack_slices(bare).error().message.find("unknown thickness"), std::string::npos);
}

TEST(StackSlices, ObliqueStacksFromAnySideGiveTheSameGrid) {
  const Eigen::Matrix3d direction = turned(25, -40);
  std::vector<intake::SlicePlace> slices;
  for (int s = 0; s < 12; ++s) {
    intake::SlicePlace place{.rows = 20,
                             .columns = 30,
                             .row_spacing_mm = 0.7,
                             .column_spacing_mm = 0.9,
                             .row_direction = direction.col(0),
                             .column_direction = direction.col(1),
                             .position_mm = volume::Point3::Constant(5) + direction.col(2) * 1.3 * s};
    slices.push_back(place);
  }
  const Result<intake::StackedSlices> forward = intake::stack_slices(slices);
  std::reverse(slices.begin(), slices.end());
  const Result<intake::StackedSlices> backward = intake::stack_slices(slices);
  ASSERT_TRUE(forward && backward);
  EXPECT_NEAR(forward->geometry.spacing_mm[2], 1.3, 1e-9);
  EXPECT_EQ(forward->geometry.size, (volume::Index3{30, 20, 12}));
  for (unsigned a = 0; a < 3; ++a) EXPECT_NEAR(forward->geometry.origin_mm[a], backward->geometry.origin_mm[a], 1e-9);
  EXPECT_EQ(backward->order.front(), 11u);
}

}  // namespace
}  // namespace fovea::node

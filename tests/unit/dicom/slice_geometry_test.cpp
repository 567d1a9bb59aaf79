// Slices that lie where no scanner puts them: found by the fuzz target slice_places as numbers that no integer holds.
#include "node/intake/dicom/slice_geometry.h"

#include <gtest/gtest.h>

namespace fovea::node {
namespace {

std::vector<SlicePlace> stack_at(const std::vector<Point3>& positions) {
  std::vector<SlicePlace> out;
  for (const Point3& position : positions)
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
  EXPECT_TRUE(stack_slices(stack_at({{0, 0, 999'990}, {0, 0, 999'992}, {0, 0, 999'994}})));
  for (const std::vector<Point3>& positions :
       {std::vector<Point3>{{0, 0, 0}, {0, 0, 2}, {0, 0, 3.04e199}}, std::vector<Point3>{{0, 0, 0}, {5e299, 0, 1e300}},
        std::vector<Point3>{{0, -2e6, 0}, {0, 0, 2}}}) {
    const auto stack = stack_slices(stack_at(positions));
    ASSERT_FALSE(stack);
    EXPECT_NE(stack.error().message.find("a kilometre away"), std::string::npos) << stack.error().message;
  }
}

}  // namespace
}  // namespace fovea::node

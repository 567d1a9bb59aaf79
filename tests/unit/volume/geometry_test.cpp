// Points, directions and grids against the textbook's formulas on plain arrays, summed from left to right. Equal to the
// last bit: stored grids, and the embeddings made from them, must not depend on the order in which Eigen adds up.
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#include <gtest/gtest.h>
#include <Eigen/Geometry>

#include "node/volume/canonical.h"
#include "node/volume/volume.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

constexpr std::uint64_t kSeed = 20'260'611;
constexpr int kDraws = 100'000;

using Triple = std::array<double, 3>;
using Rows = std::array<Triple, 3>;  // [row][column]

double dot(const Triple& a, const Triple& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
double length(const Triple& a) { return std::sqrt(dot(a, a)); }
Triple minus(const Triple& a, const Triple& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
Triple cross(const Triple& a, const Triple& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
Triple column(const Rows& m, std::size_t a) { return {m[0][a], m[1][a], m[2][a]}; }

// A grid as plain numbers.
struct NaiveGrid {
  Triple spacing{}, origin{};
  Rows direction{};

  Triple to_point(const Triple& index) const {
    Triple out = origin;
    for (std::size_t row = 0; row < 3; ++row)
      for (std::size_t axis = 0; axis < 3; ++axis) out[row] += direction[row][axis] * spacing[axis] * index[axis];
    return out;
  }
  Triple to_index(const Triple& point) const {
    Triple out{};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      double along = 0;
      for (std::size_t row = 0; row < 3; ++row) along += direction[row][axis] * (point[row] - origin[row]);
      out[axis] = along / spacing[axis];
    }
    return out;
  }
};

// Gram-Schmidt on the columns.
Rows orthonormal(Rows m) {
  for (std::size_t a = 0; a < 3; ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      const double along = dot(column(m, a), column(m, b));
      for (std::size_t row = 0; row < 3; ++row) m[row][a] -= along * m[row][b];
    }
    const double norm = length(column(m, a));
    for (std::size_t row = 0; row < 3; ++row) m[row][a] /= norm;
  }
  return m;
}

Eigen::Vector3d eigen(const Triple& a) { return Eigen::Vector3d(a.data()); }
Eigen::Matrix3d eigen(const Rows& m) {
  Eigen::Matrix3d out;
  out << m[0][0], m[0][1], m[0][2], m[1][0], m[1][1], m[1][2], m[2][0], m[2][1], m[2][2];
  return out;
}

// Of any size and sign; zeros of both signs among them, for a sum that starts at +0 may not end at -0.
double any_number(Numbers& numbers) {
  if (numbers.below(12) == 0) return numbers.below(2) == 0 ? 0.0 : -0.0;
  const double sign = numbers.below(2) == 0 ? 1 : -1;
  return sign * (0.1 + numbers.unit()) * std::pow(10.0, static_cast<double>(numbers.below(9)) - 4);
}
Triple any_triple(Numbers& numbers) { return {any_number(numbers), any_number(numbers), any_number(numbers)}; }

bool same(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b); }
bool same(const Eigen::Vector3d& a, const Triple& b) {
  return same(a[0], b[0]) && same(a[1], b[1]) && same(a[2], b[2]);
}
bool same(const Eigen::Matrix3d& a, const Rows& b) {
  return same(a.col(0), column(b, 0)) && same(a.col(1), column(b, 1)) && same(a.col(2), column(b, 2));
}

TEST(VolumeGeometry, MapsAddUpInTheirWrittenOrder) {
  Numbers numbers(kSeed);
  for (int draw = 0; draw < kDraws; ++draw) {
    NaiveGrid naive{any_triple(numbers), any_triple(numbers), {}};
    for (Triple& row : naive.direction) row = any_triple(numbers);
    for (double& mm : naive.spacing) mm = 0.01 + 50 * numbers.unit();
    volume::VolumeGeometry grid;
    grid.spacing_mm = eigen(naive.spacing);
    grid.origin_mm = eigen(naive.origin);
    grid.direction = eigen(naive.direction);
    const Triple at = any_triple(numbers);
    ASSERT_TRUE(same(grid.to_point(eigen(at)), naive.to_point(at))) << "seed " << kSeed << " draw " << draw;
    ASSERT_TRUE(same(grid.to_index(eigen(at)), naive.to_index(at))) << "seed " << kSeed << " draw " << draw;
  }
}

TEST(VolumeGeometry, ProductsAndLengthsAreTheTextbooks) {
  Numbers numbers(kSeed + 1);
  for (int draw = 0; draw < kDraws; ++draw) {
    const Triple a = any_triple(numbers), b = any_triple(numbers), c = any_triple(numbers);
    const Rows m{a, b, c};
    const Eigen::Vector3d x = eigen(a), y = eigen(b);
    const Eigen::Matrix3d columns = eigen(m);
    ASSERT_TRUE(same(x.dot(y), dot(a, b))) << "seed " << kSeed << " draw " << draw;
    ASSERT_TRUE(same(columns.col(0).dot(columns.col(2)), dot(column(m, 0), column(m, 2)))) << "draw " << draw;
    ASSERT_TRUE(same(x.squaredNorm(), dot(a, a))) << "seed " << kSeed << " draw " << draw;
    ASSERT_TRUE(same((x - y).squaredNorm(), dot(minus(a, b), minus(a, b)))) << "draw " << draw;
    ASSERT_TRUE(same((x - y).norm(), length(minus(a, b)))) << "seed " << kSeed << " draw " << draw;
    ASSERT_TRUE(same(columns.col(1).norm(), length(column(m, 1)))) << "seed " << kSeed << " draw " << draw;
    ASSERT_TRUE(same(x.cross(y), cross(a, b))) << "seed " << kSeed << " draw " << draw;
    ASSERT_TRUE(same(x.prod(), a[0] * a[1] * a[2])) << "seed " << kSeed << " draw " << draw;
  }
}

TEST(VolumeGeometry, NearlyOrthonormalDirectionsComeOutAsGramAndSchmidtSay) {
  Numbers numbers(kSeed + 2);
  for (int draw = 0; draw < kDraws; ++draw) {
    const Eigen::Matrix3d turn = turned(360 * numbers.unit(), 360 * numbers.unit());
    NaiveGrid naive{{0.8, 1.1, 2.5}, {-40.25, 12.5, 103}, {}};
    for (unsigned row = 0; row < 3; ++row)
      for (unsigned axis = 0; axis < 3; ++axis)
        naive.direction[row][axis] = turn(row, axis) + 2e-4 * (numbers.unit() - 0.5);
    volume::VolumeGeometry grid;
    grid.size = {9, 11, 7};
    grid.spacing_mm = eigen(naive.spacing);
    grid.origin_mm = eigen(naive.origin);
    grid.direction = eigen(naive.direction);
    const Result<volume::VolumeGeometry> checked = volume::checked_geometry(grid);
    ASSERT_TRUE(checked) << checked.error().message;
    naive.direction = orthonormal(naive.direction);
    ASSERT_TRUE(same(checked->direction, naive.direction)) << "seed " << kSeed << " draw " << draw;

    const volume::CanonicalOrder order = volume::canonical_order(*checked);
    const volume::VolumeGeometry canonical = volume::reordered(*checked, order);
    Triple corner{};
    for (unsigned axis = 0; axis < 3; ++axis) {
      const unsigned from = order.source_axis[axis];
      Triple along = column(naive.direction, from);
      if (order.flipped[axis]) {
        for (double& value : along) value = -value;
        corner[from] = static_cast<double>(grid.size[from] - 1);
      }
      ASSERT_TRUE(same(canonical.direction.col(axis), along)) << "seed " << kSeed << " draw " << draw;
    }
    ASSERT_TRUE(same(canonical.origin_mm, naive.to_point(corner))) << "seed " << kSeed << " draw " << draw;
  }
}

TEST(VolumeGeometry, BeginsAsAUnitGridAtZero) {
  const volume::VolumeGeometry grid{}, other;
  EXPECT_EQ(grid.origin_mm, volume::Point3(0, 0, 0));
  EXPECT_EQ(grid.spacing_mm, Eigen::Vector3d(1, 1, 1));
  EXPECT_EQ(grid.direction, Eigen::Matrix3d::Identity());
  EXPECT_EQ(grid, other);
  const volume::Point3 unset{};  // by EIGEN_INITIALIZE_MATRICES_BY_ZERO, which comes with the library's target
  EXPECT_EQ(unset, volume::Point3(0, 0, 0));
}

}  // namespace
}  // namespace fovea::node

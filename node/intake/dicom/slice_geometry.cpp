#include "node/intake/dicom/slice_geometry.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>
#include <string>

#include <Eigen/Geometry>

#include "node/volume/canonical.h"

namespace fovea::node::intake {
namespace {

constexpr double kDirectionTolerance = 1e-3;
constexpr double kSamePlaceMm = 0.01;
constexpr double kGapTolerance = 0.05;  // of the usual distance: rounded positions, not another distance
constexpr double kLeanMax = 0.01;       // in-plane drift per mm along the normal: half a degree
constexpr double kCoverageMax = 1.25;   // of the slices' thickness: a distance that leaves no gap
constexpr double kPlaceMaxMm = 1e6;     // a kilometre from the scanner: a damaged header; keeps indices within integers
constexpr double kJumpMaxMm = 1;        // off a straight line through the first voxels

std::string mm(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f mm", value);
  return text;
}

bool same_direction(const Eigen::Vector3d& a, const Eigen::Vector3d& b) {
  return (a - b).norm() <= kDirectionTolerance;
}

Result<void> check_alike(std::span<const SlicePlace> slices) {
  const SlicePlace& first = slices.front();
  for (const SlicePlace& slice : slices) {
    if (!slice.row_direction.allFinite() || !slice.column_direction.allFinite() || !slice.position_mm.allFinite())
      return invalid_argument("slice position or orientation: not a number");
    if (slice.position_mm.cwiseAbs().maxCoeff() > kPlaceMaxMm)
      return invalid_argument("slice position: more than a kilometre away (a damaged header? export the series again)");
    if (slice.rows != first.rows || slice.columns != first.columns)
      return invalid_argument("slices of different sizes in one series (" + std::to_string(first.columns) + "×" +
                              std::to_string(first.rows) + " and " + std::to_string(slice.columns) + "×" +
                              std::to_string(slice.rows) + ", a localizer?); send each stack as a series of its own");
    if (!(std::abs(slice.row_spacing_mm - first.row_spacing_mm) <= 1e-3 &&
          std::abs(slice.column_spacing_mm - first.column_spacing_mm) <= 1e-3))
      return invalid_argument(
          "slices of different pixel spacing in one series; send each stack as a series of its own");
    if (!same_direction(slice.row_direction, first.row_direction) ||
        !same_direction(slice.column_direction, first.column_direction))
      return invalid_argument(
          "slices of different orientation in one series (a localizer?); send each stack as a series of its own");
  }
  if (std::abs(first.row_direction.norm() - 1) > kDirectionTolerance ||
      std::abs(first.column_direction.norm() - 1) > kDirectionTolerance ||
      std::abs(first.row_direction.dot(first.column_direction)) > kDirectionTolerance)
    return invalid_argument("image orientation: the two directions are not of length 1 at right angles");
  return {};
}

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::string between(std::size_t gap, std::size_t slices) {
  return "between slices " + std::to_string(gap + 1) + " and " + std::to_string(gap + 2) + " of " +
         std::to_string(slices);
}

// Why slices that are not evenly spaced cannot be used; thickness[gap] is the mean of its two slices', or 0.
Result<void> check_coverage(const std::vector<double>& gaps, const std::vector<double>& thickness) {
  const double usual = median_of(gaps);
  const auto [least, most] = std::minmax_element(gaps.begin(), gaps.end());
  for (std::size_t k = 0; k < gaps.size(); ++k) {
    const bool is_covered = thickness[k] > 0 && gaps[k] <= kCoverageMax * thickness[k];
    if (is_covered || std::abs(gaps[k] - usual) <= kGapTolerance * usual) continue;
    const double times = gaps[k] / usual;
    if (std::round(times) >= 2 && std::abs(times - std::round(times)) <= kGapTolerance &&
        *least >= (1 - kGapTolerance) * usual)
      return invalid_argument("a gap of " + mm(gaps[k]) + " instead of " + mm(usual) + " " +
                              between(k, gaps.size() + 1) + ": slices are missing; send the whole series again");
    return invalid_argument("the distance between slices changes from " + mm(*least) + " to " + mm(*most) +
                            ", and slices " +
                            (thickness[k] > 0 ? mm(thickness[k]) + " thick" : std::string("of unknown thickness")) +
                            " leave a gap " + between(k, gaps.size() + 1) + "; send a reconstruction with even slices");
  }
  return {};
}

// Whether the slices lie at even distances, rounding apart: small errors of one sign would add up.
bool is_even(const std::vector<double>& along, const std::vector<double>& gaps) {
  const double usual = median_of(gaps), mean = along.back() / static_cast<double>(gaps.size());
  for (const double gap : gaps)
    if (std::abs(gap - usual) > kGapTolerance * usual) return false;
  for (std::size_t k = 0; k < along.size(); ++k)
    if (std::abs(along[k] - mean * static_cast<double>(k)) > 0.1 * mean + 0.05) return false;
  return true;
}

// The slices of a stack along and beside its normal, in order.
struct Offsets {
  std::vector<double> along, columns, rows;  // mm from the first slice; along the rows' direction, along the columns'
};

// Of the slices of the result, and whether it is that of the slices given.
struct SliceDistance {
  double mm = 0;
  bool is_even = true;
};
Result<SliceDistance> slice_distance(const Offsets& offsets, const std::vector<double>& thickness) {
  std::vector<double> gaps;
  for (std::size_t k = 1; k < offsets.along.size(); ++k) {
    gaps.push_back(offsets.along[k] - offsets.along[k - 1]);
    if (gaps.back() < kSamePlaceMm)
      return invalid_argument(
          "slices " + std::to_string(k) + " and " + std::to_string(k + 1) + " of " +
          std::to_string(offsets.along.size()) +
          " lie in the same place (several echoes, times or copies in one series); send each as a series of its own");
  }
  if (is_even(offsets.along, gaps)) return SliceDistance{offsets.along.back() / static_cast<double>(gaps.size()), true};
  FOVEA_TRY(check_coverage(gaps, thickness));
  const auto tenth = static_cast<std::ptrdiff_t>((gaps.size() - 1) / 10);
  std::nth_element(gaps.begin(), gaps.begin() + tenth, gaps.end());
  return SliceDistance{gaps[static_cast<std::size_t>(tenth)], false};
}

// A stack may lean, as under a tilted gantry, but on one straight line.
Result<bool> leans(const Offsets& offsets) {
  const double height = offsets.along.back();
  double lean_mm = 0, jump_mm = 0;
  for (std::size_t k = 0; k < offsets.along.size(); ++k) {
    lean_mm = std::max(lean_mm, std::hypot(offsets.columns[k], offsets.rows[k]));
    const double share = offsets.along[k] / height;
    jump_mm = std::max(jump_mm, std::hypot(offsets.columns[k] - share * offsets.columns.back(),
                                           offsets.rows[k] - share * offsets.rows.back()));
  }
  if (jump_mm > kJumpMaxMm)
    return invalid_argument("the slices jump sideways by " + mm(jump_mm) +
                            " (several stacks in one series?); send each stack as a series of its own");
  if (lean_mm > height)
    return invalid_argument("the slices drift sideways by " + mm(lean_mm) + " over " + mm(height) +
                            ", more than any gantry tilts; send a reconstruction at right angles");
  return lean_mm > 0.1 + kLeanMax * height;
}

// Sets the grid to hold every slice, and the slices' places in it.
void place_slices(const Offsets& offsets, bool leaning, StackedSlices& out) {
  volume::VolumeGeometry& geometry = out.geometry;
  SlicePositions& places = out.resampling.emplace();
  std::array<double, 2> low{}, high{};
  for (std::size_t k = 0; k < offsets.along.size(); ++k) {
    places.along.push_back(offsets.along[k] / geometry.spacing_mm[2]);
    places.in_plane.push_back({leaning ? offsets.columns[k] / geometry.spacing_mm[0] : 0,
                               leaning ? offsets.rows[k] / geometry.spacing_mm[1] : 0});
    for (std::size_t axis = 0; axis < 2; ++axis) {
      double& at = places.in_plane.back()[axis];
      if (std::abs(at) < 1e-3) at = 0;  // rounding of positions must not add a column
      low[axis] = std::min(low[axis], at);
      high[axis] = std::max(high[axis], at);
    }
  }
  volume::Point3 corner = volume::Point3::Zero();
  for (unsigned axis = 0; axis < 2; ++axis) {
    corner[axis] = std::floor(low[axis]);
    geometry.size[axis] += static_cast<std::int64_t>(std::ceil(high[axis]) - corner[axis]);
    for (auto& place : places.in_plane) place[axis] -= corner[axis];
  }
  geometry.size[2] = static_cast<std::int64_t>(std::floor(places.along.back() + 1e-6)) + 1;
  geometry.origin_mm = geometry.to_point(corner);
}

// Linear between the four neighbours of a place within a slice; NaN outside.
float sample(const float* slice, std::int64_t columns, std::int64_t rows, double column, double row) {
  constexpr float kNothing = std::numeric_limits<float>::quiet_NaN();
  constexpr double kRounding = 1e-6;
  if (!(column >= -kRounding && row >= -kRounding && column <= static_cast<double>(columns - 1) + kRounding &&
        row <= static_cast<double>(rows - 1) + kRounding))
    return kNothing;
  const auto i = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(column + kRounding)), 0, columns - 1);
  const auto j = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(row + kRounding)), 0, rows - 1);
  const auto u = static_cast<float>(column - static_cast<double>(i)),
             v = static_cast<float>(row - static_cast<double>(j));
  const auto at = [&](std::int64_t a, std::int64_t b) { return slice[b * columns + a]; };
  // Weight 0 times NaN would be NaN: a neighbour without a share is not read at all.
  const bool two_i = std::abs(u) > 1e-5f, two_j = std::abs(v) > 1e-5f;
  const float near = two_i ? at(i, j) * (1 - u) + at(i + 1, j) * u : at(i, j);
  if (!two_j) return near;
  return near * (1 - v) + (two_i ? at(i, j + 1) * (1 - u) + at(i + 1, j + 1) * u : at(i, j + 1)) * v;
}

}  // namespace

Result<StackedSlices> stack_slices(std::span<const SlicePlace> slices) {
  if (slices.size() < 2) return invalid_argument("a single slice is not a volume: send the whole series");
  FOVEA_TRY(check_alike(slices));
  const SlicePlace& any = slices.front();
  const Eigen::Vector3d normal = any.row_direction.cross(any.column_direction);
  StackedSlices out;
  out.order.resize(slices.size());
  std::iota(out.order.begin(), out.order.end(), std::size_t{0});
  std::stable_sort(out.order.begin(), out.order.end(), [&](std::size_t a, std::size_t b) {
    return slices[a].position_mm.dot(normal) < slices[b].position_mm.dot(normal);
  });
  const volume::Point3 origin = slices[out.order.front()].position_mm;
  Offsets offsets;
  std::vector<double> thickness;
  for (std::size_t k = 0; k < out.order.size(); ++k) {
    const SlicePlace& slice = slices[out.order[k]];
    const Eigen::Vector3d offset = slice.position_mm - origin;
    offsets.along.push_back(offset.dot(normal));
    offsets.columns.push_back(offset.dot(any.row_direction));
    offsets.rows.push_back(offset.dot(any.column_direction));
    if (k == 0) continue;
    const double before = slices[out.order[k - 1]].thickness_mm;
    thickness.push_back(before > 0 && slice.thickness_mm > 0 ? 0.5 * (before + slice.thickness_mm) : 0);
  }
  FOVEA_TRY_ASSIGN(const SliceDistance distance, slice_distance(offsets, thickness));
  FOVEA_TRY_ASSIGN(const bool leaning, leans(offsets));
  volume::VolumeGeometry& geometry = out.geometry;
  geometry.size = {any.columns, any.rows, static_cast<std::int64_t>(slices.size())};
  geometry.spacing_mm = {any.column_spacing_mm, any.row_spacing_mm, distance.mm};
  geometry.origin_mm = origin;
  geometry.direction << any.row_direction, any.column_direction, normal;
  FOVEA_TRY_ASSIGN(geometry, volume::checked_geometry(geometry));
  if (leaning || !distance.is_even) {
    place_slices(offsets, leaning, out);
    FOVEA_TRY_ASSIGN(geometry, volume::checked_geometry(geometry));
  }
  return out;
}

void resample_slices(const StackedSlices& stack, std::int64_t columns, std::int64_t rows, std::span<const float> from,
                     std::span<float> out) {
  const volume::VolumeGeometry& geometry = stack.geometry;
  const SlicePositions& places = *stack.resampling;
  const auto plane = static_cast<std::size_t>(columns * rows);
  std::size_t upper = 0;
  for (std::int64_t k = 0; k < geometry.size[2]; ++k) {
    const auto z = static_cast<double>(k);
    while (upper + 1 < places.along.size() && places.along[upper] < z - 1e-6) ++upper;
    const std::size_t lower = upper > 0 && places.along[upper] > z + 1e-6 ? upper - 1 : upper;
    const double gap = places.along[upper] - places.along[lower];
    const float share = gap > 0 ? static_cast<float>((z - places.along[lower]) / gap) : 0;
    for (std::int64_t j = 0; j < geometry.size[1]; ++j)
      for (std::int64_t i = 0; i < geometry.size[0]; ++i) {
        const auto value = [&](std::size_t s) {
          return sample(from.data() + s * plane, columns, rows, static_cast<double>(i) - places.in_plane[s][0],
                        static_cast<double>(j) - places.in_plane[s][1]);
        };
        out[geometry.offset(i, j, k)] = lower == upper ? value(upper)
                                                       : value(lower) * (1 - share) + value(upper) * share;
      }
  }
}

}  // namespace fovea::node::intake

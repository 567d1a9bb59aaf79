#include "node/intake/slice_geometry.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <string>

#include "node/intake/canonical.h"

namespace fovea::node {
namespace {

constexpr double kDirectionTolerance = 1e-3;
constexpr double kSamePlaceMm = 0.01;
constexpr double kGapTolerance = 0.05;   // of the usual distance: rounded positions, not another distance
constexpr double kLeanMax = 0.01;        // in-plane drift per mm along the normal: half a degree

double dot(const Point3& a, const Point3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
Point3 cross(const Point3& a, const Point3& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
Point3 minus(const Point3& a, const Point3& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
double length(const Point3& a) { return std::sqrt(dot(a, a)); }

std::string mm(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f mm", value);
  return text;
}

bool same_direction(const Point3& a, const Point3& b) { return length(minus(a, b)) <= kDirectionTolerance; }

Result<void> check_alike(std::span<const SlicePlace> slices) {
  const SlicePlace& first = slices.front();
  for (const SlicePlace& slice : slices) {
    for (const Point3* vector : {&slice.row_direction, &slice.column_direction, &slice.position_mm})
      for (const double value : *vector)
        if (!std::isfinite(value)) return invalid_argument("slice position or orientation: not a number");
    if (slice.rows != first.rows || slice.columns != first.columns)
      return invalid_argument("slices of different sizes in one series (" + std::to_string(first.columns) + "×" + std::to_string(first.rows) + " and " +
                              std::to_string(slice.columns) + "×" + std::to_string(slice.rows) + "); send each stack as a series of its own");
    if (!(std::abs(slice.row_spacing_mm - first.row_spacing_mm) <= 1e-3 && std::abs(slice.column_spacing_mm - first.column_spacing_mm) <= 1e-3))
      return invalid_argument("slices of different pixel spacing in one series; send each stack as a series of its own");
    if (!same_direction(slice.row_direction, first.row_direction) || !same_direction(slice.column_direction, first.column_direction))
      return invalid_argument("slices of different orientation in one series (a localizer?); send each stack as a series of its own");
  }
  if (std::abs(length(first.row_direction) - 1) > kDirectionTolerance || std::abs(length(first.column_direction) - 1) > kDirectionTolerance ||
      std::abs(dot(first.row_direction, first.column_direction)) > kDirectionTolerance)
    return invalid_argument("image orientation: the two directions are not of length 1 at right angles");
  return {};
}

Result<void> check_distances(const std::vector<double>& along) {
  std::vector<double> gaps;
  for (std::size_t k = 1; k < along.size(); ++k) {
    gaps.push_back(along[k] - along[k - 1]);
    if (gaps.back() < kSamePlaceMm)
      return invalid_argument("slices " + std::to_string(k) + " and " + std::to_string(k + 1) + " of " + std::to_string(along.size()) +
                              " lie in the same place (several echoes, times or copies in one series); send each as a series of its own");
  }
  std::vector<double> sorted = gaps;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2), sorted.end());
  const double usual = sorted[sorted.size() / 2];
  const auto [least, most] = std::minmax_element(gaps.begin(), gaps.end());
  for (std::size_t k = 0; k < gaps.size(); ++k) {
    if (std::abs(gaps[k] - usual) <= kGapTolerance * usual) continue;
    const double times = gaps[k] / usual;
    const std::string where = "between slices " + std::to_string(k + 1) + " and " + std::to_string(k + 2) + " of " + std::to_string(along.size());
    if (std::round(times) >= 2 && std::abs(times - std::round(times)) <= kGapTolerance && *least >= (1 - kGapTolerance) * usual)
      return invalid_argument(std::to_string(static_cast<long>(std::round(times)) - 1) + " slices are missing " + where + ": " + mm(gaps[k]) +
                              " instead of " + mm(usual) + "; send the whole series again");
    return invalid_argument("the distance between slices changes from " + mm(*least) + " to " + mm(*most) + " (first " + where +
                            "); send a reconstruction with even slices");
  }
  // Small errors of one sign would add up.
  const double mean = (along.back() - along.front()) / static_cast<double>(along.size() - 1);
  for (std::size_t k = 0; k < along.size(); ++k)
    if (std::abs(along[k] - along.front() - mean * static_cast<double>(k)) > 0.1 * mean + 0.05)
      return invalid_argument("the distance between slices drifts: slice " + std::to_string(k + 1) + " lies " +
                              mm(along[k] - along.front() - mean * static_cast<double>(k)) + " off an even stack; send a reconstruction with even slices");
  return {};
}

}  // namespace

Result<StackedSlices> stack_slices(std::span<const SlicePlace> slices) {
  if (slices.size() < 2) return invalid_argument("a single slice is no volume: send the whole series");
  FOVEA_TRY(check_alike(slices));
  const SlicePlace& any = slices.front();
  const Point3 normal = cross(any.row_direction, any.column_direction);
  StackedSlices out;
  out.order.resize(slices.size());
  std::iota(out.order.begin(), out.order.end(), std::size_t{0});
  std::stable_sort(out.order.begin(), out.order.end(),
                   [&](std::size_t a, std::size_t b) { return dot(slices[a].position_mm, normal) < dot(slices[b].position_mm, normal); });
  const Point3 origin = slices[out.order.front()].position_mm;
  std::vector<double> along;
  double lean_mm = 0;
  for (const std::size_t s : out.order) {
    const Point3 offset = minus(slices[s].position_mm, origin);
    along.push_back(dot(offset, normal));
    const double in_plane = std::hypot(dot(offset, any.row_direction), dot(offset, any.column_direction));
    lean_mm = std::max(lean_mm, in_plane);
  }
  FOVEA_TRY(check_distances(along));
  if (lean_mm > 0.1 + kLeanMax * along.back())
    return invalid_argument("the slices drift sideways by " + mm(lean_mm) + " over " + mm(along.back()) +
                            " (gantry tilt); send a reconstruction at right angles to the table");

  VolumeGeometry& geometry = out.geometry;
  geometry.size = {any.columns, any.rows, static_cast<std::int64_t>(slices.size())};
  geometry.spacing_mm = {any.column_spacing_mm, any.row_spacing_mm, along.back() / static_cast<double>(slices.size() - 1)};
  geometry.origin_mm = origin;
  for (std::size_t row = 0; row < 3; ++row) {
    geometry.direction[row * 3] = any.row_direction[row];
    geometry.direction[row * 3 + 1] = any.column_direction[row];
    geometry.direction[row * 3 + 2] = normal[row];
  }
  FOVEA_TRY_ASSIGN(geometry, checked_geometry(geometry));
  return out;
}

}  // namespace fovea::node

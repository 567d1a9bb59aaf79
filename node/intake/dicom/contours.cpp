#include "node/intake/dicom/contours.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

namespace fovea::node::intake {
namespace {

constexpr double kFlat = 0.25;      // of the distance between slices: how far a corner may lie off its plane
constexpr double kSamePlane = 0.1;  // likewise, for contours that count as one plane
constexpr double kBridgeMax = 1.5;  // of the usual distance between planes: a wider gap lies between two structures

struct Corner {
  double across = 0, along = 0;  // continuous indices within the plane: of the row's voxels, of the rows
};

// The contours of one plane of drawing.
struct Plane {
  double at = 0;  // continuous index along the stacking axis
  std::vector<std::vector<Corner>> contours;
};

// The axes of the grid as the contours use them.
struct Axes {
  unsigned stack = 2, row = 0, column = 1;
};

struct Spread {
  volume::Point3 low = volume::Point3::Zero(), high = volume::Point3::Zero();
};

Result<Spread> spread_of(const volume::VolumeGeometry& geometry, const Contour& contour) {
  constexpr double kFar = std::numeric_limits<double>::max();
  Spread out{volume::Point3::Constant(kFar), volume::Point3::Constant(-kFar)};
  for (const volume::Point3& corner : contour) {
    const volume::Point3 index = geometry.to_index(corner);
    if (!(index.array().abs() <= 1e6).all())
      return invalid_argument("contour: a corner is not a number, or lies kilometres away");
    out.low = out.low.cwiseMin(index);
    out.high = out.high.cwiseMax(index);
  }
  return out;
}

// The axis at right angles to which every contour lies.
Result<Axes> axes_of(const volume::VolumeGeometry& geometry, std::span<const Contour> contours) {
  Eigen::Vector3d widest = Eigen::Vector3d::Zero();
  for (const Contour& contour : contours) {
    if (contour.size() < 3) continue;
    FOVEA_TRY_ASSIGN(const Spread spread, spread_of(geometry, contour));
    widest = widest.cwiseMax(spread.high - spread.low);
  }
  Axes out;
  if (widest.minCoeff(&out.stack) > 2 * kFlat)
    return invalid_argument(
        "contour: does not lie in a slice of this scan (drawn on another series, or on an oblique view?)");
  out.row = out.stack == 0 ? 1 : 0;
  out.column = out.stack == 2 ? 1 : 2;
  return out;
}

std::vector<Plane> planes_of(const volume::VolumeGeometry& geometry, const Axes& axes,
                             std::span<const Contour> contours) {
  std::vector<Plane> single;
  for (const Contour& contour : contours) {
    if (contour.size() < 3) continue;
    Plane plane;
    plane.contours.emplace_back();
    for (const volume::Point3& point : contour) {
      const volume::Point3 index = geometry.to_index(point);
      plane.at += index[axes.stack] / static_cast<double>(contour.size());
      plane.contours.back().push_back({index[axes.row], index[axes.column]});
    }
    single.push_back(std::move(plane));
  }
  std::stable_sort(single.begin(), single.end(), [](const Plane& a, const Plane& b) { return a.at < b.at; });
  std::vector<Plane> out;
  for (Plane& plane : single) {
    if (out.empty() || plane.at - out.back().at > kSamePlane) out.push_back({plane.at, {}});
    out.back().contours.push_back(std::move(plane.contours.front()));
  }
  return out;
}

// The slices from `begin` to before `end` (continuous indices) that a plane of contours covers: half way to its
// neighbours, half the usual distance where there is none.
struct Slab {
  double begin = 0, end = 0;
};
std::vector<Slab> slabs_of(const std::vector<Plane>& planes) {
  std::vector<double> gaps;
  for (std::size_t p = 1; p < planes.size(); ++p) gaps.push_back(planes[p].at - planes[p - 1].at);
  double usual = 1;  // a single gap may lie between two structures: it takes two to tell the usual distance
  if (gaps.size() >= 2) {
    std::vector<double> sorted = gaps;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2), sorted.end());
    usual = sorted[sorted.size() / 2];
  }
  const auto half = [&](std::size_t gap) {
    return 0.5 * (gap < gaps.size() && gaps[gap] <= kBridgeMax * usual ? gaps[gap] : usual);
  };
  std::vector<Slab> out;
  for (std::size_t p = 0; p < planes.size(); ++p) out.push_back({planes[p].at - half(p - 1), planes[p].at + half(p)});
  return out;
}

// Where the contours of a plane cross the middle line of one row, in order.
void crossings(const Plane& plane, double row, std::vector<double>& out) {
  out.clear();
  for (const std::vector<Corner>& contour : plane.contours)
    for (std::size_t c = 0; c < contour.size(); ++c) {
      const Corner& a = contour[c];
      const Corner& b = contour[c + 1 == contour.size() ? 0 : c + 1];
      // Half-open: a corner on the line belongs to the edge above it, so that no crossing counts twice.
      if ((a.along <= row) == (b.along <= row)) continue;
      out.push_back(a.across + (row - a.along) / (b.along - a.along) * (b.across - a.across));
    }
  std::sort(out.begin(), out.end());
}

void fill_plane(const volume::VolumeGeometry& geometry, const Axes& axes, const Plane& plane, std::int64_t slice,
                std::vector<std::uint32_t>& out) {
  double low = std::numeric_limits<double>::max(), high = -low;
  for (const std::vector<Corner>& contour : plane.contours)
    for (const Corner& corner : contour) low = std::min(low, corner.along), high = std::max(high, corner.along);
  const auto clipped = [](double index, std::int64_t size) {
    return static_cast<std::int64_t>(std::clamp(std::ceil(index), 0.0, static_cast<double>(size)));
  };
  std::vector<double> cuts;
  const std::int64_t last = clipped(std::floor(high) + 1, geometry.size[axes.column]);
  for (std::int64_t row = clipped(low, geometry.size[axes.column]); row < last; ++row) {
    crossings(plane, static_cast<double>(row), cuts);
    for (std::size_t c = 0; c + 1 < cuts.size(); c += 2)
      for (std::int64_t i = clipped(cuts[c], geometry.size[axes.row]);
           i < clipped(cuts[c + 1], geometry.size[axes.row]); ++i) {
        volume::Index3 at{};
        at[axes.row] = i, at[axes.column] = row, at[axes.stack] = slice;
        out.push_back(static_cast<std::uint32_t>(geometry.offset(at[0], at[1], at[2])));
      }
  }
}

}  // namespace

bool lie_within(const volume::VolumeGeometry& geometry, std::span<const Contour> contours) {
  for (const Contour& contour : contours)
    for (const volume::Point3& corner : contour) {
      const volume::Point3 index = geometry.to_index(corner);
      for (unsigned axis = 0; axis < 3; ++axis)
        if (!(index[axis] >= -0.5 && index[axis] <= static_cast<double>(geometry.size[axis]) - 0.5)) return false;
    }
  return true;
}

Result<std::vector<std::uint32_t>> voxels_inside(const volume::VolumeGeometry& geometry,
                                                 std::span<const Contour> contours) {
  FOVEA_TRY_ASSIGN(const Axes axes, axes_of(geometry, contours));
  const std::vector<Plane> planes = planes_of(geometry, axes, contours);
  const std::vector<Slab> slabs = slabs_of(planes);
  std::vector<std::uint32_t> out;
  for (std::size_t p = 0; p < planes.size(); ++p) {
    constexpr double kRounding = 1e-6;
    const double last = static_cast<double>(geometry.size[axes.stack]) - 1;
    const double begin = std::max(0.0, std::ceil(slabs[p].begin - kRounding)), end = slabs[p].end - kRounding;
    for (double slice = begin; slice < end && slice <= last; ++slice)
      fill_plane(geometry, axes, planes[p], static_cast<std::int64_t>(slice), out);
  }
  if (out.empty()) return not_found("contour: encloses no voxel of this scan (drawn for another series?)");
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace fovea::node::intake

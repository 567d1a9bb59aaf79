#include "demo/phantom/smooth_field.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fovea::demo {
namespace {

std::array<double, 4> bspline_weights(double t) noexcept {
  const double u = 1.0 - t;
  return {u * u * u / 6.0, (3 * t * t * t - 6 * t * t + 4) / 6.0, (3 * u * u * u - 6 * u * u + 4) / 6.0,
          t * t * t / 6.0};
}

// Sum of squared weights of a cubic B-spline at a typical point, in one dimension: divided by it, the values have the
// standard deviation `amplitude`.
constexpr double kEnergyPerAxis = 0.479;

}  // namespace

SmoothField::SmoothField(const node::volume::Index3& size, double knot_mm, double amplitude,
                         node::network::RandomDraws& random)
    : voxels_(size) {
  node::volume::Index3 knots{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    size_[axis] = (size[axis] - 1) / kStep + 2;
    knots[axis] = static_cast<std::int64_t>(std::ceil(static_cast<double>(size_[axis] * kStep) / knot_mm)) + 4;
  }
  std::vector<double> lattice(static_cast<std::size_t>(knots[0] * knots[1] * knots[2]));
  const double scale = amplitude / std::pow(kEnergyPerAxis, 1.5);
  for (double& value : lattice) value = scale * random.normal();

  table_.resize(static_cast<std::size_t>(size_[0] * size_[1] * size_[2]));
  std::size_t out = 0;
  for (std::int64_t k = 0; k < size_[2]; ++k)
    for (std::int64_t j = 0; j < size_[1]; ++j)
      for (std::int64_t i = 0; i < size_[0]; ++i) {
        std::array<std::array<double, 4>, 3> weights{};
        node::volume::Index3 first{};
        const node::volume::Index3 node{i, j, k};
        for (std::size_t axis = 0; axis < 3; ++axis) {
          const double position = static_cast<double>(node[axis] * kStep) / knot_mm;
          first[axis] = static_cast<std::int64_t>(position);
          weights[axis] = bspline_weights(position - static_cast<double>(first[axis]));
        }
        double sum = 0;
        for (std::int64_t c = 0; c < 4; ++c)
          for (std::int64_t b = 0; b < 4; ++b)
            for (std::int64_t a = 0; a < 4; ++a)
              sum += weights[2][static_cast<std::size_t>(c)] * weights[1][static_cast<std::size_t>(b)] *
                     weights[0][static_cast<std::size_t>(a)] *
                     lattice[static_cast<std::size_t>(((first[2] + c) * knots[1] + first[1] + b) * knots[0] + first[0] +
                                                      a)];
        table_[out++] = static_cast<float>(sum);
      }
}

void SmoothField::row(std::int64_t j, std::int64_t k, float* out) const noexcept {
  const std::int64_t j0 = j / kStep;
  const std::int64_t k0 = k / kStep;
  const float fj = static_cast<float>(j % kStep) / kStep;
  const float fk = static_cast<float>(k % kStep) / kStep;
  const auto node = [&](std::int64_t i) {
    const float low = table(i, j0, k0) * (1 - fj) + table(i, j0 + 1, k0) * fj;
    const float high = table(i, j0, k0 + 1) * (1 - fj) + table(i, j0 + 1, k0 + 1) * fj;
    return low * (1 - fk) + high * fk;
  };
  float left = node(0);
  for (std::int64_t i0 = 0; i0 * kStep < voxels_[0]; ++i0) {
    const float right = node(i0 + 1);
    const std::int64_t count = std::min(kStep, voxels_[0] - i0 * kStep);
    for (std::int64_t s = 0; s < count; ++s)
      out[i0 * kStep + s] = left + (right - left) * (static_cast<float>(s) / kStep);
    left = right;
  }
}

float SmoothField::at(double i, double j, double k) const noexcept {
  std::array<std::int64_t, 3> base{};
  std::array<float, 3> part{};
  const Eigen::Vector3d index(i, j, k);
  for (unsigned axis = 0; axis < 3; ++axis) {
    const double position = std::clamp(index[axis] / kStep, 0.0, static_cast<double>(size_[axis]) - 1.001);
    base[axis] = static_cast<std::int64_t>(position);
    part[axis] = static_cast<float>(position - static_cast<double>(base[axis]));
  }
  float sum = 0;
  for (std::int64_t c = 0; c < 2; ++c)
    for (std::int64_t b = 0; b < 2; ++b)
      for (std::int64_t a = 0; a < 2; ++a)
        sum += (a ? part[0] : 1 - part[0]) * (b ? part[1] : 1 - part[1]) * (c ? part[2] : 1 - part[2]) *
               table(base[0] + a, base[1] + b, base[2] + c);
  return sum;
}

}  // namespace fovea::demo

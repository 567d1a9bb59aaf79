#include "demo/phantom/patient.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "demo/phantom/smooth_field.h"

namespace fovea::demo {
namespace {

using node::network::RandomDraws;

constexpr double kWarpKnotMm = 34;
constexpr double kWarpAmplitudeMm = 4.0;
constexpr double kRotationMaxRad = 0.16;
constexpr double kScaleSpread = 0.09;
constexpr double kShiftMaxMm = 6;
constexpr double kBiasKnotMm = 80;
constexpr double kBiasLogAmplitude = 0.10;
constexpr double kEdgeMm = 0.5;  // softness of a lesion's border
constexpr double kIntensitySpread = 0.15;

// Patient voxel index → template voxel index: affine about the middle of the head, then a smooth displacement.
class Anatomy {
 public:
  Anatomy(const node::volume::Index3& size, RandomDraws& random)
      : size_(size),
        dx_(size, kWarpKnotMm, kWarpAmplitudeMm, random),
        dy_(size, kWarpKnotMm, kWarpAmplitudeMm, random),
        dz_(size, kWarpKnotMm, kWarpAmplitudeMm, random) {
    Eigen::Vector3d angle = Eigen::Vector3d::Zero(), scale = Eigen::Vector3d::Ones();
    for (unsigned axis = 0; axis < 3; ++axis) {
      angle[axis] = random.uniform(-kRotationMaxRad, kRotationMaxRad);
      scale[axis] = 1.0 + random.uniform(-kScaleSpread, kScaleSpread);
      shift_[axis] = random.uniform(-kShiftMaxMm, kShiftMaxMm);
      middle_[axis] = static_cast<double>(size[axis] - 1) / 2;
    }
    if (random.chance(0.5)) scale[0] = -scale[0];  // mirrored, since brains are nearly symmetric
    const double ca = std::cos(angle[0]), sa = std::sin(angle[0]);
    const double cb = std::cos(angle[1]), sb = std::sin(angle[1]);
    const double cc = std::cos(angle[2]), sc = std::sin(angle[2]);
    // About x, then y, then z.
    Eigen::Matrix3d rotation;
    rotation << cb * cc, sa * sb * cc - ca * sc, ca * sb * cc + sa * sc,  //
        cb * sc, sa * sb * sc + ca * cc, ca * sb * sc - sa * cc,          //
        -sb, sa * cb, ca * cb;
    matrix_ = rotation * scale.asDiagonal();
  }

  node::volume::Point3 to_template(double i, double j, double k) const noexcept {
    node::volume::Point3 out = affine(i, j, k);
    out += Eigen::Vector3f(dx_.at(i, j, k), dy_.at(i, j, k), dz_.at(i, j, k)).cast<double>();
    return out;
  }

  // Template positions of the row (·, j, k): three arrays of size[0].
  void row(std::int64_t j, std::int64_t k, float* x, float* y, float* z) const noexcept {
    dx_.row(j, k, x);
    dy_.row(j, k, y);
    dz_.row(j, k, z);
    const node::volume::Point3 start = affine(0, static_cast<double>(j), static_cast<double>(k));
    for (std::int64_t i = 0; i < size_[0]; ++i) {
      const float step = static_cast<float>(i);
      x[i] += static_cast<float>(start[0]) + step * static_cast<float>(matrix_(0, 0));
      y[i] += static_cast<float>(start[1]) + step * static_cast<float>(matrix_(1, 0));
      z[i] += static_cast<float>(start[2]) + step * static_cast<float>(matrix_(2, 0));
    }
  }

 private:
  node::volume::Point3 affine(double i, double j, double k) const noexcept {
    const Eigen::Vector3d from = node::volume::Point3(i, j, k) - middle_;
    node::volume::Point3 out = middle_ + shift_;
    for (unsigned axis = 0; axis < 3; ++axis) out += matrix_.col(axis) * from[axis];
    return out;
  }

  node::volume::Index3 size_;
  SmoothField dx_, dy_, dz_;
  Eigen::Matrix3d matrix_ = Eigen::Matrix3d::Identity();
  Eigen::Vector3d shift_ = Eigen::Vector3d::Zero();
  node::volume::Point3 middle_ = node::volume::Point3::Zero();
};

float sample(const node::volume::Volume& volume, float x, float y, float z) noexcept {
  const auto& size = volume.geometry.size;
  if (!(x >= 0 && y >= 0 && z >= 0 && x < static_cast<float>(size[0] - 1) && y < static_cast<float>(size[1] - 1) &&
        z < static_cast<float>(size[2] - 1)))
    return 0;
  const auto i = static_cast<std::int64_t>(x), j = static_cast<std::int64_t>(y), k = static_cast<std::int64_t>(z);
  const float fx = x - static_cast<float>(i), fy = y - static_cast<float>(j), fz = z - static_cast<float>(k);
  const std::size_t row = static_cast<std::size_t>(size[0]);
  const std::size_t slice = row * static_cast<std::size_t>(size[1]);
  const float* v = volume.voxels.data() + volume.geometry.offset(i, j, k);
  const float a = v[0] + (v[1] - v[0]) * fx;
  const float b = v[row] + (v[row + 1] - v[row]) * fx;
  const float c = v[slice] + (v[slice + 1] - v[slice]) * fx;
  const float d = v[slice + row] + (v[slice + row + 1] - v[slice + row]) * fx;
  const float low = a + (b - a) * fy;
  const float high = c + (d - c) * fy;
  return low + (high - low) * fz;
}

struct PlacedLesion {
  node::volume::Point3 index = node::volume::Point3::Zero();  // on the 1 mm grid
  double radius_mm = 0;
  double contrast = 0;
  Eigen::Vector3d stretch = Eigen::Vector3d::Ones();  // semi-axes over the radius; their product is 1

  // How much of the lesion is at this place: 1 inside, 0 outside, ½ on its border.
  double presence(double i, double j, double k) const noexcept {
    const double distance_mm = (node::volume::Point3(i, j, k) - index).cwiseQuotient(stretch).norm();
    return 1.0 / (1.0 + std::exp((distance_mm - radius_mm) / kEdgeMm));
  }
};

double draw_diameter_mm(const HospitalProfile& hospital, RandomDraws& random) {
  const double kind = random.uniform();
  if (kind < hospital.small_fraction) return random.uniform(kLesionDiameterMinMm, 6.0);
  if (kind < hospital.small_fraction + hospital.large_fraction) return random.uniform(10.0, kLesionDiameterMaxMm);
  return random.uniform(6.0, 10.0);
}

std::optional<node::volume::Point3> draw_place(const Template& base, const Anatomy& anatomy,
                                               const std::vector<PlacedLesion>& others, double radius_mm, double gap_mm,
                                               RandomDraws& random) {
  const auto& size = base.head.geometry.size;
  for (int tries = 0; tries < 20000; ++tries) {
    node::volume::Point3 index = node::volume::Point3::Zero();
    for (unsigned axis = 0; axis < 3; ++axis) index[axis] = random.uniform(12, static_cast<double>(size[axis]) - 13);
    const node::volume::Point3 at = anatomy.to_template(index[0], index[1], index[2]);
    const std::int64_t i = std::llround(at[0]), j = std::llround(at[1]), k = std::llround(at[2]);
    if (i < 0 || j < 0 || k < 0 || i >= size[0] || j >= size[1] || k >= size[2]) continue;
    if (base.placeable[base.head.geometry.offset(i, j, k)] == 0) continue;
    const bool clear = std::all_of(others.begin(), others.end(), [&](const PlacedLesion& other) {
      return (index - other.index).norm() > 1.2 * (radius_mm + other.radius_mm) + gap_mm;
    });
    if (clear) return index;
  }
  return std::nullopt;
}

std::vector<PlacedLesion> place_lesions(const Template& base, const Anatomy& anatomy, const HospitalProfile& hospital,
                                        RandomDraws& random) {
  std::vector<PlacedLesion> lesions;
  if (!random.chance(hospital.positive_fraction)) return lesions;
  const std::uint64_t count = 1 + random.below(kLesionsMax);
  const double gap_mm = 4.0 + 2.0 * hospital.slice_thickness_mm;  // so that they are separate components of the mask
  for (std::uint64_t n = 0; n < count; ++n) {
    PlacedLesion lesion;
    lesion.radius_mm = draw_diameter_mm(hospital, random) / 2;
    lesion.contrast = random.uniform(kLesionContrastMin, kLesionContrastMax);
    const double a = random.uniform(0.88, 1.14), b = random.uniform(0.88, 1.14);
    lesion.stretch = {a, b, 1.0 / (a * b)};
    const auto place = draw_place(base, anatomy, lesions, lesion.radius_mm, gap_mm, random);
    if (!place) break;
    lesion.index = *place;
    lesions.push_back(lesion);
  }
  return lesions;
}

// Adds the lesions to the 1 mm image; `presence` and `number` say per voxel which lesion is there and how much of it.
void insert_lesions(const std::vector<PlacedLesion>& lesions, double white_matter, node::volume::Volume& image,
                    std::vector<float>& presence, std::vector<std::uint8_t>& number) {
  const auto& geometry = image.geometry;
  for (std::size_t n = 0; n < lesions.size(); ++n) {
    const PlacedLesion& lesion = lesions[n];
    const double reach = 1.3 * lesion.radius_mm + 8 * kEdgeMm;
    node::volume::Index3 low{}, high{};
    for (unsigned axis = 0; axis < 3; ++axis) {
      low[axis] = std::max<std::int64_t>(0, std::llround(lesion.index[axis] - reach));
      high[axis] = std::min<std::int64_t>(geometry.size[axis] - 1, std::llround(lesion.index[axis] + reach));
    }
    for (std::int64_t k = low[2]; k <= high[2]; ++k)
      for (std::int64_t j = low[1]; j <= high[1]; ++j)
        for (std::int64_t i = low[0]; i <= high[0]; ++i) {
          const double part = lesion.presence(static_cast<double>(i), static_cast<double>(j), static_cast<double>(k));
          const std::size_t at = geometry.offset(i, j, k);
          image.voxels[at] += static_cast<float>(part * lesion.contrast * white_matter);
          if (part > static_cast<double>(presence[at])) {
            presence[at] = static_cast<float>(part);
            number[at] = static_cast<std::uint8_t>(n + 1);
          }
        }
  }
}

// Values of a standard normal distribution by table, since noise needs two per voxel.
class NormalTable {
 public:
  NormalTable() {
    RandomDraws random(20);
    for (float& value : values_) value = static_cast<float>(random.normal());
  }
  float operator[](std::uint64_t bits) const noexcept { return values_[bits & (kSize - 1)]; }

 private:
  static constexpr std::size_t kSize = 1U << 16U;
  std::array<float, kSize> values_{};
};

// Thick slices average thin ones; then bias field, scanner scale and Rician noise.
void scan(const node::volume::Volume& fine, const HospitalProfile& hospital, double white_matter,
          node::volume::Volume& out, RandomDraws& random) {
  static const NormalTable normals;
  const std::int64_t thickness = hospital.slice_thickness_mm;
  const auto& size = fine.geometry.size;
  const SmoothField bias(size, kBiasKnotMm, kBiasLogAmplitude, random);
  const double scale = hospital.intensity_scale * std::exp(random.uniform(-kIntensitySpread, kIntensitySpread));
  const float sigma = static_cast<float>(hospital.noise_fraction * white_matter);
  std::vector<float> field(static_cast<std::size_t>(size[0]));
  for (std::int64_t slice = 0; slice < out.geometry.size[2]; ++slice)
    for (std::int64_t j = 0; j < size[1]; ++j) {
      float* row = out.voxels.data() + out.geometry.offset(0, j, slice);
      std::fill_n(row, size[0], 0.0F);
      for (std::int64_t s = 0; s < thickness; ++s) {
        const float* from = fine.voxels.data() + fine.geometry.offset(0, j, slice * thickness + s);
        for (std::int64_t i = 0; i < size[0]; ++i) row[i] += from[i];
      }
      bias.row(j, slice * thickness + thickness / 2, field.data());
      for (std::int64_t i = 0; i < size[0]; ++i) {
        const std::uint64_t bits = random.next();
        const float signal = row[i] / static_cast<float>(thickness) * std::exp(field[static_cast<std::size_t>(i)]) +
                             sigma * normals[bits];
        const float quadrature = sigma * normals[bits >> 32U];
        row[i] = static_cast<float>(scale) * std::sqrt(signal * signal + quadrature * quadrature);
      }
    }
}

// A coarse voxel belongs to the lesion where on average at least half of it does; the voxel at a lesion's
// centre always does, so that the smallest lesion on the thickest slice is still marked.
void mark(const node::volume::Volume& fine, const std::vector<float>& presence, const std::vector<std::uint8_t>& number,
          const std::vector<PlacedLesion>& lesions, std::int64_t thickness, node::volume::Volume& mask) {
  const auto& size = mask.geometry.size;
  for (std::int64_t k = 0; k < size[2]; ++k)
    for (std::int64_t j = 0; j < size[1]; ++j)
      for (std::int64_t i = 0; i < size[0]; ++i) {
        float sum = 0;
        std::uint8_t label = 0;
        for (std::int64_t s = 0; s < thickness; ++s) {
          const std::size_t at = fine.geometry.offset(i, j, k * thickness + s);
          sum += presence[at];
          label = std::max(label, number[at]);
        }
        if (sum >= 0.5F * static_cast<float>(thickness)) mask.voxels[mask.geometry.offset(i, j, k)] = label;
      }
  for (std::size_t n = 0; n < lesions.size(); ++n) {
    const auto& index = lesions[n].index;
    const std::int64_t k = std::min<std::int64_t>(std::llround(index[2]) / thickness, size[2] - 1);
    mask.voxels[mask.geometry.offset(std::llround(index[0]), std::llround(index[1]), k)] = static_cast<float>(n + 1);
  }
}

}  // namespace

Template make_template(node::volume::Volume head, const node::volume::Volume& brain, double margin_mm) {
  Template out;
  const auto& geometry = head.geometry;
  const auto& size = geometry.size;
  const auto reach = static_cast<std::int64_t>(std::ceil(margin_mm));
  out.placeable.assign(geometry.voxel_count(), 0);
  double sum = 0;
  std::size_t count = 0;
  // Template units: cerebrospinal fluid lies below, fat and vessels above.
  constexpr float kTissueMin = 72, kTissueMax = 125, kWhiteMin = 105;
  for (std::int64_t k = reach; k < size[2] - reach; ++k)
    for (std::int64_t j = reach; j < size[1] - reach; ++j)
      for (std::int64_t i = reach; i < size[0] - reach; ++i) {
        const float value = head.voxels[geometry.offset(i, j, k)];
        if (brain.voxels[geometry.offset(i, j, k)] <= 0 || value < kTissueMin || value > kTissueMax) continue;
        if (value >= kWhiteMin) sum += static_cast<double>(value), ++count;
        bool deep = true;
        for (std::int64_t step = -reach; step <= reach && deep; step += reach)
          deep = brain.voxels[geometry.offset(i + step, j, k)] > 0 &&
                 brain.voxels[geometry.offset(i, j + step, k)] > 0 && brain.voxels[geometry.offset(i, j, k + step)] > 0;
        out.placeable[geometry.offset(i, j, k)] = deep ? 1 : 0;
      }
  out.white_matter = count > 0 ? sum / static_cast<double>(count) : 0;
  out.head = std::move(head);
  return out;
}

Patient make_patient(const Template& base, const HospitalProfile& hospital, node::network::RandomDraws random) {
  const auto& geometry = base.head.geometry;
  const auto& size = geometry.size;
  const Anatomy anatomy(size, random);
  node::volume::Volume fine{geometry, std::vector<float>(geometry.voxel_count())};
  const std::size_t row_size = static_cast<std::size_t>(size[0]);
  std::vector<float> x(row_size), y(row_size), z(row_size);
  const float white = static_cast<float>(base.white_matter);
  const float gamma = static_cast<float>(hospital.gamma);
  for (std::int64_t k = 0; k < size[2]; ++k)
    for (std::int64_t j = 0; j < size[1]; ++j) {
      anatomy.row(j, k, x.data(), y.data(), z.data());
      float* row = fine.voxels.data() + geometry.offset(0, j, k);
      for (std::size_t i = 0; i < row_size; ++i) row[i] = sample(base.head, x[i], y[i], z[i]);
      if (hospital.gamma != 1.0)
        for (std::size_t i = 0; i < row_size; ++i) row[i] = white * std::pow(row[i] / white, gamma);
    }

  const std::vector<PlacedLesion> lesions = place_lesions(base, anatomy, hospital, random);
  std::vector<float> presence(geometry.voxel_count());
  std::vector<std::uint8_t> number(geometry.voxel_count());
  insert_lesions(lesions, base.white_matter, fine, presence, number);

  node::volume::VolumeGeometry scanned = geometry;
  const std::int64_t thickness = hospital.slice_thickness_mm;
  scanned.size[2] = size[2] / thickness;
  scanned.spacing_mm[2] *= static_cast<double>(thickness);
  scanned.origin_mm = geometry.to_point({0, 0, static_cast<double>(thickness - 1) / 2});
  Patient patient{
      {scanned, std::vector<float>(scanned.voxel_count())}, {scanned, std::vector<float>(scanned.voxel_count())}, {}};
  scan(fine, hospital, base.white_matter, patient.image, random);
  mark(fine, presence, number, lesions, thickness, patient.mask);
  for (const PlacedLesion& lesion : lesions)
    patient.lesions.push_back({geometry.to_point(lesion.index), 2 * lesion.radius_mm, lesion.contrast});
  return patient;
}

}  // namespace fovea::demo

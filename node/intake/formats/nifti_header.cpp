#include "node/intake/formats/nifti_header.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <string_view>

#include <Eigen/Geometry>

#include "node/volume/canonical.h"

namespace fovea::node::intake {
namespace {

// Reads numbers at fixed offsets of a header in either byte order. Offsets are below the header's size, checked once.
class Fields {
 public:
  Fields(ByteView head, bool swapped) : head_(head), swapped_(swapped) {}

  template <class T>
  T at(std::size_t offset) const {
    std::array<std::uint8_t, sizeof(T)> bytes{};
    for (std::size_t i = 0; i < sizeof(T); ++i) bytes[i] = head_[offset + (swapped_ ? sizeof(T) - 1 - i : i)];
    return std::bit_cast<T>(bytes);
  }

 private:
  ByteView head_;
  bool swapped_;
};

// The two versions hold the same facts at other offsets and widths.
struct RawHeader {
  std::array<std::int64_t, 8> dim{};
  std::int64_t datatype = 0, bits = 0, sform_code = 0, qform_code = 0, units = 0;
  std::array<double, 8> pixdim{};
  double voxel_offset = 0, slope = 0, intercept = 0;
  Eigen::Vector3d quaternion = Eigen::Vector3d::Zero(), offset = Eigen::Vector3d::Zero();  // qform: (b, c, d), and mm
  Eigen::Affine3d sform = Eigen::Affine3d::Identity();
};

RawHeader read_version_1(const Fields& f) {
  RawHeader h;
  for (std::size_t i = 0; i < 8; ++i) {
    h.dim[i] = f.at<std::int16_t>(40 + 2 * i);
    h.pixdim[i] = static_cast<double>(f.at<float>(76 + 4 * i));
  }
  h.datatype = f.at<std::int16_t>(70);
  h.bits = f.at<std::int16_t>(72);
  h.voxel_offset = static_cast<double>(f.at<float>(108));
  h.slope = static_cast<double>(f.at<float>(112));
  h.intercept = static_cast<double>(f.at<float>(116));
  h.units = f.at<std::int8_t>(123);
  h.qform_code = f.at<std::int16_t>(252);
  h.sform_code = f.at<std::int16_t>(254);
  for (unsigned i = 0; i < 3; ++i) {
    h.quaternion[i] = static_cast<double>(f.at<float>(256 + 4 * i));
    h.offset[i] = static_cast<double>(f.at<float>(268 + 4 * i));
  }
  for (unsigned i = 0; i < 12; ++i) h.sform(i / 4, i % 4) = static_cast<double>(f.at<float>(280 + 4 * i));
  return h;
}

RawHeader read_version_2(const Fields& f) {
  RawHeader h;
  for (std::size_t i = 0; i < 8; ++i) {
    h.dim[i] = f.at<std::int64_t>(16 + 8 * i);
    h.pixdim[i] = f.at<double>(104 + 8 * i);
  }
  h.datatype = f.at<std::int16_t>(12);
  h.bits = f.at<std::int16_t>(14);
  h.voxel_offset = static_cast<double>(f.at<std::int64_t>(168));
  h.slope = f.at<double>(176);
  h.intercept = f.at<double>(184);
  h.qform_code = f.at<std::int32_t>(344);
  h.sform_code = f.at<std::int32_t>(348);
  for (unsigned i = 0; i < 3; ++i) {
    h.quaternion[i] = f.at<double>(352 + 8 * i);
    h.offset[i] = f.at<double>(376 + 8 * i);
  }
  for (unsigned i = 0; i < 12; ++i) h.sform(i / 4, i % 4) = f.at<double>(400 + 8 * i);
  h.units = f.at<std::int32_t>(500);
  return h;
}

// Bits per voxel of each plain numeric type; 0: unsupported (RGB, complex, 128-bit float).
std::int64_t bits_of(std::int64_t datatype) {
  switch (datatype) {
    case 2:
    case 256: return 8;
    case 4:
    case 512: return 16;
    case 8:
    case 16:
    case 768: return 32;
    case 64:
    case 1024:
    case 1280: return 64;
    default: return 0;
  }
}

Result<void> check_dimensions(const RawHeader& h) {
  if (h.dim[0] < 1 || h.dim[0] > 7)
    return invalid_argument("NIfTI dim[0]: " + std::to_string(h.dim[0]) + "; expected 3 (is the header damaged?)");
  if (h.dim[0] < 3)
    return invalid_argument("NIfTI dim[0]: " + std::to_string(h.dim[0]) +
                            "; a 2D image is not a scan: export the whole series");
  for (std::size_t i = 4; i <= static_cast<std::size_t>(h.dim[0]); ++i)
    if (h.dim[i] != 1)
      return invalid_argument("NIfTI dim[" + std::to_string(i) + "]: " + std::to_string(h.dim[i]) +
                              "; expected one 3D volume (split a time series or a vector image first)");
  return {};
}

Result<void> check_voxels(const RawHeader& h) {
  const std::int64_t bits = bits_of(h.datatype);
  if (bits == 0)
    return invalid_argument("NIfTI datatype: " + std::to_string(h.datatype) +
                            "; expected a plain integer or float type (colour and complex images are not scans)");
  if (h.bits != bits)
    return invalid_argument("NIfTI bitpix: " + std::to_string(h.bits) + " contradicts datatype " +
                            std::to_string(h.datatype) + ", which has " + std::to_string(bits) +
                            " (is the header damaged?)");
  const bool scaled = h.slope != 0 && !std::isnan(h.slope);
  if (scaled && (!std::isfinite(h.slope) || !std::isfinite(h.intercept)))
    return invalid_argument("NIfTI scl_slope or scl_inter: not a number (correct the header)");
  if ((h.units & 7) > 3)
    return invalid_argument("NIfTI xyzt_units: " + std::to_string(h.units & 7) +
                            " is no unit of length; expected 1 (m), 2 (mm), 3 (µm) or 0 (correct the header)");
  if (!(h.voxel_offset >= 0 && h.voxel_offset <= 16.0 * 1024 * 1024))
    return invalid_argument("NIfTI vox_offset: outside 0–16777216 (is the header damaged?)");
  return {};
}

double unit_scale(std::int64_t units) {
  switch (units & 7) {
    case 1: return 1000;   // metres
    case 3: return 0.001;  // micrometres
    default: return 1;     // millimetres, or not said
  }
}

// The rotation of a unit quaternion (b, c, d), a >= 0, as in nifti1.h, method 2.
Eigen::Matrix3d rotation(Eigen::Vector3d q) {
  const double rest = 1 - q.squaredNorm();
  double a = 0;
  if (rest < 1e-7) q.normalize();
  else a = std::sqrt(rest);
  const double b = q[0], c = q[1], d = q[2];
  Eigen::Matrix3d out;
  out << a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c),  //
      2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b),     //
      2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b;
  return out;
}

// Voxel index → RAS, in the header's unit of length, by the qform or, without one, by the plain spacing.
Result<Eigen::Affine3d> second_affine_of(const RawHeader& h) {
  Eigen::Affine3d out = Eigen::Affine3d::Identity();
  if (h.qform_code > 0) {
    if (!(h.quaternion.squaredNorm() <= 1.001))
      return invalid_argument("NIfTI quaternion: longer than 1 or not a number (correct the header)");
    out.linear() = rotation(h.quaternion);
    if (h.pixdim[0] < 0) out.linear().col(2) *= -1;
    out.translation() = h.offset;
  }
  for (unsigned axis = 0; axis < 3; ++axis) out.linear().col(axis) *= h.pixdim[axis + 1];
  return out;
}

Result<volume::VolumeGeometry> placed_by(const RawHeader& h, const Eigen::Affine3d& affine) {
  const Eigen::Vector3d to_lps(-1, -1, 1);  // from RAS
  const double scale = unit_scale(h.units);
  volume::VolumeGeometry out;
  for (unsigned axis = 0; axis < 3; ++axis) {
    out.size[axis] = h.dim[axis + 1];
    const Eigen::Vector3d step = affine.linear().col(axis);
    out.spacing_mm[axis] = step.norm() * scale;
    out.direction.col(axis) = to_lps.cwiseProduct(step) / step.norm();
  }
  out.origin_mm = to_lps.cwiseProduct(affine.translation()) * scale;
  return volume::checked_geometry(out);
}

// The largest distance between the places that two transforms give one voxel, in mm.
double apart_mm(const RawHeader& h, const Eigen::Affine3d& a, const Eigen::Affine3d& b) {
  if (!a.matrix().allFinite() || !b.matrix().allFinite()) return std::numeric_limits<double>::infinity();
  double out = 0;
  for (unsigned corner = 0; corner < 8; ++corner) {
    Eigen::Vector3d index = Eigen::Vector3d::Zero();
    for (unsigned axis = 0; axis < 3; ++axis)
      if ((corner >> axis & 1U) != 0) index[axis] = static_cast<double>(h.dim[axis + 1] - 1);
    out = std::max(out, (a * index - b * index).norm() * unit_scale(h.units));
  }
  return out;
}

std::string mm(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f mm", value);
  return text;
}

Result<volume::VolumeGeometry> geometry_of(const RawHeader& h, std::string& note) {
  const Result<Eigen::Affine3d> second = second_affine_of(h);
  if (h.sform_code <= 0) {
    if (!second) return second.error();
    if (h.qform_code <= 0)
      note = "no sform and no qform: nothing says which way is left; placed by the order of the voxels alone";
    return placed_by(h, *second);
  }
  Result<volume::VolumeGeometry> out = placed_by(h, h.sform);
  if (!second || h.qform_code <= 0) return out;
  const Result<volume::VolumeGeometry> by_qform = placed_by(h, *second);
  if (!by_qform) return out;
  const double apart = apart_mm(h, h.sform, *second), voxel = by_qform->spacing_mm.maxCoeff();
  if (out) {
    if (apart > voxel) note = "sform and qform lie up to " + mm(apart) + " apart; sform was taken";
    return out;
  }
  if (apart <= voxel) {
    note = "the sform is sheared by up to " + mm(apart) + "; the qform was taken";
    return by_qform;
  }
  return out.error().with_context("NIfTI sform (the qform lies elsewhere)");
}

enum class Version { none, one, two };
struct Signature {
  Version version = Version::none;
  bool swapped = false;
};

Signature signature_of(ByteView head) {
  if (head.size() < 4) return {};
  for (const bool swapped : {false, true}) {
    const std::int32_t size = Fields(head, swapped).at<std::int32_t>(0);
    if (size == 348) return {Version::one, swapped};
    if (size == 540) return {Version::two, swapped};
  }
  return {};
}

}  // namespace

bool looks_like_nifti(ByteView head) noexcept { return signature_of(head).version != Version::none; }

bool looks_like_gzip(ByteView head) noexcept { return head.size() >= 2 && head[0] == 0x1f && head[1] == 0x8b; }

Result<NiftiHeader> inspect_nifti(ByteView head) {
  static_assert(std::endian::native == std::endian::little);
  const Signature signature = signature_of(head);
  if (signature.version == Version::none)
    return invalid_argument("NIfTI header: the first number is neither 348 nor 540; this is not a NIfTI file");
  const std::size_t size = signature.version == Version::one ? 348 : 540;
  if (head.size() < size)
    return invalid_argument("NIfTI header: cut off after " + std::to_string(head.size()) + " of " +
                            std::to_string(size) + " bytes (copy the file again)");
  const std::string_view magic = as_text(head.subspan(signature.version == Version::one ? 344 : 4, 3));
  if (magic == "ni1" || magic == "ni2")
    return invalid_argument("NIfTI magic: header and voxels in two files; convert to a single .nii file");
  if (magic != "n+1" && magic != "n+2")
    return invalid_argument("NIfTI magic: missing; an Analyze 7.5 file or a damaged header: convert to .nii");

  const Fields fields(head, signature.swapped);
  const RawHeader raw = signature.version == Version::one ? read_version_1(fields) : read_version_2(fields);
  FOVEA_TRY(check_dimensions(raw));
  FOVEA_TRY(check_voxels(raw));
  NiftiHeader out;
  FOVEA_TRY_ASSIGN(out.geometry, geometry_of(raw, out.note));
  out.voxel_offset = std::max<std::uint64_t>(static_cast<std::uint64_t>(raw.voxel_offset), size + 4);
  out.datatype = raw.datatype;
  out.swapped = signature.swapped;
  if (raw.slope != 0 && !std::isnan(raw.slope)) out.slope = raw.slope, out.intercept = raw.intercept;
  out.voxel_bytes = out.geometry.voxel_count() * static_cast<std::uint64_t>(raw.bits) / 8;
  return out;
}

}  // namespace fovea::node::intake

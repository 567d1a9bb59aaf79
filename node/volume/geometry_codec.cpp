#include "node/volume/geometry_codec.h"

#include <cstdint>

#include "node/volume/canonical.h"

namespace fovea::node::volume {

void put_geometry(ByteWriter& out, const VolumeGeometry& geometry) {
  for (const std::int64_t size : geometry.size) out.u64(static_cast<std::uint64_t>(size));
  for (const double value : geometry.spacing_mm) out.f64(value);
  for (const double value : geometry.origin_mm) out.f64(value);
  for (const double value : geometry.direction.reshaped<Eigen::RowMajor>()) out.f64(value);
}

Result<VolumeGeometry> get_geometry(ByteReader& in) {
  VolumeGeometry out;
  for (std::int64_t& size : out.size) {
    FOVEA_TRY_ASSIGN(const std::uint64_t value, in.u64("size"));
    if (value > static_cast<std::uint64_t>(kAxisVoxelsMax)) return corruption("geometry: size out of bounds");
    size = static_cast<std::int64_t>(value);
  }
  for (double& value : out.spacing_mm) {
    FOVEA_TRY_ASSIGN(value, in.f64("spacing"));
  }
  for (double& value : out.origin_mm) {
    FOVEA_TRY_ASSIGN(value, in.f64("origin"));
  }
  for (unsigned row = 0; row < 3; ++row)
    for (unsigned axis = 0; axis < 3; ++axis) {
      FOVEA_TRY_ASSIGN(out.direction(row, axis), in.f64("direction"));
    }
  return out;
}

}  // namespace fovea::node::volume

// One scan as embedding, training and evaluation see it: a coarse view of everything, and full-resolution regions on
// request. All intensities are normalised as the plan says; all positions are mm, LPS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/result.h"
#include "node/scan_view/coarse_view.h"
#include "node/volume/volume.h"

namespace fovea::node::scan_view {

inline constexpr std::int64_t kRegionEdge = 32;  // samples along each axis of a region
inline constexpr double kRegionSpacingMm = 1;
inline constexpr std::size_t kRegionVoxels = 32 * 32 * 32;

class ScanSource {
 public:
  virtual ~ScanSource() = default;

  virtual const CoarseView& coarse() const = 0;  // cubes of kCoarseSpacingMm (pyramid.h)
  virtual IntensityLevels levels() const = 0;

  // kRegionVoxels samples, i fastest, around the centre along the scan's own axes; `out` has that size. Samples outside
  // the scan are air. corruption: the stored scan was changed; `out` is then unspecified.
  virtual Result<void> read_region(const volume::Point3& centre_mm, std::span<float> out) = 0;

  // Share of the full-resolution voxels that read_region needed since begin_session(), each counted once.
  virtual double fraction_read() const = 0;
  virtual void begin_session() = 0;
};

}  // namespace fovea::node::scan_view

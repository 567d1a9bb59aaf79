// One scan as the learning parts see it: a coarse view of everything, and full-resolution regions on request.
// All intensities are normalised as the plan says; all positions are mm, LPS.
#pragma once

#include <memory>
#include <span>

#include "common/result.h"
#include "node/scan_view/coarse_view.h"
#include "node/store/brick_volume.h"
#include "node/store/study_catalogue.h"
#include "node/volume/intensity.h"
#include "node/volume/volume.h"

namespace fovea::node {

inline constexpr std::int64_t kRegionEdge = 32;  // samples along each axis of a region
inline constexpr double kRegionSpacingMm = 1;
inline constexpr std::size_t kRegionVoxels = 32 * 32 * 32;
inline constexpr double kCoarseSpacingMm = 2;

// Normalised values with a meaning of their own.
struct IntensityLevels {
  float air = 0;   // what lies outside the scan
  float body = 0;  // voxels above it belong to the patient, roughly
};
IntensityLevels intensity_levels(const IntensityStatistics& statistics, Normalisation kind) noexcept;

class ScanSource {
 public:
  virtual ~ScanSource() = default;

  virtual const CoarseView& coarse() const = 0;  // cubes of kCoarseSpacingMm
  virtual IntensityLevels levels() const = 0;

  // kRegionVoxels samples, i fastest, around the centre along the scan's own axes; `out` has that size.
  virtual Result<void> read_region(const Point3& centre_mm, std::span<float> out) = 0;

  // Share of the full-resolution voxels read since begin_session(), each counted once.
  virtual double fraction_read() const = 0;
  virtual void begin_session() = 0;
};

// A catalogued study on disk. One thread.
class BrickScan final : public ScanSource {
 public:
  // not_found or corruption when the study's files are missing or damaged.
  static Result<BrickScan> open(const StudyRecord& record, Normalisation kind);

  const CoarseView& coarse() const override { return coarse_; }
  IntensityLevels levels() const override { return intensity_levels(bricks_.statistics(), kind_); }
  Result<void> read_region(const Point3& centre_mm, std::span<float> out) override;
  double fraction_read() const override { return bricks_.counter().fraction_read(); }
  void begin_session() override { bricks_.begin_session(); }

 private:
  BrickScan(BrickVolume bricks, CoarseView coarse, Normalisation kind)
      : bricks_(std::move(bricks)), coarse_(std::move(coarse)), kind_(kind) {}
  BrickVolume bricks_;
  CoarseView coarse_;
  Normalisation kind_;
};

}  // namespace fovea::node

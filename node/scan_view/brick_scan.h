// A catalogued study on disk as a ScanSource.
#pragma once

#include <span>
#include <utility>

#include "common/result.h"
#include "node/scan_view/coarse_view.h"
#include "node/scan_view/scan_source.h"
#include "node/store/brick_volume.h"
#include "node/store/study_catalogue.h"
#include "node/volume/intensity.h"
#include "node/volume/volume.h"

namespace fovea::node::scan_view {

IntensityLevels intensity_levels(const volume::IntensityStatistics& statistics, volume::Normalisation kind) noexcept;

// Keeps the study's files open and its coarse view in memory. One thread.
class BrickScan final : public ScanSource {
 public:
  // Reads the 2 mm level whole, which the read counter does not see; where no axis of the scan is finer than 2 mm,
  // that level is the scan itself. not_found or corruption when the study's files are missing or damaged.
  static Result<BrickScan> open(const store::StudyRecord& record, volume::Normalisation kind);

  const CoarseView& coarse() const override { return coarse_; }
  IntensityLevels levels() const override { return intensity_levels(bricks_.statistics(), kind_); }
  Result<void> read_region(const volume::Point3& centre_mm, std::span<float> out) override;
  double fraction_read() const override { return bricks_.counter().fraction_read(); }
  void begin_session() override { bricks_.begin_session(); }

 private:
  BrickScan(store::BrickVolume bricks, CoarseView coarse, volume::Normalisation kind)
      : bricks_(std::move(bricks)), coarse_(std::move(coarse)), kind_(kind) {}
  store::BrickVolume bricks_;
  CoarseView coarse_;
  volume::Normalisation kind_;
};

}  // namespace fovea::node::scan_view

#include "node/scan_view/brick_scan.h"

#include "common/check.h"
#include "node/store/pyramid.h"

namespace fovea::node {

IntensityLevels intensity_levels(const IntensityStatistics& statistics, Normalisation kind) noexcept {
  IntensityLevels levels;
  switch (kind) {
    case Normalisation::mr_foreground: levels.body = statistics.foreground_threshold; break;
    case Normalisation::ct_soft_tissue: levels.body = -150; break;
    case Normalisation::ct_lung: levels.body = -900; break;  // lungs belong to it
    case Normalisation::ct_brain: levels.body = 5; break;    // what the window shows of the head
    case Normalisation::pet_suv: levels.body = 0.2F; break;
  }
  levels.air = outside_value(statistics);
  normalise(std::span(&levels.air, 1), statistics, kind);
  normalise(std::span(&levels.body, 1), statistics, kind);
  return levels;
}

Result<BrickScan> BrickScan::open(const StudyRecord& record, Normalisation kind) {
  FOVEA_TRY_ASSIGN(BrickVolume bricks, BrickVolume::open(record.bricks, record.volume_key));
  FOVEA_TRY_ASSIGN(Volume coarse, read_level(record.level_2mm, record.volume_key, kCoarseSpacingMm));
  normalise(coarse.voxels, bricks.statistics(), kind);
  CoarseView view(coarse, intensity_levels(bricks.statistics(), kind).air);
  return BrickScan(std::move(bricks), std::move(view), kind);
}

Result<void> BrickScan::read_region(const Point3& centre_mm, std::span<float> out) {
  FOVEA_CHECK(out.size() == kRegionVoxels);
  const IntensityStatistics& statistics = bricks_.statistics();
  FOVEA_TRY(bricks_.read_crop(bricks_.geometry().to_index(centre_mm), kRegionEdge, kRegionSpacingMm, out,
                              outside_value(statistics)));
  normalise(out, statistics, kind_);
  return {};
}

}  // namespace fovea::node

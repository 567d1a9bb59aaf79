#include "node/scan_view/brick_scan.h"

#include "common/check.h"
#include "node/store/pyramid.h"

namespace fovea::node::scan_view {

IntensityLevels intensity_levels(const volume::IntensityStatistics& statistics, volume::Normalisation kind) noexcept {
  IntensityLevels levels;
  switch (kind) {
    case volume::Normalisation::mr_foreground: levels.body = statistics.foreground_threshold; break;
    case volume::Normalisation::ct_soft_tissue: levels.body = -150; break;
    case volume::Normalisation::ct_lung: levels.body = -900; break;  // lungs belong to it
    case volume::Normalisation::ct_brain: levels.body = 5; break;    // what the window shows of the head
    case volume::Normalisation::pet_suv: levels.body = 0.2F; break;
  }
  levels.air = volume::outside_value(statistics);
  volume::normalise(std::span(&levels.air, 1), statistics, kind);
  volume::normalise(std::span(&levels.body, 1), statistics, kind);
  return levels;
}

Result<BrickScan> BrickScan::open(const store::StudyRecord& record, volume::Normalisation kind) {
  FOVEA_TRY_ASSIGN(store::BrickVolume bricks, store::BrickVolume::open(record.bricks, record.volume_key));
  FOVEA_TRY_ASSIGN(volume::Volume coarse,
                   store::read_level(record.level_2mm, record.volume_key, store::kCoarseSpacingMm));
  volume::normalise(coarse.voxels, bricks.statistics(), kind);
  CoarseView view(coarse, intensity_levels(bricks.statistics(), kind).air);
  return BrickScan(std::move(bricks), std::move(view), kind);
}

Result<void> BrickScan::read_region(const volume::Point3& centre_mm, std::span<float> out) {
  FOVEA_CHECK(out.size() == kRegionVoxels);
  const volume::IntensityStatistics& statistics = bricks_.statistics();
  FOVEA_TRY(bricks_.read_crop(bricks_.geometry().to_index(centre_mm), kRegionEdge, kRegionSpacingMm, out,
                              volume::outside_value(statistics)));
  volume::normalise(out, statistics, kind_);
  return {};
}

}  // namespace fovea::node::scan_view

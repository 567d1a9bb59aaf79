#include "node/embedding/look.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "node/saliency/proposer.h"

namespace fovea::node::embedding {
namespace {

constexpr float kLevels = 127;

// mm along the scan's axes, from the first voxel.
volume::Point3 axis_mm(const volume::VolumeGeometry& geometry, const volume::Point3& point) {
  return geometry.to_index(point).cwiseProduct(geometry.spacing_mm);
}

}  // namespace

BodyBox BodyBox::of(const saliency::Prior& prior) {
  const saliency::CellBox cells = saliency::box_of_cells_above(prior, saliency::kMarginPrior);
  BodyBox box;
  for (unsigned axis = 0; axis < 3; ++axis) {
    box.low[axis] = static_cast<double>(cells.low[axis]) * prior.grid.geometry.spacing_mm[axis];
    box.high[axis] = static_cast<double>(cells.high[axis] - 1) * prior.grid.geometry.spacing_mm[axis];
  }
  return box;
}

Traits traits_of(const saliency::Region& region, const BodyBox& box, const volume::VolumeGeometry& geometry) {
  Traits traits{};
  traits[0] = static_cast<float>(std::clamp(region.logit, -20.0, 20.0) / 4);
  traits[1] = static_cast<float>(std::log(std::clamp(region.radius_mm, 0.2, 50.0)) - 1.4);
  const volume::Point3 at = axis_mm(geometry, region.centre_mm);
  for (unsigned axis = 0; axis < 3; ++axis) {
    const double half = std::max((box.high[axis] - box.low[axis]) / 2, 1.0);
    traits[2 + axis] = static_cast<float>(std::clamp((at[axis] - box.low[axis]) / half - 1, -1.5, 1.5));
  }
  return traits;
}

StoredEmbedding quantised(const Embedding& embedding) noexcept {
  StoredEmbedding out{};
  std::transform(embedding.begin(), embedding.end(), out.begin(), [](float value) {
    return static_cast<std::int8_t>(std::lround(std::clamp(value, -1.0F, 1.0F) * kLevels));
  });
  return out;
}

Embedding dequantised(const StoredEmbedding& stored) noexcept {
  Embedding out{};
  std::transform(stored.begin(), stored.end(), out.begin(),
                 [](std::int8_t level) { return static_cast<float>(level) / kLevels; });
  return out;
}

Result<std::vector<float>> read_regions(scan_view::ScanSource& scan, std::span<const saliency::Region> regions) {
  std::vector<float> crops(regions.size() * scan_view::kRegionVoxels);
  for (std::size_t r = 0; r < regions.size(); ++r)
    FOVEA_TRY(scan.read_region(regions[r].centre_mm,
                               std::span(crops).subspan(r * scan_view::kRegionVoxels, scan_view::kRegionVoxels)));
  return crops;
}

Result<StudyLook> look_at(const network::NetworkParameters& parameters, scan_view::ScanSource& scan,
                          const saliency::Prior& prior, const saliency::LookSettings& settings, std::uint64_t seed) {
  StudyLook look;
  scan.begin_session();
  FOVEA_TRY_ASSIGN(const saliency::HeatMap heat, saliency::find_heat(parameters, scan.coarse(), prior));
  look.regions = saliency::choose_regions(prior, heat, settings, seed);
  if (look.regions.empty()) return failed_precondition("study: the prior leaves no place to look at");
  FOVEA_TRY_ASSIGN(const std::vector<float> crops, read_regions(scan, look.regions));
  FOVEA_TRY_ASSIGN(look.vectors.embeddings, embed_regions(parameters, crops));
  for (Embedding& embedding : look.vectors.embeddings) embedding = dequantised(quantised(embedding));
  const BodyBox box = BodyBox::of(prior);
  for (const saliency::Region& region : look.regions)
    look.vectors.traits.push_back(traits_of(region, box, prior.grid.geometry));
  FOVEA_TRY_ASSIGN(look.assessments, assess_regions(parameters, look.vectors));
  FOVEA_TRY_ASSIGN(look.logit, study_logit(parameters, look.vectors));
  look.fraction_read = scan.fraction_read();
  return look;
}

std::uint64_t look_seed(std::uint64_t seed, std::string_view study_code) noexcept {
  std::uint64_t hash = 0xCBF29CE484222325U ^ seed;  // FNV-1a
  for (const char c : study_code) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001B3U;
  return hash;
}

volume::Point3 refined_centre(const saliency::Region& region, const RegionAssessment& assessment,
                              const volume::VolumeGeometry& geometry) noexcept {
  const Eigen::Vector3d offset = assessment.offset_mm.cwiseQuotient(geometry.spacing_mm);
  return geometry.to_point(geometry.to_index(region.centre_mm) + offset);
}

}  // namespace fovea::node::embedding

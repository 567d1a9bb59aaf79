// Intensity statistics of one scan, computed once at ingest, and the normalisations that a plan can ask for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "common/result.h"
#include "node/volume/volume.h"

namespace fovea::node::volume {

// Voxels of a canonical volume as they are held: 16-bit integers where that loses nothing, else float.
using VoxelSpan = std::variant<std::span<const std::int16_t>, std::span<const float>>;
std::size_t voxel_count(const VoxelSpan& voxels) noexcept;

// All values in the scan's own units. Percentiles are exact order statistics (lower nearest rank).
// The foreground is what lies above foreground_threshold = 0.25 · p99; where that leaves
// nothing (p99 <= 0 and no positive voxel), it is the whole scan.
struct IntensityStatistics {
  float minimum = 0, maximum = 0, mean = 0, deviation = 0;  // of all voxels
  float p99 = 0;
  float foreground_threshold = 0;
  float median = 0, p16 = 0, p84 = 0;  // of the foreground
  float foreground_fraction = 0;
  bool operator==(const IntensityStatistics&) const = default;
};

// invalid_argument: no voxels, or a voxel that is not finite, or every voxel the same.
Result<IntensityStatistics> intensity_statistics(const VoxelSpan& voxels);

enum class Normalisation { mr_foreground, ct_soft_tissue, ct_lung, ct_brain, pet_suv };
// "mr-foreground", "ct-soft-tissue", "ct-lung", "ct-brain" or "pet-suv", as in a plan's intake.normalisation.
Result<Normalisation> parse_normalisation(std::string_view text);
std::string_view to_string(Normalisation kind) noexcept;

// In place:
//   mr_foreground   (x − median) / ((p84 − p16) / 2), clipped to ±4
//   ct_soft_tissue  HU clipped to −160…240, then (x − 40) / 100: −2…2
//   ct_lung         HU clipped to −1000…400, then (x + 300) / 350: −2…2
//   ct_brain        HU clipped to 0…80, then (x − 40) / 20: −2…2
//   pet_suv         ln(1 + SUV), SUV clipped to 0…50: 0…3.93
void normalise(std::span<float> voxels, const IntensityStatistics& statistics, Normalisation kind) noexcept;

// The HU between which a CT is clipped, and in which people look at it; none for other kinds.
struct HuWindow {
  float low = 0, high = 0;
};
std::optional<HuWindow> ct_window(Normalisation kind) noexcept;

// What lies outside the scan, in the scan's own units: air. Pass it to read_box and read_crop.
float outside_value(const IntensityStatistics& statistics) noexcept;

}  // namespace fovea::node::volume

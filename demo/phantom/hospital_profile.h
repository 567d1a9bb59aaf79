// The four demonstration hospitals. Each is skewed on purpose: one sees mostly small lesions, one mostly large ones,
// one few positive patients, and one another tissue contrast. docs/phantom.md describes how patients are made.
#pragma once

#include <array>
#include <string_view>

namespace fovea::demo {

struct HospitalProfile {
  std::string_view name;
  std::string_view remark;
  double positive_fraction;  // of patients with at least one lesion
  double small_fraction;     // of lesions drawn from 3–6 mm
  double large_fraction;     // of lesions drawn from 10–14 mm; the rest from 6–10 mm
  int slice_thickness_mm;    // whole multiple of the template's 1 mm
  double noise_fraction;     // Gaussian sigma of each channel, of white matter
  double intensity_scale;    // scanner units per template unit
  double gamma;              // tissue contrast: intensity → wm · (intensity / wm)^gamma
};

inline constexpr std::array<HospitalProfile, 4> kHospitals{{
    {"st-anna", "mostly small lesions", 0.65, 0.70, 0.05, 1, 0.030, 1.0, 1.0},
    {"riverside", "mostly large lesions, thick slices", 0.65, 0.10, 0.60, 3, 0.025, 7.5, 1.0},
    {"lakeview", "few positive patients", 0.30, 0.34, 0.33, 2, 0.035, 0.6, 1.0},
    {"hilltop", "another tissue contrast", 0.65, 0.34, 0.33, 1, 0.030, 21.0, 1.5},
}};

inline constexpr double kLesionDiameterMinMm = 3.0;
inline constexpr double kLesionDiameterMaxMm = 14.0;
inline constexpr double kLesionContrastMin = 0.30;  // of white matter
inline constexpr double kLesionContrastMax = 0.60;
inline constexpr int kLesionsMax = 6;

}  // namespace fovea::demo

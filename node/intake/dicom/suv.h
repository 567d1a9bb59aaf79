// Standardised uptake values by body weight (SUVbw) from the fields of a PET series. The rule follows the
// vendor-neutral pseudo-code of the Quantitative Imaging Biomarkers Alliance: every field is checked, none assumed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

namespace fovea::node::intake {

struct PetFields {
  std::string units;                               // (0054,1001): BQML, or GML for SUV as stored
  std::vector<std::string> corrections;            // (0028,0051)
  std::string decay_correction;                    // (0054,1102)
  std::optional<double> weight_kg;                 // (0010,1030)
  std::optional<double> dose_bq;                   // (0018,1074)
  std::optional<double> half_life_s;               // (0018,1075)
  std::string injection_datetime;                  // (0018,1078), YYYYMMDDHHMMSS…, or empty
  std::string injection_time;                      // (0018,1072), HHMMSS…
  std::string series_date, series_time;            // (0008,0021), (0008,0031)
  std::string acquisition_date, acquisition_time;  // of the earliest slice: (0008,0022), (0008,0032)
};

// What a rescaled voxel is multiplied with to give SUVbw. invalid_argument names the field that is missing or wrong.
Result<double> suv_factor(const PetFields& fields);

}  // namespace fovea::node::intake

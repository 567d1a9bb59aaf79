// Standardised uptake values by body weight (SUVbw) from the fields of a PET series. The rule follows the
// vendor-neutral pseudo-code of the Quantitative Imaging Biomarkers Alliance: every field is checked, none assumed.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "common/result.h"

namespace fovea::node::intake {

// Of one image, as they stand in the file without padding; empty when missing.
struct PetFields {
  std::string units;                               // (0054,1001): BQML, Philips' CNTS, or GML for SUV as stored
  std::string suv_type;                            // (0054,1006): BW, LBM, BSA, IBW
  std::vector<std::string> corrections;            // (0028,0051)
  std::string decay_correction;                    // (0054,1102): START, ADMIN, NONE
  std::string weight_kg;                           // (0010,1030)
  std::size_t tracers = 0;                         // items of (0054,0016); what follows is of the first
  std::string dose_bq;                             // (0018,1074)
  std::string half_life_s;                         // (0018,1075)
  std::string injection_datetime;                  // (0018,1078), with an offset from UTC or without
  std::string injection_time;                      // (0018,1072)
  std::string utc_offset;                          // (0008,0201), of every date and time that states none
  std::string series_date, series_time;            // (0008,0021), (0008,0031)
  std::string acquisition_date, acquisition_time;  // (0008,0022), (0008,0032)
  std::string acquisition_datetime;                // (0008,002a)
  std::string frame_reference_ms;                  // (0054,1300), from the start to which decay was corrected
  std::string frame_duration_ms;                   // (0018,1242)
  std::string decay_factor;                        // (0054,1321)
  std::string ge_scan_datetime;                    // (0009,xx0d) of GEMS_PETD_01
  std::string philips_suv;                         // (7053,xx00) of Philips PET Private Group: SUVbw a count
  std::string philips_activity;                    // (7053,xx09) likewise: Bq/ml a count
};

// What a rescaled voxel of the series is multiplied with to give SUVbw. `images`: all of the series, of every bed and
// time point, since decay is corrected to one start. invalid_argument names the field that is missing, wrong,
// implausible or different between images.
Result<double> suv_factor(std::span<const PetFields> images);

}  // namespace fovea::node::intake

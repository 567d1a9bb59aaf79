#include "node/intake/dicom/suv.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <string_view>

namespace fovea::node::intake {
namespace {

// "YYYYMMDD" and "HHMMSS.ffffff" as seconds since 1970 on the scanner's own clock.
std::optional<double> seconds_of(std::string_view date, std::string_view time) {
  const auto digits = [](std::string_view text, std::size_t at, std::size_t count) -> std::optional<int> {
    int value = 0;
    if (text.size() < at + count) return std::nullopt;
    const auto [end, failed] = std::from_chars(text.data() + at, text.data() + at + count, value);
    if (failed != std::errc{} || end != text.data() + at + count || value < 0) return std::nullopt;
    return value;
  };
  const auto year = digits(date, 0, 4), month = digits(date, 4, 2), day = digits(date, 6, 2);
  const auto hour = digits(time, 0, 2), minute = digits(time, 2, 2), second = digits(time, 4, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  using namespace std::chrono;
  const year_month_day when{std::chrono::year{*year}, std::chrono::month{static_cast<unsigned>(*month)},
                            std::chrono::day{static_cast<unsigned>(*day)}};
  if (!when.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  double fraction = 0;
  if (time.size() > 7 && time[6] == '.')
    for (double scale = 0.1; const char c : time.substr(7)) {
      if (c < '0' || c > '9') break;
      fraction += scale * (c - '0');
      scale /= 10;
    }
  const auto days = static_cast<double>(sys_days{when}.time_since_epoch().count());
  return days * 86400 + *hour * 3600 + *minute * 60 + *second + fraction;
}

bool holds(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

Error missing(const char* field) {
  return invalid_argument(
      std::string("PET ") + field +
      ": missing or not usable, so SUV cannot be computed; send the original series with this field");
}

}  // namespace

Result<double> suv_factor(const PetFields& fields) {
  if (fields.units == "GML") return 1.0;
  if (fields.units != "BQML")
    return invalid_argument("PET Units: \"" + fields.units.substr(0, 8) +
                            "\"; expected BQML or GML (counts cannot be converted to SUV)");
  if (!holds(fields.corrections, "ATTN"))
    return invalid_argument("PET Corrected Image: ATTN is missing; only attenuation-corrected series are accepted");
  if (!holds(fields.corrections, "DECY"))
    return invalid_argument("PET Corrected Image: DECY is missing; only decay-corrected series are accepted");
  if (fields.decay_correction != "START") return invalid_argument("PET Decay Correction: expected START");
  if (!fields.weight_kg || !(*fields.weight_kg > 0.2 && *fields.weight_kg < 600)) return missing("Patient's Weight");
  if (!fields.dose_bq || !(*fields.dose_bq > 1e3 && *fields.dose_bq < 1e12))
    return missing("Radionuclide Total Dose (in Bq)");
  if (!fields.half_life_s || !(*fields.half_life_s > 1)) return missing("Radionuclide Half Life");

  const std::optional<double> series = seconds_of(fields.series_date, fields.series_time);
  const std::optional<double> acquired = seconds_of(fields.acquisition_date, fields.acquisition_time);
  if (!acquired) return missing("Acquisition Date and Time");
  // A series made later by post-processing bears the time of that; then the first slice's time is the start.
  const double start = series && *series <= *acquired ? *series : *acquired;
  std::optional<double> injected;
  if (fields.injection_datetime.size() >= 14)
    injected = seconds_of(fields.injection_datetime.substr(0, 8), fields.injection_datetime.substr(8));
  if (!injected && series) injected = seconds_of(fields.series_date, fields.injection_time);
  if (!injected) injected = seconds_of(fields.acquisition_date, fields.injection_time);
  if (!injected) return missing("Radiopharmaceutical Start Time");
  double waited = start - *injected;
  // Only the time of day is known, and midnight lay between.
  if (fields.injection_datetime.size() < 14 && waited < 0) waited += 86400;
  if (!(waited >= 0 && waited < 10 * *fields.half_life_s))
    return invalid_argument(
        "PET Radiopharmaceutical Start Time: does not lie shortly before the scan, so SUV cannot be computed");
  const double dose = *fields.dose_bq * std::exp2(-waited / *fields.half_life_s);
  return *fields.weight_kg * 1000 / dose;
}

}  // namespace fovea::node::intake

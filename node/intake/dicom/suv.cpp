#include "node/intake/dicom/suv.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <numbers>
#include <optional>
#include <string_view>
#include <utility>

#include "common/numbers.h"

namespace fovea::node::intake {
namespace {

constexpr double kDayS = 86400;
// Doses from those of newborns and rats to those of therapies. One in kBq, MBq or mCi lies below.
constexpr double kDoseMinBq = 4e6, kDoseMaxBq = 2e10;
// After that many half-lives hardly anything is left to see: the dates or clocks are wrong.
constexpr double kHalfLivesMax = 6;
// By how much the fields that say the start of decay correction twice may disagree, as a share of the value.
constexpr double kDecayTolerance = 0.05;
constexpr double kSeriesAheadMaxS = 6 * 3600;  // of its first image
constexpr double kSameMomentS = 60;

Error wrong(std::string_view field, std::string_view what) {
  return invalid_argument("PET " + std::string(field) + ": " + std::string(what));
}

Error missing(std::string_view field) {
  return wrong(field, "missing or not usable, so SUV cannot be computed; send the original series with this field");
}

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  return text.size() < at + count ? std::nullopt : read_whole<int>(text.substr(at, count));
}

// DA, "YYYYMMDD": days since 1970.
std::optional<double> days_of(std::string_view date) {
  const auto year = digits(date, 0, 4), month = digits(date, 4, 2), day = digits(date, 6, 2);
  if (date.size() != 8 || !year || !month || !day) return std::nullopt;
  using namespace std::chrono;
  const year_month_day when{std::chrono::year{*year}, std::chrono::month{static_cast<unsigned>(*month)},
                            std::chrono::day{static_cast<unsigned>(*day)}};
  if (!when.ok()) return std::nullopt;
  return static_cast<double>(sys_days{when}.time_since_epoch().count());
}

// TM, "HH", "HHMM", "HHMMSS" or "HHMMSS.F…": seconds since midnight.
std::optional<double> seconds_of(std::string_view time) {
  const std::string_view whole = time.substr(0, time.find('.'));
  if (whole.size() != 2 && whole.size() != 4 && whole.size() != 6) return std::nullopt;
  const auto hour = digits(whole, 0, 2), minute = whole.size() > 2 ? digits(whole, 2, 2) : 0,
             second = whole.size() > 4 ? digits(whole, 4, 2) : 0;
  if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  double fraction = 0;
  if (whole.size() < time.size()) {
    const std::string_view part = time.substr(whole.size() + 1);
    if (whole.size() != 6 || part.empty() || part.size() > 6 || !read_digits(part)) return std::nullopt;
    fraction = static_cast<double>(*read_digits(part)) / std::pow(10.0, static_cast<double>(part.size()));
  }
  return *hour * 3600 + *minute * 60 + *second + fraction;
}

// "+0100" in seconds.
std::optional<double> offset_of(std::string_view text) {
  if (text.size() != 5 || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  const auto hour = digits(text, 1, 2), minute = digits(text, 3, 2);
  if (!hour || !minute || *hour > 14 || *minute > 59) return std::nullopt;
  return (text[0] == '-' ? -1 : 1) * (*hour * 3600.0 + *minute * 60.0);
}

// DT: a day, perhaps with a time of day, perhaps with an offset from UTC.
struct DateTime {
  double day_s = 0;
  std::optional<double> time_s, offset_s;
};

std::optional<DateTime> datetime_of(std::string_view text) {
  DateTime out;
  if (const std::size_t sign = text.find_first_of("+-"); sign != std::string_view::npos) {
    out.offset_s = offset_of(text.substr(sign));
    if (!out.offset_s) return std::nullopt;
    text = text.substr(0, sign);
  }
  const std::optional<double> day = days_of(text.substr(0, 8));
  if (!day) return std::nullopt;
  out.day_s = *day * kDayS;
  if (text.size() == 8) return out;
  out.time_s = seconds_of(text.substr(8));
  return out.time_s ? std::optional(out) : std::nullopt;
}

double time_of_day(double seconds) { return seconds - kDayS * std::floor(seconds / kDayS); }

// The distance of two times of day, whichever way is shorter: −12 h to 12 h.
double clock_difference(double a_s, double b_s) { return time_of_day(a_s - b_s + kDayS / 2) - kDayS / 2; }

// A positive number; missing where there is none.
Result<double> positive(std::string_view field, std::string_view text) {
  if (text.empty()) return missing(field);
  const std::optional<double> value = read_decimal(text);
  if (!value) return wrong(field, decimal_fault(text));
  return *value > 0 ? Result<double>(*value) : missing(field);
}

bool holds(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// "70" and "70.0" are the same.
bool same_value(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const std::optional<double> first = read_decimal(a), second = read_decimal(b);
  return first && second && *first == *second;
}

// One factor serves the whole series, so that what it is made of is the same in every image. SUV as stored is made of
// the first two fields only.
Result<void> check_agreement(std::span<const PetFields> images, bool is_suv) {
  constexpr std::pair<std::string PetFields::*, std::string_view> kSame[] = {
      {&PetFields::units, "Units"},
      {&PetFields::suv_type, "SUV Type"},
      {&PetFields::decay_correction, "Decay Correction"},
      {&PetFields::weight_kg, "Patient's Weight"},
      {&PetFields::dose_bq, "Radionuclide Total Dose"},
      {&PetFields::half_life_s, "Radionuclide Half Life"},
      {&PetFields::injection_datetime, "Radiopharmaceutical Start DateTime"},
      {&PetFields::injection_time, "Radiopharmaceutical Start Time"},
      {&PetFields::utc_offset, "Timezone Offset From UTC"},
      {&PetFields::series_date, "Series Date"},
      {&PetFields::series_time, "Series Time"},
      {&PetFields::ge_scan_datetime, "scan Date and Time of GE (0009,100d)"},
      {&PetFields::philips_suv, "SUV scale of Philips (7053,1000)"},
      {&PetFields::philips_activity, "activity scale of Philips (7053,1009)"}};
  const PetFields& first = images.front();
  for (const PetFields& image : images) {
    for (const auto& [field, name] : std::span(kSame).first(is_suv ? 2 : std::size(kSame)))
      if (!same_value(image.*field, first.*field)) return wrong(name, "differs between the images of one series");
    if (!is_suv && image.tracers != first.tracers)
      return wrong("Radiopharmaceutical Information", "differs between the images of one series");
  }
  return {};
}

// Dates and times of one series on one clock: that of the site, as far as the fields say how far off theirs are.
class SiteClock {
 public:
  static Result<SiteClock> of(const PetFields& fields) {
    SiteClock out;
    if (fields.utc_offset.empty()) return out;
    out.site_offset_s_ = offset_of(fields.utc_offset);
    if (!out.site_offset_s_) return wrong("Timezone Offset From UTC", "expected an offset such as +0100");
    return out;
  }

  // Nothing when either is missing.
  static Result<std::optional<double>> moment(std::string_view field, std::string_view date, std::string_view time) {
    if (date.empty() || time.empty()) return std::optional<double>();
    const std::optional<double> day = days_of(date), second = seconds_of(time);
    if (!day || !second) return wrong(std::string(field) + " Date and Time", "not a date YYYYMMDD with a time HHMMSS");
    return std::optional<double>(*day * kDayS + *second);
  }

  // Of a scanner's own DT: where the site's offset is not known, it is this one's.
  Result<double> moment(std::string_view field, std::string_view text) const {
    const std::optional<DateTime> parsed = datetime_of(text);
    if (!parsed || !parsed->time_s) return wrong(field, "not a date and time YYYYMMDDHHMMSS");
    return parsed->day_s + *parsed->time_s +
           (parsed->offset_s && site_offset_s_ ? *site_offset_s_ - *parsed->offset_s : 0);
  }

  // When the dose was injected, on the site's clock, for a scan that began at `start_s`. A day is never guessed: where
  // only the time of day is known, the half-life must leave a single day that it can have been.
  Result<double> injection(const PetFields& fields, double start_s, double half_life_s) const {
    constexpr std::string_view kTime = "Radiopharmaceutical Start Time",
                               kDateTime = "Radiopharmaceutical Start DateTime";
    std::optional<double> time;
    if (!fields.injection_time.empty()) {
      time = seconds_of(fields.injection_time);
      if (!time) return wrong(kTime, "not a time HHMMSS");
    }
    if (fields.injection_datetime.empty()) {
      if (!time) return missing(kTime);
      return on_the_only_day(*time, start_s, half_life_s);
    }
    const std::optional<DateTime> parsed = datetime_of(fields.injection_datetime);
    if (!parsed) return wrong(kDateTime, "not a date and time YYYYMMDDHHMMSS");
    if (!parsed->time_s) {
      if (!time) return missing(kTime);
      return parsed->day_s + *time;
    }
    double out = parsed->day_s + *parsed->time_s;
    if (parsed->offset_s && site_offset_s_) {
      out += *site_offset_s_ - *parsed->offset_s;
    } else if (parsed->offset_s) {
      FOVEA_TRY_ASSIGN(const double site_offset, offset_between(out - *parsed->offset_s, time));
      out += site_offset - *parsed->offset_s;
    }
    if (time && std::abs(clock_difference(out, *time)) > kSameMomentS)
      return wrong(kTime,
                   "is another time of day than Radiopharmaceutical Start DateTime; correct the one that is wrong");
    return out;
  }

 private:
  static Result<double> on_the_only_day(double time_s, double start_s, double half_life_s) {
    if (kHalfLivesMax * half_life_s >= kDayS)
      return wrong("Radiopharmaceutical Start DateTime",
                   "missing; the time of day alone does not say the day of so long-lived a tracer");
    const double same_day = kDayS * std::floor(start_s / kDayS) + time_s;
    return same_day <= start_s ? same_day : same_day - kDayS;
  }

  // The site's offset from UTC, from the injection's time of day on its clock: quarters of an hour, and nobody lives
  // more than ten hours behind.
  static Result<double> offset_between(double utc_s, std::optional<double> time_s) {
    constexpr double kQuarterS = 900;
    if (time_s) {
      const double offset = clock_difference(*time_s, utc_s), whole = kQuarterS * std::round(offset / kQuarterS);
      if (std::abs(offset - whole) <= 1 && whole >= -10 * 3600) return whole;
    }
    return wrong("Timezone Offset From UTC",
                 "missing, while Radiopharmaceutical Start DateTime states an offset of its own: how far apart "
                 "injection and scan lie is not known");
  }

  std::optional<double> site_offset_s_;
};

struct Decay {
  double half_life_s = 0;
  double per_s() const { return std::numbers::ln2 / half_life_s; }
  // When the mean of a frame's decay is reached, from its beginning.
  double mean_s(double duration_s) const {
    const double share = per_s() * duration_s;
    return share < 1e-6 ? duration_s / 2 : std::log(share / -std::expm1(-share)) / per_s();
  }
};

Result<double> acquired_at(const SiteClock& clock, const PetFields& image) {
  FOVEA_TRY_ASSIGN(const std::optional<double> at,
                   SiteClock::moment("Acquisition", image.acquisition_date, image.acquisition_time));
  if (at) return *at;
  if (image.acquisition_datetime.empty()) return missing("Acquisition Date and Time");
  return clock.moment("Acquisition DateTime", image.acquisition_datetime);
}

// Zero when missing: some writers leave it out, and some fill it with zeros.
Result<double> zero_or_more(std::string_view field, std::string_view text) {
  if (text.empty()) return 0.0;
  const std::optional<double> value = read_decimal(text);
  return value ? Result<double>(*value) : Result<double>(wrong(field, decimal_fault(text)));
}

// The image's own words for the start to which its decay was corrected must fit the one that was found: a series whose
// time was changed later, or whose frames were each corrected to their own start, is found out.
Result<void> check_start(const PetFields& image, const Decay& decay, double acquired_s, double start_s) {
  FOVEA_TRY_ASSIGN(const double reference_ms, zero_or_more("Frame Reference Time", image.frame_reference_ms));
  FOVEA_TRY_ASSIGN(const double duration_ms, zero_or_more("Actual Frame Duration", image.frame_duration_ms));
  FOVEA_TRY_ASSIGN(const double factor, zero_or_more("Decay Factor", image.decay_factor));
  if (!(duration_ms > 0)) return {};
  const double duration_s = duration_ms / 1000, mean_s = decay.mean_s(duration_s);
  // Writers take a frame's beginning, middle or mean for its time.
  const double tolerance_s = duration_s / 2 + kDecayTolerance / decay.per_s();
  const double stated_s = acquired_s + mean_s - reference_ms / 1000;
  if (reference_ms > 0 && std::abs(stated_s - start_s) > tolerance_s)
    return wrong("Frame Reference Time", "does not fit the start of the series, so that decay cannot be undone");
  // Exactly 1 is written where nothing was computed.
  if (factor > 0 && factor != 1 &&
      std::abs(std::log(factor) / decay.per_s() - (acquired_s + mean_s - start_s)) > tolerance_s)
    return wrong("Decay Factor", "was not corrected to the start of the series (frame by frame?)");
  return {};
}

// To when decay was corrected, on the site's clock.
Result<double> decay_start(std::span<const PetFields> images, const SiteClock& clock, const Decay& decay) {
  std::vector<double> acquired;
  for (const PetFields& image : images) {
    FOVEA_TRY_ASSIGN(const double at, acquired_at(clock, image));
    acquired.push_back(at);
  }
  const double first = *std::min_element(acquired.begin(), acquired.end());
  const PetFields& any = images.front();
  FOVEA_TRY_ASSIGN(const std::optional<double> series, SiteClock::moment("Series", any.series_date, any.series_time));
  // A series made later by post-processing bears the time of that.
  double start = first;
  if (series && *series <= first) {
    start = *series;
  } else if (!any.ge_scan_datetime.empty()) {
    FOVEA_TRY_ASSIGN(start, clock.moment("scan Date and Time of GE (0009,100d)", any.ge_scan_datetime));
  }
  if (std::abs(first - start) > kSeriesAheadMaxS)
    return wrong("Series Date and Time", "lie hours from the first Acquisition Date and Time; correct the dates");
  for (std::size_t n = 0; n < images.size(); ++n) FOVEA_TRY(check_start(images[n], decay, acquired[n], start));
  return start;
}

// Activity, in Bq/ml, to SUVbw.
Result<double> factor_of_activity(std::span<const PetFields> images) {
  const PetFields& fields = images.front();
  const bool is_admin = fields.decay_correction == "ADMIN";
  if (!is_admin && fields.decay_correction != "START") return wrong("Decay Correction", "expected START or ADMIN");
  FOVEA_TRY_ASSIGN(const double weight_kg, positive("Patient's Weight", fields.weight_kg));
  if (!(weight_kg > 0.2 && weight_kg < 600)) return missing("Patient's Weight");
  if (fields.tracers > 1)
    return wrong("Radiopharmaceutical Information", "several tracers, so that SUV cannot be computed");
  FOVEA_TRY_ASSIGN(const double dose_bq, positive("Radionuclide Total Dose (in Bq)", fields.dose_bq));
  if (!(dose_bq >= kDoseMinBq && dose_bq <= kDoseMaxBq))
    return wrong("Radionuclide Total Dose (in Bq)",
                 "outside 4 MBq–20 GBq (in kBq, MBq or mCi?); correct it to becquerels");
  if (is_admin) return weight_kg * 1000 / dose_bq;  // as if all had been seen when it was injected
  Decay decay;
  FOVEA_TRY_ASSIGN(decay.half_life_s, positive("Radionuclide Half Life", fields.half_life_s));
  if (decay.half_life_s <= 1) return missing("Radionuclide Half Life");
  FOVEA_TRY_ASSIGN(const SiteClock clock, SiteClock::of(fields));
  FOVEA_TRY_ASSIGN(const double start_s, decay_start(images, clock, decay));
  FOVEA_TRY_ASSIGN(const double injected_s, clock.injection(fields, start_s, decay.half_life_s));
  const double waited_s = start_s - injected_s;
  if (!(waited_s >= 0 && waited_s < kHalfLivesMax * decay.half_life_s))
    return wrong("Radiopharmaceutical Start Time", "does not lie shortly before the scan, so SUV cannot be computed");
  return weight_kg * 1000 / (dose_bq * std::exp2(-waited_s / decay.half_life_s));
}

Result<double> plausible_scale(std::string_view field, double factor) {
  return factor > 1e-9 && factor < 1e9 ? Result<double>(factor) : wrong(field, "out of proportion");
}

Result<double> factor_of_counts(std::span<const PetFields> images) {
  constexpr std::string_view kSuv = "SUV scale of Philips (7053,1000)",
                             kActivity = "activity scale of Philips (7053,1009)";
  const PetFields& fields = images.front();
  FOVEA_TRY_ASSIGN(const double suv, zero_or_more(kSuv, fields.philips_suv));
  if (suv > 0) return plausible_scale(kSuv, suv);
  FOVEA_TRY_ASSIGN(const double activity, zero_or_more(kActivity, fields.philips_activity));
  if (!(suv == 0 && activity > 0))
    return wrong("Units",
                 "\"CNTS\" without Philips' private scale (7053,1000) or (7053,1009); counts cannot be "
                 "converted to SUV");
  FOVEA_TRY_ASSIGN(const double factor, factor_of_activity(images));
  return plausible_scale(kActivity, activity * factor);
}

}  // namespace

Result<double> suv_factor(std::span<const PetFields> images) {
  if (images.empty()) return missing("Units");
  const PetFields& fields = images.front();
  const bool is_suv = fields.units == "GML", is_counts = fields.units == "CNTS";
  FOVEA_TRY(check_agreement(images, is_suv));
  if (fields.units.empty())
    return wrong("Units",
                 "missing; expected BQML or GML (an enhanced object keeps them in its Real World Value Mapping, "
                 "which is not read: export it as a classic PET series)");
  if (!is_suv && !is_counts && fields.units != "BQML")
    return wrong("Units", "\"" + fields.units.substr(0, 8) + "\"; expected BQML or GML");
  for (const PetFields& image : images) {
    if (!holds(image.corrections, "ATTN"))
      return wrong("Corrected Image", "ATTN is missing; only attenuation-corrected series are accepted");
    if (!holds(image.corrections, "DECY"))
      return wrong("Corrected Image", "DECY is missing; only decay-corrected series are accepted");
  }
  if (is_counts) return factor_of_counts(images);
  if (!is_suv) return factor_of_activity(images);
  if (fields.suv_type.empty() || fields.suv_type == "BW") return 1.0;
  return wrong("SUV Type", "\"" + fields.suv_type.substr(0, 16) + "\"; only SUV by body weight (BW) is accepted");
}

}  // namespace fovea::node::intake

// SUV from the fields of PET images, each answer computed by hand from the vendor-neutral pseudo-code: right, or
// refused by the name of the field.
#include "node/intake/dicom/suv.h"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace fovea::node {
namespace {

constexpr double kF18 = 6588, kCu64 = 45721;

using Images = std::vector<intake::PetFields>;

// Injected at nine, two beds at ten: one hour, 70 kg, 370 MBq of fluorine.
Images sound() {
  intake::PetFields out;
  out.units = "BQML";
  out.corrections = {"DECY", "ATTN", "SCAT"};
  out.decay_correction = "START";
  out.weight_kg = "70", out.dose_bq = "370000000", out.half_life_s = "6588", out.tracers = 1;
  out.injection_time = "090000";
  out.series_date = out.acquisition_date = "20230105";
  out.series_time = out.acquisition_time = "100000";
  Images images(2, out);
  images[1].acquisition_time = "100500.250000";
  return images;
}

double factor(double waited_s, double half_life_s = kF18) {
  return 70'000 / (370e6 * std::exp2(-waited_s / half_life_s));
}

using Change = std::function<void(intake::PetFields&)>;

Images changed(const Change& change) {
  Images images = sound();
  for (intake::PetFields& image : images) change(image);
  return images;
}

void expect_factor(const Images& images, double expected, const std::string& why) {
  const Result<double> found = intake::suv_factor(images);
  ASSERT_TRUE(found) << why << ": " << found.error().message;
  EXPECT_NEAR(*found / expected, 1, 1e-9) << why;
}

void expect_refused(const Images& images, const std::string& named) {
  const Result<double> found = intake::suv_factor(images);
  ASSERT_FALSE(found) << named << ": " << *found;
  EXPECT_NE(found.error().message.find(named), std::string::npos) << named << ": " << found.error().message;
}

TEST(Suv, DecayIsUndoneFromInjectionToTheStartOfTheSeries) {
  expect_factor(sound(), factor(3600), "as it is");
  for (const std::string time : {"09", "0900", "090000", "090000.0", "090000.000000"})
    expect_factor(changed([&](auto& f) { f.injection_time = time; }), factor(3600), time);
  expect_factor(changed([](auto& f) { f.series_time = "095500"; }), factor(3300), "the scout before it began");
  expect_factor(changed([](auto& f) { f.series_time = "150000"; }), factor(3600), "made later: the earliest image");
  expect_factor(changed([](auto& f) { f.series_time = "150000", f.ge_scan_datetime = "20230105095800.00"; }),
                factor(3480), "made later, and GE says when the scan began");
  expect_factor(changed([](auto& f) { f.series_date = f.series_time = ""; }), factor(3600), "no series time");
  expect_factor(changed([](auto& f) { f.injection_time = "100000"; }), factor(0), "injected in the scanner");
  expect_factor(
      changed([](auto& f) { f.acquisition_date = f.acquisition_time = "", f.acquisition_datetime = "20230105100000"; }),
      factor(3600), "acquisition as one field");
}

TEST(Suv, EveryTimePointOfADynamicSeriesHasTheSameStart) {
  Images images = sound();
  for (intake::PetFields& image : images) {
    image.series_date = image.series_time = "";
    image.frame_duration_ms = "1200000";
  }
  images[0].frame_reference_ms = "600000", images[0].decay_factor = "1.065";
  images[1].frame_reference_ms = "1800000", images[1].decay_factor = "1.2085";
  images[1].acquisition_time = "102000";
  expect_factor(images, factor(3600), "by the first");
  std::swap(images[0], images[1]);
  expect_factor(images, factor(3600), "in the other order");
  for (intake::PetFields& image : images) image.decay_factor = "1.065";
  expect_refused(images, "Decay Factor");  // each frame to its own start
  for (intake::PetFields& image : images) image.decay_factor = "1", image.frame_reference_ms = "0";
  expect_factor(images, factor(3600), "fields that were filled with nothing");
  for (intake::PetFields& image : images) image.frame_duration_ms = "60000", image.frame_reference_ms = "3000000";
  expect_refused(images, "Frame Reference Time");
}

TEST(Suv, OffsetsFromUtcCount) {
  const auto at = [](const std::string& when, const std::string& site, const std::string& time) {
    return changed([&](auto& f) { f.injection_datetime = when, f.utc_offset = site, f.injection_time = time; });
  };
  expect_factor(at("20230105080000.000000+0000", "+0100", "090000"), factor(3600), "UTC");
  expect_factor(at("20230105080000+0000", "+0100", ""), factor(3600), "UTC alone");
  expect_factor(at("20230105000000-0800", "+0100", "090000"), factor(3600), "another side of the world");
  expect_factor(at("20230105090000", "+0100", ""), factor(3600), "the site's own");
  expect_factor(at("20230105080000+0000", "", "090000"), factor(3600), "its offset follows from the time of day");
  expect_factor(at("20230104233000+0000", "", "090000"), factor(3600), "+0930, and the day before in UTC");
  expect_refused(at("20230105080000+0000", "", ""), "Timezone Offset From UTC");
  expect_refused(at("20230105080000+0000", "", "090700"), "Timezone Offset From UTC");
  expect_refused(at("20230105080000+0000", "Berlin", "090000"), "Timezone Offset From UTC");
  expect_refused(at("20230105080000+9900", "+0100", "090000"), "Radiopharmaceutical Start DateTime");
  expect_refused(at("20230105080000", "", "090000"), "Radiopharmaceutical Start Time");  // an hour apart
}

TEST(Suv, ADayIsNeverGuessed) {
  const auto with = [](const std::string& half_life, const std::string& when, const std::string& time) {
    return changed([&](auto& f) { f.half_life_s = half_life, f.injection_datetime = when, f.injection_time = time; });
  };
  expect_factor(with("45721", "20230105090000", "090000"), factor(3600, kCu64), "dated");
  expect_factor(with("45721", "20230103090000", ""), factor(2 * 86400 + 3600, kCu64), "two days before");
  expect_factor(with("45721", "20230103", "090000"), factor(2 * 86400 + 3600, kCu64), "date and time apart");
  expect_refused(with("45721", "", "090000"), "Radiopharmaceutical Start DateTime");  // this day's, or another's
  expect_refused(with("45721", "", "100100"), "Radiopharmaceutical Start");           // clocks a minute apart
  expect_refused(with("6588", "", "100100"), "Radiopharmaceutical Start");
  expect_refused(with("6588", "20230105110000", ""), "Radiopharmaceutical Start");
  expect_refused(with("6588", "20190105090000", "090000"), "Radiopharmaceutical Start");
  Images night = with("6588", "", "233000");
  for (intake::PetFields& image : night) image.series_time = "003000", image.acquisition_time = "003000";
  expect_factor(night, factor(3600), "fluorine over midnight: no other day is possible");
  for (const std::string broken :
       {"2023010509000", "20231305090000", "2023-01-05 09:00", "yesterday", "20230105250000"})
    expect_refused(with("6588", broken, "090000"), "Radiopharmaceutical Start DateTime");
  for (const std::string broken : {"9", "09:00", "9000", "250000", "090000.", "0900.5", "090000x", "09 00"})
    expect_refused(with("6588", "", broken), "Radiopharmaceutical Start Time");
  expect_refused(changed([](auto& f) { f.series_date = "20220105"; }), "Series Date");
  expect_refused(changed([](auto& f) { f.acquisition_date = "20230229"; }), "Acquisition Date");
  expect_refused(changed([](auto& f) { f.acquisition_date = f.series_date = ""; }), "Acquisition Date");
}

TEST(Suv, SuvAsStoredIsTakenByBodyWeightAndAttenuationCorrectedOnly) {
  const auto suv = [](const std::string& type) {
    return changed([&](auto& f) {
      f = {};
      f.units = "GML", f.suv_type = type, f.corrections = {"ATTN", "DECY"};
    });
  };
  expect_factor(suv(""), 1, "nothing else is needed");
  expect_factor(suv("BW"), 1, "by body weight");
  for (const std::string type : {"LBM", "BSA", "IBW", "LBMJAMES128", "LBMJANMA"}) expect_refused(suv(type), "SUV Type");
  Images images = suv("BW");
  images[1].corrections = {"DECY"};
  expect_refused(images, "ATTN");
  images = suv("BW");
  images[1].suv_type = "LBM";
  expect_refused(images, "SUV Type: differs");
  for (const std::string units : {"CM2ML", "PROPCPS", ""})
    expect_refused(changed([&](auto& f) { f.units = units; }), "Units");
}

TEST(Suv, CountsOfPhilipsAreScaledByItsPrivateFields) {
  const auto counts = [](const std::string& suv, const std::string& activity) {
    return changed([&](auto& f) { f.units = "CNTS", f.philips_suv = suv, f.philips_activity = activity; });
  };
  expect_factor(counts("0.0025", "1.5"), 0.0025, "SUV a count");
  expect_factor(counts("0", "1.5"), 1.5 * factor(3600), "activity a count");
  expect_factor(counts("", "1.5"), 1.5 * factor(3600), "activity alone");
  expect_refused(counts("", ""), "CNTS");
  expect_refused(counts("0", "0"), "CNTS");
  expect_refused(counts("0,0025", ""), "(7053,1000): a decimal comma");
  expect_refused(counts("", "1,5"), "(7053,1009): a decimal comma");
  Images images = counts("", "1.5");
  images[1].philips_activity = "1.6";
  expect_refused(images, "(7053,1009): differs");
}

TEST(Suv, DecayCorrectedToTheInjectionNeedsNoTimes) {
  expect_factor(changed([](auto& f) {
                  f.decay_correction = "ADMIN";
                  f.acquisition_date = f.acquisition_time = f.series_date = f.series_time = f.injection_time = "";
                }),
                factor(0), "ADMIN");
  for (const std::string other : {"NONE", ""})
    expect_refused(changed([&](auto& f) { f.decay_correction = other; }), "Decay Correction");
}

TEST(Suv, NumbersAreWholeAndPlausible) {
  for (const std::string weight : {"72,5", "154 lb", "70kg", "0x46", "nan"})
    expect_refused(changed([&](auto& f) { f.weight_kg = weight; }), "Patient's Weight: ");
  for (const std::string weight : {"", "0", "-70", "70000", "0.02"})
    expect_refused(changed([&](auto& f) { f.weight_kg = weight; }), "Patient's Weight: missing or not usable");
  for (const std::string dose : {"370", "370000", "3700000", "370.000.000", "3,7e8", "10 mCi", "", "0", "3.7e11"})
    expect_refused(changed([&](auto& f) { f.dose_bq = dose; }), "Radionuclide Total Dose");
  for (const std::string life : {"6588 s", "109,8", "", "-1", "1"})
    expect_refused(changed([&](auto& f) { f.half_life_s = life; }), "Radionuclide Half Life");
  expect_refused(changed([](auto& f) { f.half_life_s = "109.8"; }), "Start Time");  // in minutes
  expect_refused(changed([](auto& f) { f.tracers = 2; }), "several tracers");
  expect_factor(changed([](auto& f) { f.dose_bq = "+3.70E+08"; }), factor(3600), "a sound decimal");
}

TEST(Suv, WhatTheFactorIsMadeOfIsTheSameInEveryImage) {
  const std::vector<std::pair<std::string intake::PetFields::*, std::string>> fields{
      {&intake::PetFields::units, "Units"},
      {&intake::PetFields::weight_kg, "Patient's Weight"},
      {&intake::PetFields::dose_bq, "Radionuclide Total Dose"},
      {&intake::PetFields::half_life_s, "Radionuclide Half Life"},
      {&intake::PetFields::injection_time, "Radiopharmaceutical Start Time"},
      {&intake::PetFields::injection_datetime, "Radiopharmaceutical Start DateTime"},
      {&intake::PetFields::decay_correction, "Decay Correction"},
      {&intake::PetFields::series_time, "Series Time"},
      {&intake::PetFields::utc_offset, "Timezone Offset"}};
  for (const auto& [field, name] : fields) {
    Images images = sound();
    images[1].*field = "90";
    expect_refused(images, "PET " + name);
    EXPECT_NE(intake::suv_factor(images).error().message.find("differs"), std::string::npos) << name;
  }
  Images images = sound();
  images[1].weight_kg = "70.0";
  expect_factor(images, factor(3600), "the same number in another spelling");
}

}  // namespace
}  // namespace fovea::node

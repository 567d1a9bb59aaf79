// fovea-phantom: makes the demonstration hospitals' scans from a real brain MR. See docs/phantom.md.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "common/result.h"
#include "demo/phantom/hospital_profile.h"
#include "demo/phantom/patient.h"
#include "node/network/random_draws.h"
#include "node/volume_files/nifti_writer.h"
#include "node/volume_files/trusted_reader.h"

namespace fovea::demo {
namespace {

namespace fs = std::filesystem;

struct Options {
  fs::path out;
  fs::path templates = "/usr/share/mricron/templates";
  std::uint64_t seed = 2026;
  int training = 20;
  int validation = 6;
  int test = 16;
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
};

struct Split {
  const char* name;
  int count;
};

struct Job {
  std::size_t hospital;
  std::size_t split;
  int index;
};

// One patient in a hospital's tables.
struct Row {
  std::string study;    // one line of studies.csv
  std::string lesions;  // its lines of lesions.csv
};

std::string stem_of(const Job& job, const Split& split) {
  char text[64];
  std::snprintf(text, sizeof text, "%s-%03d", split.name, job.index + 1);
  return text;
}

// Everything that the scans depend on, so that a second run knows whether to make them again.
std::string description(const Options& options) {
  return "fovea-phantom 1 seed " + std::to_string(options.seed) + " training " + std::to_string(options.training) +
         " validation " + std::to_string(options.validation) + " test " + std::to_string(options.test) + "\n";
}

Result<Row> make_one(const Template& base, const Options& options, const Job& job, const Split& split) {
  const HospitalProfile& hospital = kHospitals[job.hospital];
  const Patient patient = make_patient(
      base, hospital,
      node::network::keyed_draws({options.seed, job.hospital, job.split, static_cast<std::uint64_t>(job.index)}));
  const fs::path folder = options.out / hospital.name;
  const std::string stem = stem_of(job, split);
  FOVEA_TRY(node::volume_files::write_nifti(folder / (stem + ".nii"), patient.image,
                                            node::volume_files::VoxelType::int16, false));
  std::string mask_name;
  if (!patient.lesions.empty()) {
    mask_name = stem + "-mask.nii.gz";
    FOVEA_TRY(
        node::volume_files::write_nifti(folder / mask_name, patient.mask, node::volume_files::VoxelType::uint8, true));
  }
  Row row;
  row.study = stem + "," + std::string(hospital.name) + "-" + stem + "," + stem + ".nii," + mask_name + "," +
              split.name + "," + (patient.lesions.empty() ? "0" : "1") + "\n";
  for (const Lesion& lesion : patient.lesions) {
    char line[160];
    std::snprintf(line, sizeof line, "%s,%.2f,%.2f,%.2f,%.2f,%.3f\n", stem.c_str(), lesion.center_mm[0],
                  lesion.center_mm[1], lesion.center_mm[2], lesion.diameter_mm, lesion.contrast);
    row.lesions += line;
  }
  return row;
}

Result<void> write_tables(const Options& options, const std::vector<Job>& jobs, const std::vector<Row>& rows) {
  for (std::size_t hospital = 0; hospital < kHospitals.size(); ++hospital) {
    std::string studies = "study,patient,image,mask,split,label\n";
    std::string lesions = "study,x_mm,y_mm,z_mm,diameter_mm,contrast\n";
    for (std::size_t n = 0; n < jobs.size(); ++n) {
      if (jobs[n].hospital != hospital) continue;
      studies += rows[n].study;
      lesions += rows[n].lesions;
    }
    const fs::path folder = options.out / kHospitals[hospital].name;
    FOVEA_TRY(write_file_durably(folder / "lesions.csv", as_bytes(lesions)));
    FOVEA_TRY(write_file_durably(folder / "studies.csv", as_bytes(studies)));
  }
  return write_file_durably(options.out / "phantom.txt", as_bytes(description(options)));
}

Result<Template> load_template(const Options& options) {
  FOVEA_TRY_ASSIGN(node::volume::Volume head,
                   node::volume_files::read_trusted_volume(options.templates / "ch2.nii.gz"));
  FOVEA_TRY_ASSIGN(const node::volume::Volume brain,
                   node::volume_files::read_trusted_volume(options.templates / "ch2bet.nii.gz"));
  if (head.geometry.size != brain.geometry.size)
    return invalid_argument(options.templates.string() +
                            ": ch2.nii.gz and ch2bet.nii.gz differ in size; install Debian's mricron-data");
  constexpr double kMarginMm = 4;
  return make_template(std::move(head), brain, kMarginMm);
}

Result<std::size_t> make_all(const Options& options) {
  const std::array<Split, 3> splits{
      {{"train", options.training}, {"validation", options.validation}, {"test", options.test}}};
  FOVEA_TRY_ASSIGN(const Template base, load_template(options));
  std::vector<Job> jobs;
  for (std::size_t hospital = 0; hospital < kHospitals.size(); ++hospital) {
    FOVEA_TRY(create_directories_durably(options.out / kHospitals[hospital].name));
    for (std::size_t split = 0; split < splits.size(); ++split)
      for (int index = 0; index < splits[split].count; ++index) jobs.push_back({hospital, split, index});
  }

  std::vector<Row> rows(jobs.size());
  std::atomic<std::size_t> next{0};
  std::size_t done = 0;
  std::mutex mutex;  // guards done and failure
  Result<void> failure;
  const auto work = [&] {
    for (std::size_t n = next++; n < jobs.size(); n = next++) {
      auto row = make_one(base, options, jobs[n], splits[jobs[n].split]);
      const std::lock_guard lock(mutex);
      if (!row) {
        if (failure) failure = row.error();
        next = jobs.size();
        return;
      }
      rows[n] = std::move(*row);
      ++done;
      if (done % 10 == 0 || done == jobs.size()) std::fprintf(stderr, "\r  %zu of %zu patients", done, jobs.size());
    }
  };
  std::vector<std::jthread> threads;
  for (unsigned n = 0; n < options.jobs; ++n) threads.emplace_back(work);
  threads.clear();
  std::fprintf(stderr, "\n");
  FOVEA_TRY(failure);
  FOVEA_TRY(write_tables(options, jobs, rows));
  return jobs.size();
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Makes phantom patients for four hospitals from a real brain MR (Colin27, Debian's mricron-data): "
      "NIfTI images, lesion masks, studies.csv and lesions.csv in a folder per hospital."};
  app.add_option("--out", options.out, "Folder to write to")->required();
  app.add_option("--templates", options.templates, "Folder with ch2.nii.gz and ch2bet.nii.gz")->capture_default_str();
  app.add_option("--seed", options.seed, "Seed of everything random")->capture_default_str();
  app.add_option("--training", options.training, "Training patients per hospital")
      ->capture_default_str()
      ->check(CLI::Range(1, 999));
  app.add_option("--validation", options.validation, "Validation patients per hospital")
      ->capture_default_str()
      ->check(CLI::Range(0, 999));
  app.add_option("--test", options.test, "Test patients per hospital")
      ->capture_default_str()
      ->check(CLI::Range(0, 999));
  app.add_option("--jobs", options.jobs, "Threads")->capture_default_str()->check(CLI::Range(1, 64));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (const auto made = read_file(options.out / "phantom.txt", 4096); made && as_text(*made) == description(options)) {
    std::cerr << "  already made\n";
    return 0;
  }
  const auto count = make_all(options);
  if (!count) {
    std::cerr << count.error().message << "\n";
    return 1;
  }
  std::cout << *count << " patients written to " << options.out.string() << "\n";
  return 0;
}

}  // namespace
}  // namespace fovea::demo

int main(int argc, char** argv) { return fovea::demo::run(argc, argv); }

// fovea-summary: pools the evaluations that several hospitals wrote (`fovea-node evaluate --json`) into one. Only the
// demonstration may do this, since it plays every hospital. The rows of a real hospital never leave it.
#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "common/result.h"
#include "node/evaluation/metrics.h"
#include "node/evaluation/report.h"

namespace fovea::demo {
namespace {

using nlohmann::json;

constexpr std::size_t kFileBytesMax = 64U << 20U;

std::optional<std::uint32_t> rank_of(const json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<std::uint32_t>());
}

node::evaluation::StudyResult study_of(const json& row) {
  node::evaluation::StudyResult study;
  study.code = row.at("study").get<std::string>();
  study.patient_code = row.at("patient").get<std::string>();
  if (!row.at("label").is_null()) study.label = row.at("label").get<int>();
  study.logit = row.at("logit").get<double>();
  study.findings_known = row.at("findings_known").get<bool>();
  for (const json& finding : row.at("findings"))
    study.findings.push_back(
        {finding.at("diameter_mm").get<double>(), rank_of(finding.at("rank")), rank_of(finding.at("rank_reordered"))});
  for (const json& region : row.at("regions"))
    study.regions.push_back({region.at(0).get<double>(), region.at(1).get<bool>()});
  study.fraction_read = row.at("voxels_read_fraction").get<double>();
  study.seconds = row.at("seconds").get<double>();
  return study;
}

Result<std::vector<node::evaluation::StudyResult>> read_studies(const std::vector<std::filesystem::path>& files) {
  std::vector<node::evaluation::StudyResult> studies;
  for (const auto& file : files) {
    FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(file, kFileBytesMax));
    try {
      const json whole = json::parse(bytes);
      const json& report = whole.contains("data") ? whole.at("data") : whole;
      for (const json& row : report.at("rows")) studies.push_back(study_of(row));
    } catch (const json::exception& error) {
      return invalid_argument(file.string() + ": is not an evaluation of `fovea-node evaluate`: " + error.what());
    }
  }
  return studies;
}

int run(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  bool as_json = false;
  std::uint64_t seed = 1;
  CLI::App app{"Pools the evaluations of several hospitals, which only a demonstration that plays them all may do."};
  app.add_option("FILES", files, "What `fovea-node evaluate` wrote")->required();
  app.add_flag("--json", as_json, "One line of JSON instead of text");
  app.add_option("--seed", seed, "Seed of the patient resampling")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto studies = read_studies(files);
  if (!studies) {
    std::cerr << studies.error().message << "\n";
    return 1;
  }
  std::cout << (as_json ? node::evaluation::summary_json(*studies, seed).dump()
                        : node::evaluation::summary_text(*studies, seed))
            << "\n";
  return 0;
}

}  // namespace
}  // namespace fovea::demo

int main(int argc, char** argv) { return fovea::demo::run(argc, argv); }

// `fovea-node predict`: where a trained model would look in a new scan, and what it thinks of it.
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "common/bytes.h"
#include "common/command_line.h"
#include "node/commands/command.h"
#include "node/commands/study_text.h"
#include "node/embedding/look.h"
#include "node/evaluation/loaded_model.h"
#include "node/intake/parser/scan_parser.h"
#include "node/picture/montage.h"
#include "node/scan_view/brick_scan.h"
#include "node/store/pyramid.h"
#include "node/store/study_catalogue.h"

namespace fovea::node::commands {
namespace {

using Json = nlohmann::ordered_json;

struct PredictRequest {
  std::filesystem::path file;
  std::filesystem::path model;
  std::filesystem::path picture;  // empty: none
  std::uint32_t shown = 10;       // rows of the table
  double intensity_offset = 0;
};

// A temporary folder for the bricks of the scan, readable by this user only; deleted with the object.
class PrivateFolder {
 public:
  static Result<PrivateFolder> create() {
    std::error_code error;
    std::string pattern = (std::filesystem::temp_directory_path(error) / "fovea-predict-XXXXXX").string();
    if (error || ::mkdtemp(pattern.data()) == nullptr)
      return unavailable("predict: no temporary folder can be made; set TMPDIR");
    return PrivateFolder(pattern);
  }
  PrivateFolder(PrivateFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  PrivateFolder& operator=(PrivateFolder&&) = delete;
  ~PrivateFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  explicit PrivateFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

// Parses the file in the sandbox, divides by the bias field if the model was trained so, and stores bricks and a coarse
// level in the folder.
Result<store::StudyRecord> store_scan(const Console& console, const PredictRequest& request, bool n4,
                                      const std::filesystem::path& folder) {
  if (!(std::abs(request.intensity_offset) <= 1e6))
    return invalid_argument("--intensity-offset: expected a number within ±1e6");
  FOVEA_TRY_ASSIGN(intake::ScanParser parser, intake::ScanParser::start(intake::default_parser_program(), {}));
  FOVEA_TRY_ASSIGN(const intake::ParsedVolume parsed, parser.read_volume(request.file, intake::kOnlyVolume, n4));
  if (!parsed.note().empty()) console.progress("remark: " + parsed.note());
  store::StudyRecord record;
  record.geometry = parsed.geometry();
  const store::StoredFiles files = store::stored_files(folder, "scan");
  record.bricks = files.bricks;
  record.level_2mm = files.level_2mm;
  record.volume_key = store::fresh_volume_key();
  volume::VoxelSpan voxels = parsed.voxels();
  std::vector<float> shifted;
  if (request.intensity_offset != 0) {
    std::visit([&](const auto& span) { shifted.assign(span.begin(), span.end()); }, voxels);
    for (float& voxel : shifted) voxel += static_cast<float>(request.intensity_offset);
    voxels = std::span<const float>(shifted);
  }
  FOVEA_TRY_ASSIGN(record.statistics, volume::intensity_statistics(voxels));
  FOVEA_TRY(store::write_brick_volume(record.bricks, record.volume_key, {record.geometry, record.statistics, voxels}));
  const volume::Volume coarse = store::coarse_level(record.geometry, voxels, store::kCoarseSpacingMm);
  FOVEA_TRY(store::write_brick_volume(
      record.level_2mm, record.volume_key,
      {coarse.geometry, record.statistics, volume::VoxelSpan(std::span<const float>(coarse.voxels))}));
  record.usable = true;
  return record;
}

double probability(double logit) { return 1 / (1 + std::exp(-logit)); }

// A region and what the heads say of it; listed best first by the region head.
struct Ranked {
  saliency::Region region;
  embedding::RegionAssessment assessment;
  volume::Point3 centre_mm = volume::Point3::Zero();  // refined
};

std::vector<Ranked> rank(const embedding::StudyLook& look, const volume::VolumeGeometry& geometry) {
  std::vector<Ranked> ranked;
  for (std::size_t r = 0; r < look.regions.size(); ++r)
    ranked.push_back({look.regions[r], look.assessments[r],
                      embedding::refined_centre(look.regions[r], look.assessments[r], geometry)});
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const Ranked& a, const Ranked& b) { return a.assessment.logit > b.assessment.logit; });
  return ranked;
}

Json regions_json(const std::vector<Ranked>& ranked) {
  Json out = Json::array();
  const auto rounded = [](double value, double unit) { return std::round(value / unit) * unit; };
  for (const Ranked& item : ranked)
    out.push_back(
        {{"center_mm",
          {rounded(item.centre_mm[0], 0.01), rounded(item.centre_mm[1], 0.01), rounded(item.centre_mm[2], 0.01)}},
         {"diameter_mm", rounded(2 * item.assessment.radius_mm, 0.1)},
         {"score", rounded(probability(item.assessment.logit), 1e-4)},
         {"proposer_score", rounded(probability(item.region.logit), 1e-4)},
         {"explored", item.region.explored},
         {"inclusion_probability", item.region.inclusion}});
  return out;
}

std::string regions_table(const std::vector<Ranked>& ranked, std::size_t shown) {
  std::vector<std::vector<std::string>> rows{
      {"region", "score", "x mm (left)", "y mm (back)", "z mm (head)", "diameter mm", "why"}};
  for (std::size_t r = 0; r < std::min(shown, ranked.size()); ++r) {
    const Ranked& item = ranked[r];
    rows.push_back({std::to_string(r + 1), number(probability(item.assessment.logit), "%.3f"),
                    number(item.centre_mm[0], "%.1f"), number(item.centre_mm[1], "%.1f"),
                    number(item.centre_mm[2], "%.1f"), number(2 * item.assessment.radius_mm, "%.1f"),
                    item.region.explored ? "explored" : "proposed"});
  }
  return text_table(rows);
}

Result<void> write_picture(const std::filesystem::path& path, const store::StudyRecord& record,
                           volume::Normalisation kind, const std::vector<Ranked>& ranked) {
  FOVEA_TRY_ASSIGN(store::BrickVolume volume, store::BrickVolume::open(record.bricks, record.volume_key));
  constexpr std::size_t kPictured = 12;
  constexpr double kMarginMm = 8;
  std::vector<picture::MarkedBox> boxes;
  for (std::size_t r = 0; r < std::min(kPictured, ranked.size()); ++r) {
    picture::MarkedBox box;
    box.center_mm = ranked[r].centre_mm;
    box.edge_mm = std::max(2 * ranked[r].assessment.radius_mm + kMarginMm, 16.0);
    box.caption = std::to_string(r + 1) + " " + number(probability(ranked[r].assessment.logit), "%.2f");
    boxes.push_back(std::move(box));
  }
  FOVEA_TRY_ASSIGN(const picture::Picture picture,
                   picture::draw_montage(volume, boxes, {.window = volume::ct_window(kind)}));
  return picture::write_png(path, picture);
}

Result<void> run_predict(const Console& console, const PredictRequest& request) {
  if (!request.picture.empty()) FOVEA_TRY(refuse_existing(request.picture, "--picture"));
  FOVEA_TRY_ASSIGN(const evaluation::LoadedModel model, evaluation::load_model(request.model));
  FOVEA_TRY_ASSIGN(const PrivateFolder folder, PrivateFolder::create());
  auto record = store_scan(console, request, model.use.n4, folder.path());
  if (!record) return record.error().with_context(request.file.string());
  if (volume::ct_window(model.settings.voxels.normalisation) && record->statistics.minimum >= 0)
    console.progress(
        "warning: the model is for CT, and this scan has no negative values: if it is stored as HU + 1024, give "
        "--intensity-offset -1024");

  const auto begin = std::chrono::steady_clock::now();
  FOVEA_TRY_ASSIGN(scan_view::BrickScan scan, scan_view::BrickScan::open(*record, model.settings.voxels.normalisation));
  const saliency::Prior prior = saliency::body_prior(scan.coarse(), scan.levels());
  FOVEA_TRY_ASSIGN(const embedding::StudyLook look,
                   embedding::look_at(model.parameters, scan, prior, model.settings.look,
                                      embedding::look_seed(model.use.seed, to_hex(model.digest))));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const std::vector<Ranked> ranked = rank(look, prior.grid.geometry);

  Json json{{"finding", model.use.finding_kind},
            {"study_score", probability(look.logit)},
            {"regions", regions_json(ranked)},
            {"voxels_read_fraction", look.fraction_read},
            {"seconds", seconds},
            {"model", to_hex(model.digest)},
            {"plan", model.use.plan_hash}};
  std::string human = "study score " + number(probability(look.logit), "%.3f") + " for " + model.use.finding_kind +
                      "; " + std::to_string(ranked.size()) + " regions looked at, " +
                      number(100 * look.fraction_read, "%.1f") + " % of the voxels read, " + number(seconds, "%.2f") +
                      " s\n" + regions_table(ranked, request.shown);
  if (!request.picture.empty()) {
    FOVEA_TRY(write_picture(request.picture, *record, model.settings.voxels.normalisation, ranked));
    json["picture"] = request.picture.string();
    human += "\npicture in " + request.picture.string();
  }
  console.data("predict", json, human);
  return {};
}

}  // namespace

void add_predict_command(CLI::App& app, CommandContext& context) {
  CLI::App* predict = app.add_subcommand(
      "predict", "Where a model would look in a scan: regions in mm (LPS) with scores, a study score, a picture");
  auto request = std::make_shared<PredictRequest>();
  predict->add_option("file", request->file, "A scan: NIfTI, NRRD or MHA")->required();
  predict->add_option("--model", request->model, "Model file (safetensors), from fovea-coordinator model export")
      ->required();
  predict->add_option("--picture", request->picture,
                      "Write slices through the first regions, with boxes, to this PNG file");
  predict->add_option("--show", request->shown, "Rows of the table (JSON always has all)")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  predict
      ->add_option("--intensity-offset", request->intensity_offset,
                   "Added to every voxel, e.g. -1024 for a CT stored as HU + 1024")
      ->check(decimal_option_fault);
  predict->callback(
      [&context, request] { context.console.run("predict", [&] { return run_predict(context.console, *request); }); });
}

}  // namespace fovea::node::commands

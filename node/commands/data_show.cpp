// fovea-node data show and data export: single studies, for a person to look at.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "common/command_line.h"
#include "common/result.h"
#include "node/commands/data_commands.h"
#include "node/commands/study_text.h"
#include "node/picture/montage.h"
#include "node/picture/png.h"
#include "node/store/brick_volume.h"
#include "node/store/study_catalogue.h"
#include "node/volume_files/nrrd_writer.h"

namespace fovea::node::commands {
namespace {

using Json = nlohmann::ordered_json;

std::vector<picture::MarkedBox> finding_boxes(const store::StudyRecord& record) {
  std::vector<picture::MarkedBox> out;
  for (const store::Finding& finding : record.findings)
    out.push_back({finding.center_mm,
                   std::max(16.0, 1.5 * finding.diameter_mm),
                   {255, 96, 0},
                   number(finding.diameter_mm, "%.0f") + " MM"});
  return out;
}

std::string record_text(const store::StudyRecord& record) {
  std::string out = record.code + " · " + record.patient_code + " · " + std::string(store::to_string(record.split)) +
                    " · label " + label_text(record);
  if (!record.usable) return out + "\nrefused: " + record.reason;
  out += "\n" + triple(record.geometry.size) + " voxels of " + triple(record.geometry.spacing_mm) + " mm" +
         (record.modality.empty() ? "" : ", " + record.modality);
  out += "\nintensities " + number(record.statistics.minimum, "%g") + " … " + number(record.statistics.maximum, "%g") +
         ", foreground median " + number(record.statistics.median, "%g") +
         " (16–84 %: " + number(record.statistics.p16, "%g") + " – " + number(record.statistics.p84, "%g") + ")";
  for (const store::Finding& finding : record.findings)
    out += "\nfinding of label " + std::to_string(finding.label) + " at " + number(finding.center_mm[0], "%.1f") +
           ", " + number(finding.center_mm[1], "%.1f") + ", " + number(finding.center_mm[2], "%.1f") +
           " mm, diameter " + number(finding.diameter_mm, "%.1f") + " mm";
  return out;
}

}  // namespace

Result<void> run_data_show(const Console& console, const std::filesystem::path& data_folder,
                           const ShowRequest& request) {
  FOVEA_TRY_ASSIGN(const store::StudyCatalogue catalogue, store::StudyCatalogue::open(data_folder, false));
  FOVEA_TRY_ASSIGN(const store::StudyRecord record, catalogue.find(request.code));
  Json json = record_json(record);
  std::string human = record_text(record);
  if (request.with_identity) {
    FOVEA_TRY_ASSIGN(const store::StudyIdentity identity, catalogue.identity(record.code));
    json["identity"] = identity_json(identity);
    human += "\nstudy " + identity.study + ", patient " + identity.patient + ", image " + identity.image +
             (identity.mask.empty() ? "" : ", mask " + identity.mask);
  }
  if (!request.picture.empty()) {
    if (!record.usable) return failed_precondition("data show: a refused study has no picture");
    FOVEA_TRY(refuse_existing(request.picture, "--out"));
    FOVEA_TRY_ASSIGN(store::BrickVolume volume, store::BrickVolume::open(record.bricks, record.volume_key));
    FOVEA_TRY_ASSIGN(const picture::Picture picture, picture::draw_montage(volume, finding_boxes(record), {}));
    FOVEA_TRY(picture::write_png(request.picture, picture));
    json["picture"] = request.picture.string();
    human += "\npicture in " + request.picture.string();
  }
  console.data("data show", json, human);
  return {};
}

Result<void> run_data_export(const Console& console, const std::filesystem::path& data_folder,
                             const std::vector<std::string>& codes, const std::filesystem::path& out) {
  FOVEA_TRY_ASSIGN(const store::StudyCatalogue catalogue, store::StudyCatalogue::open(data_folder, false));
  std::error_code ignored;
  const bool into_folder = std::filesystem::is_directory(out, ignored);
  if (codes.size() > 1 && !into_folder) return invalid_argument("--out: expected a folder for several studies");
  const auto file_of = [&](const std::string& code) { return into_folder ? out / (code + ".nrrd") : out; };
  for (const std::string& code : codes) FOVEA_TRY(refuse_existing(file_of(code), "--out"));
  Json files = Json::array();
  std::string human;
  for (const std::string& code : codes) {
    FOVEA_TRY_ASSIGN(const store::StudyRecord record, catalogue.find(code));
    if (!record.usable)
      return failed_precondition("data export: " + code + " was refused and has no volume: " + record.reason);
    FOVEA_TRY_ASSIGN(store::BrickVolume bricks, store::BrickVolume::open(record.bricks, record.volume_key));
    FOVEA_TRY_ASSIGN(const volume::Volume volume, bricks.read_all());
    const std::filesystem::path file = file_of(code);
    FOVEA_TRY(volume_files::write_nrrd(file, volume));
    files.push_back({{"code", code}, {"file", file.string()}});
    human += code + ": " + triple(volume.geometry.size) + " voxels in " + file.string() + "\n";
  }
  console.data("data export", {{"files", files}},
               human + "these files hold patients' scans; data forget does not delete them");
  return {};
}

}  // namespace fovea::node::commands

// fovea-node data list and data check: all studies of the catalogue, and whether each is fit for use.
#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/result.h"
#include "node/commands/data_commands.h"
#include "node/commands/study_text.h"
#include "node/store/brick_volume.h"
#include "node/store/study_catalogue.h"

namespace fovea::node::commands {
namespace {

using Json = nlohmann::ordered_json;

// What a person should know about a usable study, though it is no reason to refuse it.
std::string remark_on(const store::StudyRecord& record) {
  if (record.modality == "CT" && record.statistics.minimum >= 0)
    return "a CT without negative values: probably stored as HU + 1024; ingest with --intensity-offset -1024";
  if (record.statistics.foreground_fraction < 0.005f) return "nearly everything is background";
  return "";
}

Result<std::string> examine(const store::StudyRecord& record, bool deep) {
  if (!record.usable) return record.reason;
  FOVEA_TRY_ASSIGN(store::BrickVolume bricks, store::BrickVolume::open(record.bricks, record.volume_key));
  if (deep) {
    FOVEA_TRY_ASSIGN(const volume::Volume whole, bricks.read_all());
    if (whole.geometry != record.geometry)
      return corruption("the stored volume is not the one in the catalogue (ingest the study again)");
  }
  FOVEA_TRY_ASSIGN(store::BrickVolume coarse, store::BrickVolume::open(record.level_2mm, record.volume_key));
  if (deep) FOVEA_TRY(coarse.read_all());
  return remark_on(record);
}

// A model that learned from a patient is not tested by another study of the same patient.
std::size_t patients_across_splits(const std::vector<store::StudyRecord>& records) {
  std::map<std::string, std::set<store::Split>> splits;
  for (const store::StudyRecord& record : records)
    if (record.usable) splits[record.patient_code].insert(record.split);
  return static_cast<std::size_t>(
      std::count_if(splits.begin(), splits.end(), [](const auto& entry) { return entry.second.size() > 1; }));
}

std::string text_of(const store::StudyCatalogue::Leftovers& leftovers) {
  if (leftovers.ingest_is_running) return "\nan ingest is running: what killed ones left behind was not looked for";
  if (leftovers.removed == 0) return "";
  return "\n" + counted(leftovers.removed, "file") +
         " of studies that are in no row deleted: an ingest was killed before it was done; ingest those scans again";
}

}  // namespace

Result<void> run_data_list(const Console& console, const std::filesystem::path& data_folder, bool with_identity) {
  FOVEA_TRY_ASSIGN(const store::StudyCatalogue catalogue, store::StudyCatalogue::open(data_folder, false));
  FOVEA_TRY_ASSIGN(const std::vector<store::StudyRecord> records, catalogue.list());
  Json studies = Json::array();
  std::vector<std::vector<std::string>> table{
      {"study", "patient", "split", "label", "findings", "modality", "size", "spacing mm", "state"}};
  for (const store::StudyRecord& record : records) {
    studies.push_back(record_json(record));
    if (with_identity) {
      FOVEA_TRY_ASSIGN(const store::StudyIdentity identity, catalogue.identity(record.code));
      studies.back()["identity"] = identity_json(identity);
    }
    const std::string findings = record.has_mask ? std::to_string(record.findings.size()) : "-";
    const std::string modality = record.modality.empty() ? "-" : record.modality;
    if (record.usable)
      table.push_back({record.code, record.patient_code, std::string(store::to_string(record.split)),
                       label_text(record), findings, modality, triple(record.geometry.size),
                       triple(record.geometry.spacing_mm), "usable"});
    else
      table.push_back({record.code, record.patient_code, std::string(store::to_string(record.split)),
                       label_text(record), "-", "-", "-", "-", "refused"});
  }
  FOVEA_TRY_ASSIGN(const store::CatalogueCounts counts, catalogue.counts());
  console.data("data list", {{"studies", studies}, {"usable", counts.usable}, {"refused", counts.refused}},
               text_table(table) + "\n" + std::to_string(counts.usable) + " usable, " + std::to_string(counts.refused) +
                   " refused");
  return {};
}

Result<void> run_data_check(const Console& console, const std::filesystem::path& data_folder, bool deep) {
  FOVEA_TRY_ASSIGN(store::StudyCatalogue catalogue, store::StudyCatalogue::open(data_folder, false));
  FOVEA_TRY_ASSIGN(const std::vector<store::StudyRecord> records, catalogue.list());
  FOVEA_TRY_ASSIGN(const store::StudyCatalogue::Leftovers leftovers, catalogue.remove_leftovers());
  Json studies = Json::array();
  std::vector<std::vector<std::string>> table{{"study", "state", "remark"}};
  std::size_t damaged = 0;
  for (const store::StudyRecord& record : records) {
    const Result<std::string> remark = examine(record, deep);
    const std::string state = !remark ? "damaged" : record.usable ? "usable" : "refused";
    const std::string text = remark ? *remark : remark.error().message;
    damaged += remark ? 0u : 1u;
    studies.push_back({{"code", record.code}, {"state", state}, {"remark", text}});
    if (state != "usable" || !text.empty()) table.push_back({record.code, state, text});
  }
  const std::size_t leaking = patients_across_splits(records);
  std::string human = table.size() > 1 ? text_table(table) + "\n" : "";
  human += std::to_string(records.size()) + " studies checked, " + std::to_string(damaged) + " damaged";
  if (leaking > 0)
    human += "\nwarning: " + std::to_string(leaking) +
             " patients have studies in more than one split; test results will look better than they are";
  human += text_of(leftovers);
  console.data("data check",
               {{"studies", studies},
                {"damaged", damaged},
                {"patients_in_several_splits", leaking},
                {"leftovers_removed", leftovers.removed}},
               human);
  if (damaged > 0)
    return corruption("data check: " + std::to_string(damaged) + " studies are damaged on disk; ingest them again");
  return {};
}

}  // namespace fovea::node::commands

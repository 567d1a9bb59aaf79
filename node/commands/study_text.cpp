#include "node/commands/study_text.h"

#include <cstdio>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/numbers.h"

namespace fovea::node::commands {

using Json = nlohmann::ordered_json;

namespace {

Json json_of(const Eigen::Vector3d& mm) { return std::vector<double>(mm.begin(), mm.end()); }

Json json_of(const Eigen::Matrix3d& direction) {
  const Eigen::Vector<double, 9> by_rows = direction.reshaped<Eigen::RowMajor>();
  return std::vector<double>(by_rows.begin(), by_rows.end());
}

}  // namespace

std::string number(double value, const char* format) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string decimal_option_fault(const std::string& text) {
  return read_decimal(text) ? "" : std::string(decimal_fault(text));
}

std::string triple(const volume::Index3& size) {
  return std::to_string(size[0]) + "×" + std::to_string(size[1]) + "×" + std::to_string(size[2]);
}
std::string triple(const Eigen::Vector3d& mm) { return number(mm[0]) + "×" + number(mm[1]) + "×" + number(mm[2]); }

std::string label_text(const store::StudyRecord& record) { return record.label ? std::to_string(*record.label) : "-"; }

Json record_json(const store::StudyRecord& record) {
  Json out{{"code", record.code},
           {"patient", record.patient_code},
           {"split", store::to_string(record.split)},
           {"usable", record.usable}};
  out["label"] = record.label ? Json(*record.label) : Json(nullptr);
  if (!record.usable) {
    out["reason"] = record.reason;
    return out;
  }
  out["modality"] = record.modality;
  out["n4"] = record.bias_corrected;
  out["size"] = record.geometry.size;
  out["spacing_mm"] = json_of(record.geometry.spacing_mm);
  out["origin_mm"] = json_of(record.geometry.origin_mm);
  out["direction"] = json_of(record.geometry.direction);
  out["findings"] = record.has_mask ? Json(Json::array()) : Json(nullptr);
  for (const store::Finding& finding : record.findings)
    out["findings"].push_back({{"center_mm", json_of(finding.center_mm)},
                               {"diameter_mm", finding.diameter_mm},
                               {"label", finding.label},
                               {"voxels", finding.voxels}});
  return out;
}

Json identity_json(const store::StudyIdentity& identity) {
  return {{"study", identity.study}, {"patient", identity.patient}, {"image", identity.image}, {"mask", identity.mask}};
}

}  // namespace fovea::node::commands

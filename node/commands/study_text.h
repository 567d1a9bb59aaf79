// How studies and numbers are shown by the commands: the same words and the same JSON wherever they appear.
#pragma once

#include <string>

#include <Eigen/Core>
#include <nlohmann/json_fwd.hpp>

#include "node/store/study_catalogue.h"
#include "node/volume/volume.h"

namespace fovea::node::commands {

std::string number(double value, const char* format = "%.3g");  // `format` has one conversion of a double
// For an option: empty when its text is a number from end to end, else what is wrong with it. CLI11 would take "0x10".
std::string decimal_option_fault(const std::string& text);
std::string triple(const volume::Index3& size);            // "512×512×300"
std::string triple(const Eigen::Vector3d& mm);             // "0.7×0.7×1.5"
std::string label_text(const store::StudyRecord& record);  // "0", "1", or "-" when it is not known

// Without anything that identifies the patient.
nlohmann::ordered_json record_json(const store::StudyRecord& record);
// What is sealed in the catalogue: for the site's own terminal only.
nlohmann::ordered_json identity_json(const store::StudyIdentity& identity);

}  // namespace fovea::node::commands

// DICOM's modality codes (PS3.3 C.7.3.1.1.1), where a rule depends on one.
#pragma once

#include <string_view>

namespace fovea::node::volume {

// N4 corrects the sensitivity of an MR scanner's coils; CT and PET have none.
inline bool has_bias_field(std::string_view modality) noexcept { return modality != "CT" && modality != "PT"; }

}  // namespace fovea::node::volume

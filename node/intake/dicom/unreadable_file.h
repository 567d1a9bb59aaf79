// Why a file cannot be read as DICOM, as far as its first bytes tell: a transfer syntax that is not decoded here, an
// archive, an image in another format.
#pragma once

#include <filesystem>
#include <string_view>

#include "common/result.h"

namespace fovea::node::intake {

inline constexpr std::string_view kUnreadable = "not DICOM, or damaged (copy the file again)";

// invalid_argument with the reason and what to do; kUnreadable where nothing tells.
Error unreadable_dicom(const std::filesystem::path& file);

// invalid_argument names a syntax that exists and is not decoded here; other text is left to the reader.
Result<void> check_transfer_syntax(std::string_view uid);

}  // namespace fovea::node::intake

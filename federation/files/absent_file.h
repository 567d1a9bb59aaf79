// Whether records that cannot be found were never written.
#pragma once

#include <filesystem>

#include "common/result.h"

namespace fovea::federation::files {

// invalid_argument: a link has the file's name, and leads nowhere. The records are then elsewhere, on a disk that is
// not mounted perhaps: to begin them anew would forget what they say.
Result<void> check_no_dangling_link(const std::filesystem::path& path);

}  // namespace fovea::federation::files

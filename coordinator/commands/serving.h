// One process serves from a coordinator's folder at a time.
#pragma once

#include <filesystem>

#include "common/file_lock.h"
#include "common/result.h"

namespace fovea::coordinator::commands {

// The process that serves holds a lock on this file, whose text is its process id and, in a second line, its run.
inline std::filesystem::path serving_file(const std::filesystem::path& home) { return home / "serving"; }
Result<FileLock> lock_serving(const std::filesystem::path& home);

}  // namespace fovea::coordinator::commands

// How a node opens the files that it hands to the parser: as they lie on the disk, or, when they were received and are sealed, in
// memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>

#include "common/descriptor.h"
#include "common/result.h"

namespace fovea::node {

// not_found: it cannot be opened; invalid_argument: a folder, a pipe, empty.
Result<Descriptor> open_scan_file(const std::filesystem::path& file);

struct ScanFiles {
  std::function<Result<Descriptor>(const std::filesystem::path&)> open = open_scan_file;  // called from several threads
  std::uint64_t bytes_at_once_max = std::numeric_limits<std::uint64_t>::max();            // of one parser's job
};

}  // namespace fovea::node

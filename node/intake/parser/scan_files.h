// How a node opens the files that it hands to the parser: as they lie on the disk, or, when they were received and are
// sealed, in memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "common/descriptor.h"
#include "common/result.h"
#include "node/intake/parser/memory_budget.h"

namespace fovea::node::intake {

// not_found: it cannot be opened; invalid_argument: a folder, a pipe, empty.
Result<Descriptor> open_scan_file(const std::filesystem::path& file);

struct ScanFiles {
  std::function<Result<Descriptor>(const std::filesystem::path&)> open = open_scan_file;  // called from several threads
  std::shared_ptr<MemoryBudget> memory;  // what opened files lie in; none when they lie on the disk
};

// Of all of them; a missing file counts nothing, and opening it is the error.
std::uint64_t bytes_of(std::span<const std::filesystem::path> files);

// To hold while the files are open; waits until there is room. invalid_argument: they need more than there is in all.
Result<std::optional<MemoryBudget::Share>> memory_for(const ScanFiles& scan_files,
                                                      std::span<const std::filesystem::path> files);

}  // namespace fovea::node::intake

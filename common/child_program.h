// Starts another program of ours, which gets nothing of this process but what it is handed.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "common/result.h"

namespace fovea {

struct ChildProgram {
  std::filesystem::path path;
  std::vector<std::string> arguments{};    // after its name
  std::vector<std::string> environment{};  // NAME=value, and nothing else
};

// Its standard streams are /dev/null, the descriptors become 3, 4, …; they stay the caller's here. Every other
// descriptor of this process has to be close-on-exec. unavailable: it cannot be started, and why.
Result<pid_t> start_child(const ChildProgram& program, std::span<const int> descriptors);

}  // namespace fovea

// The walls around one parse, put up in the parser's forked child after it has what it needs. From then on: no
// network, no new programs, no file by path. What a library opens by path is answered by a trap (SIGSYS) from the
// descriptors handed in: "/scan/<number><ending>" is the number-th of them, rewound; any other path does not exist.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/result.h"
#include "node/intake/scan_protocol.h"

namespace fovea::node {

// The path that stands for handed descriptor `number`.
std::string virtual_path(std::size_t number, std::string_view ending);

// Address space and processor time from here on, no core dump, few descriptors. unavailable: the kernel refused.
Result<void> limit_resources(const ParserLimits& limits);

// Installs the trap and the seccomp filter for the rest of the process's life. `inputs` must stay open and stay in
// place. unavailable: the kernel has no seccomp; then nothing may be parsed.
Result<void> raise_walls(std::span<const int> inputs);

}  // namespace fovea::node

// The walls around one parse, put up in the parser's forked child after it has what it needs. From then on: no
// network, no new programs, no file by path. What a library opens by path is answered by a trap (SIGSYS) from the
// descriptors handed in: their virtual_path (job_memory.h) is one of them, rewound; any other path does not exist.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <span>
#include <vector>

#include "common/result.h"
#include "node/intake/parser/scan_protocol.h"

namespace fovea::node::intake {

// What this process has mapped; 0 when the kernel does not say.
std::uint64_t address_space_bytes();

// Address space on top of `address_space`, processor time from here on, no core dump. unavailable: the kernel refused.
Result<void> limit_resources(const ParserLimits& limits, std::uint64_t address_space);

// The seccomp filter as the kernel takes it. Compiled once, before the forks: it takes longer than parsing a small
// file.
class WallFilter {
 public:
  static Result<WallFilter> compile();
  std::span<const sock_filter> program() const noexcept { return program_; }

 private:
  std::vector<sock_filter> program_;
};

// Installs the trap and the filter for the rest of the process's life, after limit_resources. `inputs` must stay open
// and stay in place. unavailable: the kernel has no seccomp; then nothing may be parsed.
Result<void> raise_walls(const WallFilter& filter, std::span<const int> inputs);

}  // namespace fovea::node::intake

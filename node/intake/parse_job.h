// One job of the parser, inside its walls: what the forked child does from handed descriptors to answer.
#pragma once

#include <span>

#include "node/intake/scan_protocol.h"

namespace fovea::node {

// Everything the child needs that cannot be made once the walls are up.
struct JobDescriptors {
  int result = -1;             // the node's result memory
  int scratch = -1;            // an anonymous file for decompressed data
  std::span<const int> inputs;  // scratch is the last of them, so that it has a virtual path too
};

// Limits itself, raises the walls, runs the job, and leaves its answer in the result memory. Never returns: exit
// status 0 when an answer is there.
[[noreturn]] void run_parse_job(const ParserJob& job, const JobDescriptors& descriptors);

}  // namespace fovea::node

// One job of the parser, inside its walls: what the forked child does from handed descriptors to answer.
#pragma once

#include <span>
#include <string>

#include "node/intake/sandbox.h"
#include "node/intake/scan_protocol.h"

namespace fovea::node {

// Everything the child needs that cannot be made once the walls are up.
struct JobDescriptors {
  int result = -1;             // the node's result memory
  int scratch = -1;            // an anonymous file for decompressed data
  std::span<const int> inputs;  // scratch is the last of them, so that it has a virtual path too
  std::string folder = std::string(kVirtualFolder);  // where libraries find them by name
};

// Limits itself, raises the walls, runs the job, and leaves its answer in the result memory. Never returns: exit
// status 0 when an answer is there.
[[noreturn]] void run_parse_job(const ParserJob& job, const JobDescriptors& descriptors, const WallFilter& filter);

// The job alone, in the calling process and without walls: `descriptors.folder` must hold real files under the virtual names.
// Its answer is left in the result memory. For measuring what the walls cost (bench/), never for a file of a patient.
void run_without_walls(const ParserJob& job, const JobDescriptors& descriptors);

// Does once what libraries do at their first file, so that forked children find it done.
void warm_up_libraries();

}  // namespace fovea::node

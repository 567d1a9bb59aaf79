// What every parser program is: a process that loads its libraries once and then forks a child for each job, so that
// every file meets a fresh process and this one never sees a byte of any.
#pragma once

#include "common/bytes.h"
#include "node/intake/parser/child/job_memory.h"
#include "node/intake/parser/scan_protocol.h"

namespace fovea::node::intake {

struct ParserProgram {
  Bytes (*answer)(const ParserJob& job, const JobDescriptors& descriptors);  // in the child, inside its walls
  void (*warm_up)();  // does once what libraries do at their first file, so that no child has to
};

// Serves the node at kControlDescriptor until it goes; the exit status.
int serve_jobs(const ParserProgram& program);

// The program's answer, or the self-test's; what libraries throw becomes a refusal.
Bytes answer_job(const ParserProgram& program, const ParserJob& job, const JobDescriptors& descriptors);

}  // namespace fovea::node::intake

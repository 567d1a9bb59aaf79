// The jobs of fovea-scan-parser-itk, which knows every format: what the forked child does, inside its walls, from
// handed descriptors to answer.
#pragma once

#include "common/bytes.h"
#include "node/intake/parser/child/job_memory.h"
#include "node/intake/parser/scan_protocol.h"

namespace fovea::node::intake {

Bytes answer_any_job(const ParserJob& job, const JobDescriptors& descriptors);

// Does once what libraries do at their first file, so that no forked child has to.
void warm_up_libraries();

}  // namespace fovea::node::intake

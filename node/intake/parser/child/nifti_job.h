// A NIfTI file from its descriptor to canonical voxels in the result memory, inside the parser's walls.
#pragma once

#include "common/bytes.h"
#include "common/result.h"
#include "node/intake/parser/child/job_memory.h"
#include "node/intake/parser/scan_protocol.h"

namespace fovea::node::intake {

// The file is input 0. Errors as inspect_nifti, unpack_gzip and deliver_nifti; a file that cannot hold what its header
// promises is refused before memory is made for it.
Result<VolumeAnswer> parse_nifti(const JobDescriptors& descriptors);

// The jobs that fovea-scan-parser does by itself; any other is an internal error. The warm-up does beforehand what each
// child would.
Bytes answer_nifti_job(const ParserJob& job, const JobDescriptors& descriptors);
void warm_up_nifti();

}  // namespace fovea::node::intake

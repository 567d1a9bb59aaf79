// Reads a volume inside the calling process. Only for files of known origin (a template brain from a
// package, a file the same program wrote): scans of patients go through the sandbox of scan_parser.h.
#pragma once

#include <filesystem>

#include "common/result.h"
#include "node/volume/volume.h"

namespace fovea::node::volume_files {

// NIfTI, NRRD or MHA, plain or gzipped, as a canonical Volume (see volume.h). not_found: no such file;
// invalid_argument: not a 3D volume, or one whose geometry or size is refused.
Result<volume::Volume> read_trusted_volume(const std::filesystem::path& path);

}  // namespace fovea::node::volume_files

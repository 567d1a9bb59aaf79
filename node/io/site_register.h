// The register of a site on disk: what must hold across its runs (node/round/site_marks.h).
#pragma once

#include <filesystem>

#include "common/result.h"
#include "federation/files/record_file.h"

namespace fovea::node::io {

// What the journals of the runs have and the register lacks is written to it first, at each opening: so deleting it
// frees no model, and a crash while it is made again does no harm. Then the shares
// that may not leave any more are erased from the journals.
Result<federation::files::RecordFile> open_site_register(const std::filesystem::path& path,
                                                         const std::filesystem::path& runs);

}  // namespace fovea::node::io

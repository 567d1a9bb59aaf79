// Files that are no scan as they lie there, and what to do with each: archives, packed DICOM, images whose voxels lie
// in another file. Told by their first bytes, whatever their name.
#pragma once

#include <string>

#include "common/bytes.h"

namespace fovea::node::intake {

// `head`: as for format_of_contents. Empty: nothing that is known, or a scan.
std::string foreign_file(ByteView head);

// The same of what a gzip stream holds: `head` is unpacked. Only NIfTI is taken packed.
std::string foreign_in_gzip(ByteView head);

}  // namespace fovea::node::intake

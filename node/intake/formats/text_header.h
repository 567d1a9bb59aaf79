// The headers of NRRD and MetaImage, looked through line by line before a library reads them: ITK's readers overflow a
// buffer on long lines (NrrdIO's messages) and search for ever when a field comes twice with another meaning (MetaIO's
// NDims). NRRD: teem.sourceforge.net/nrrd/format.html; MetaImage: itk.org/Wiki/ITK/MetaIO.
#pragma once

#include <cstddef>

#include "common/bytes.h"
#include "common/result.h"

namespace fovea::node::intake {

constexpr std::size_t kTextHeaderBytesMax = 1u << 20;

// `head`: the file's first kTextHeaderBytesMax bytes, or all of a shorter one. invalid_argument names the field or
// line, never its contents: no end of the header, a line that is not a field, a line that is too long, a field given
// twice, voxels in another file, a number of dimensions other than 1–16, a size, distance, place or direction that is
// not written as a number from end to end, MetaImage in another unit than mm.
Result<void> check_nrrd_header(ByteView head);
Result<void> check_metaimage_header(ByteView head);

}  // namespace fovea::node::intake

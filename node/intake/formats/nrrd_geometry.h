// Where an NRRD's voxels lie, from its own header: ITK mirrors one of the three anatomical spaces (LAS) and does not
// look at units. teem.sourceforge.net/nrrd/format.html, section "Space and orientation information".
#pragma once

#include <optional>
#include <string>

#include "common/bytes.h"
#include "common/result.h"
#include "node/volume/volume.h"

namespace fovea::node::intake {

struct NrrdGeometry {
  std::optional<volume::VolumeGeometry> geometry;  // LPS, in file order; none: spacings only, as ITK reads them
  std::string note;
};

// `head`: as for check_nrrd_header, which accepted it. invalid_argument names the field: a space that does not say
// where left is, a unit of length that is not known, directions that are not three vectors, sizes that do not fit them
// (layers, colours), and what checked_geometry refuses.
Result<NrrdGeometry> inspect_nrrd(ByteView head);

}  // namespace fovea::node::intake

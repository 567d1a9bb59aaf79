// The grid of a volume as canonical bytes (common/codec.h), for every file and message that holds one: the size as
// three u64, then spacing, origin and direction (row-major) as f64.
#pragma once

#include "common/codec.h"
#include "common/result.h"
#include "node/volume/volume.h"

namespace fovea::node::volume {

void put_geometry(ByteWriter& out, const VolumeGeometry& geometry);

// What the bytes say. corruption: a size above kAxisVoxelsMax; invalid_argument: fewer bytes than a geometry has.
// Nothing else is promised of the numbers: a caller that does not trust their writer passes the result to
// checked_geometry().
Result<VolumeGeometry> get_geometry(ByteReader& in);

}  // namespace fovea::node::volume

// Intensity statistics as canonical bytes (common/codec.h), for every file that holds them: ten f32 in the order of
// IntensityStatistics.
#pragma once

#include "common/codec.h"
#include "common/result.h"
#include "node/volume/intensity.h"

namespace fovea::node::volume {

void put_statistics(ByteWriter& out, const IntensityStatistics& statistics);

// What the bytes say; any float is possible. invalid_argument: fewer bytes than statistics have.
Result<IntensityStatistics> get_statistics(ByteReader& in);

}  // namespace fovea::node::volume

// N4 bias field correction of an MR scan (Tustison et al., "N4ITK: improved N3 bias correction", IEEE TMI 29(6), 2010),
// by ITK, in the calling thread: inside the parser's walls no thread can be started.
#pragma once

#include <span>

#include "common/result.h"
#include "node/volume/volume.h"

namespace fovea::node::intake {

// Divides `voxels` (z-y-x, geometry.voxel_count() of them) by the smooth field found on 4 mm averages of what lies
// above 0.25 · p99; the field's mean logarithm there is taken out, so that the scan keeps its level. invalid_argument:
// nothing lies above, or the fit does not end in numbers.
Result<void> correct_bias(const volume::VolumeGeometry& geometry, std::span<float> voxels);

}  // namespace fovea::node::intake

// Closed planar contours in patient millimetres as voxels of a scan's grid: the raster of DICOM RTSTRUCT
// (PS3.3 C.8.8.6). Inside is what an odd number of a plane's contours surround, so that a contour within another is a
// hole, and the two sides of a keyhole's channel cancel.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/result.h"
#include "node/volume/volume.h"

namespace fovea::node::intake {

using Contour = std::vector<volume::Point3>;  // corners in order, LPS mm; the last is joined to the first

// Offsets (geometry.offset) of the voxels whose centres lie inside, in ascending order. A plane of contours reaches
// half way to its neighbours, so contours drawn on every second slice leave none out; across more than 1.5 times the
// usual distance it reaches only half of that distance. Contours of fewer than three corners enclose nothing.
// invalid_argument: a contour that does not lie in a plane of the grid (to a quarter of its slices' distance), or that
// has corners that are not numbers; not_found: no voxel of the scan inside any of them.
Result<std::vector<std::uint32_t>> voxels_inside(const volume::VolumeGeometry& geometry,
                                                 std::span<const Contour> contours);

// Whether every corner lies in a voxel of the scan. Contours of which that is true and that surround no voxel's centre
// are only too small for it.
bool lie_within(const volume::VolumeGeometry& geometry, std::span<const Contour> contours);

}  // namespace fovea::node::intake

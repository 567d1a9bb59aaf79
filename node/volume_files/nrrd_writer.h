// A stored volume as one NRRD file (text header, raw little-endian floats, left-posterior-superior mm), for a physicist
// who wants to see in ITK-SNAP, 3D Slicer or a script what was ingested. Format:
// https://teem.sourceforge.net/nrrd/format.html (NRRD0004).
#pragma once

#include <filesystem>

#include "common/result.h"
#include "node/volume/volume.h"

namespace fovea::node::volume_files {

// Writes `volume` to `path`, readable by this user only, replacing nothing: geometry in full double precision, voxels
// in the scan's own units. invalid_argument: another ending than .nrrd, or voxels that do not fill the geometry;
// failed_precondition: the file is there already; unavailable: it cannot be written.
Result<void> write_nrrd(const std::filesystem::path& path, const volume::Volume& volume);

}  // namespace fovea::node::volume_files

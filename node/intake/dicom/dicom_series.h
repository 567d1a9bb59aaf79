// DICOM through GDCM, inside the parser's walls: what a file is, and a series of files as one canonical volume.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "common/result.h"
#include "node/intake/formats/scan_facts.h"
#include "node/volume/voxel_storage.h"

namespace fovea::node::intake {

// Reads the header only. Never an error: a file that cannot be read is no image, and the reason says why.
DicomFile describe_dicom(const std::filesystem::path& file);

struct SeriesFacts {
  std::string modality;  // CT, MR or PT
  std::string patient;   // PatientID, or the name without one
  std::string frame_of_reference;
  std::string note;  // what was left out; see add_note
};

// How many volumes the files of one series hold: echoes, time points, weightings or acquisitions that lie in the same
// places count each. A scout among the slices of a volume counts nothing.
Result<std::uint32_t> count_dicom_volumes(std::span<const std::filesystem::path> files);

// The slices of one series, classic, mosaic or enhanced multi-frame, in any order; files that are no images are left
// out. `part` says which of its volumes; kOnlyVolume: there must be one. Tilted and uneven stacks are resampled
// (slice_geometry.h). Values: rescaled slice by slice; CT in HU with padding set to air; PET as SUVbw; MR in its own
// units, MONOCHROME1 inverted (CT and PET keep their units whatever the display). invalid_argument: everything
// wrong with the series.
Result<SeriesFacts> read_dicom_series(std::span<const std::filesystem::path> files, std::uint32_t part,
                                      const volume::VoxelAllocator& allocate);

}  // namespace fovea::node::intake

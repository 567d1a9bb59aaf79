// The fields of one DICOM file that make it a slice, or several, of a volume.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "node/intake/dicom/slice_geometry.h"
#include "node/intake/dicom/suv.h"
#include "node/intake/formats/scan_facts.h"

namespace fovea::node::intake {

// What may tell the volumes of one series apart: echo, time point, diffusion weighting, image type, acquisition.
constexpr std::size_t kVolumeKeys = 7, kAcquisitionKey = 6;

struct DicomFrame {
  SlicePlace place;
  double slope = 1, intercept = 0;
  std::string rescale_type;                   // (0028,1054): what the rescaled values are
  std::array<std::string, kVolumeKeys> keys;  // as they stand in the file; empty when not said
};

struct DicomHeader : SeriesIdentity {
  bool inverted = false;  // MONOCHROME1
  bool colour = false;
  unsigned bits_stored = 0;
  std::optional<std::pair<int, int>> padding;  // the lowest and highest stored value that means nothing is there
  std::vector<DicomFrame> frames;              // one, or as many as an enhanced object or a mosaic has
  std::int64_t tiles_across = 0;               // of a Siemens mosaic: frames beside each other in one image, in rows
  PetFields pet;
};

// The series identity only; invalid_argument says why the file belongs to no image series.
struct DicomIdentity : SeriesIdentity {
  std::string instance;
  std::string position;  // as it stands in a file of one slice; empty in one of several
  std::string acquisition;
};
Result<DicomIdentity> read_dicom_identity(const std::filesystem::path& file);

// Whether a SOPClassUID is that of scans.
bool is_image_class(std::string_view uid);

// Everything before the pixels. invalid_argument: a field is missing or wrong.
Result<DicomHeader> read_dicom_header(const std::filesystem::path& file);

}  // namespace fovea::node::intake

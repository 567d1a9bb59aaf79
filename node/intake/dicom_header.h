// The fields of one DICOM file that make it a slice, or several, of a volume.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "node/intake/slice_geometry.h"
#include "node/intake/suv.h"

namespace fovea::node {

struct DicomFrame {
  SlicePlace place;
  double slope = 1, intercept = 0;
};

struct DicomHeader {
  std::string series, modality, patient, frame_of_reference;
  bool inverted = false;               // MONOCHROME1
  bool colour = false;
  unsigned bits_stored = 0;
  std::optional<double> padding;       // PixelPaddingValue, as stored
  std::vector<DicomFrame> frames;      // one, or as many as an enhanced object has
  PetFields pet;
};

// The series identity only; invalid_argument says why the file belongs to no image series.
struct DicomIdentity {
  std::string series, modality, patient, instance;
};
Result<DicomIdentity> read_dicom_identity(const std::filesystem::path& file);

// Everything before the pixels. invalid_argument: a field is missing or wrong.
Result<DicomHeader> read_dicom_header(const std::filesystem::path& file);

}  // namespace fovea::node

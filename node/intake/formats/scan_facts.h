// Facts about scan files that cross the parser's walls, as the readers inside and the node outside name them.
#pragma once

#include <cstdint>
#include <string>

#include "node/volume/volume.h"

namespace fovea::node::intake {

constexpr std::uint32_t kLabelLayersMax = 16;  // label maps of one label object

constexpr std::uint32_t kOnlyVolume = 0xffffffff;  // for `part`: the series must hold one volume
constexpr std::uint32_t kSeriesVolumesMax = 16;    // more is a long time series, not a scan

// What a labels job needs: the scan's canonical grid, into which contours are drawn, and which label map is wanted
// (structures that overlap lie in different ones).
struct LabelGrid {
  volume::VolumeGeometry image{.size = {2, 2, 2}};
  std::uint32_t layer = 0;
};

// What a DICOM file is, from its header.
struct DicomFile {
  bool is_image = false;  // has pixels and belongs to an image series
  std::string reason;     // why it is no image, when it is none
  std::string series;     // SeriesInstanceUID: an identifier, never shown
  std::string modality;
  std::string patient;
  std::string instance;     // SOPInstanceUID: two files with the same are one slice
  std::string position;     // of a file of one slice, as it stands there; empty in one of several slices
  bool is_label = false;    // DICOM SEG or RTSTRUCT; `series` is then the one that it refers to, or empty
  bool is_damaged = false;  // an image or a label that is not all there; `series` is empty when it is not known
  bool is_foreign = false;  // nothing in it is DICOM
};

}  // namespace fovea::node::intake

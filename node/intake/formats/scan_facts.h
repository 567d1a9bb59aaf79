// Facts about scan files that cross the parser's walls, as the readers inside and the node outside name them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "node/volume/volume.h"

namespace fovea::node::intake {

constexpr std::uint32_t kLabelLayersMax = 16;  // label maps of one label object

constexpr std::uint32_t kOnlyVolume = 0xffffffff;  // for `part`: the series must hold one volume
constexpr std::uint32_t kSeriesVolumesMax = 16;    // more is a long time series, not a scan

constexpr std::size_t kChosenLabelsMax = 512;

// What a labels job needs: the scan's canonical grid, into which contours are drawn, and which label map is wanted
// (structures that overlap lie in different ones).
struct LabelGrid {
  volume::VolumeGeometry image{.size = {2, 2, 2}};
  std::uint32_t layer = 0;
  std::vector<std::int32_t> chosen{};  // labels that count; of a DICOM object no other is looked at. Empty: all
};

// What every file of one series has in common (PS3.3 C.7): a Series Instance UID alone does not make a series, since
// anonymisers and merged archives give one to the scans of two patients. Identifiers: never shown.
struct SeriesIdentity {
  std::string series;    // SeriesInstanceUID
  std::string modality;  // of the SOP class
  std::string patient;   // PatientID and its issuer, or the name without an id
  std::string person;    // the name and date of birth beside it
  std::string study;     // StudyInstanceUID
  std::string frame_of_reference;
};

// Why a file cannot be of the series `known`, though it states the same Series Instance UID; empty when it can, and
// then `known` has learnt what only the file states (a study or a frame of reference, say).
std::string join_series(SeriesIdentity& known, const SeriesIdentity& file);

// What a reader took otherwise than the file says, or left out: for the local terminal. Names no patient and no file.
inline void add_note(std::string& notes, std::string_view more) {
  if (!notes.empty() && !more.empty()) notes += "; ";
  notes += more;
}

// What a DICOM file is, from its header.
struct DicomFile : SeriesIdentity {
  bool is_image = false;  // has pixels and belongs to an image series
  std::string reason;     // why it is no image, when it is none
  std::string instance;   // SOPInstanceUID: two files with the same are one slice
  std::string position;   // of a file of one slice, as it stands there; empty in one of several slices
  std::string acquisition;
  bool is_label = false;    // DICOM SEG or RTSTRUCT; `series` is then the one that it refers to, or empty
  bool is_damaged = false;  // an image or a label that is not all there; `series` is empty when it is not known
  bool is_foreign = false;  // nothing in it is DICOM
};

}  // namespace fovea::node::intake

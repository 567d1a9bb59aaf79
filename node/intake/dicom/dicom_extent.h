// How far a DICOM file's elements reach, followed byte by byte through the file: a library that reads one gives what is
// missing at its end as zeros, or leaves it out. Needs no reader of DICOM, and looks at no value but those named here.
#pragma once

#include <cstddef>
#include <string>

#include "common/bytes.h"

namespace fovea::node::intake {

struct DicomExtent {
  // Begins with "DICM" behind its preamble. Files without one are followed too, and may be anything.
  bool has_preamble = false;
  // Why the file ends too early, with what is there and what should be; empty when it is whole, or when its elements
  // could not be followed (old files break the rules in ways that readers forgive).
  std::string cut;
  std::string series, sop_class;  // SeriesInstanceUID and SOPClassUID (or the meta group's), as far as reached
  bool is_blank = false;          // nothing but zeros
  std::size_t deflated_from = 0;  // above 0: what follows is one deflate stream, to be followed once it is unpacked
};

DicomExtent dicom_extent(ByteView file);

// The unpacked data set of a deflated file, whose elements are explicit and little-endian.
DicomExtent dicom_extent_of_inflated(ByteView data_set);

}  // namespace fovea::node::intake

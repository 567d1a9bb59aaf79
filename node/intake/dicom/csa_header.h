// Numbers from the private "CSA" header that Siemens scanners of the VB and VD generations leave in (0029,1010): the
// only place that says which way the slices of a mosaic are stacked. Layout as described by nibabel's documentation
// (nipy.org/nibabel/dicom/siemens_csa.html), version "SV10".
#pragma once

#include <string_view>
#include <vector>

#include "common/bytes.h"

namespace fovea::node::intake {

// The numbers of one tag; nothing when the header or the tag is not there, or is damaged.
std::vector<double> csa_numbers(ByteView header, std::string_view tag);

}  // namespace fovea::node::intake

// Whether a DICOM file is all there: its elements to the last byte, and its compressed pixels frame by frame. GDCM
// fills what is missing with zeros, or leaves it out.
#pragma once

#include <cstddef>
#include <filesystem>

#include <gdcmDataElement.h>
#include <gdcmTransferSyntax.h>

#include "common/result.h"
#include "node/intake/dicom/dicom_extent.h"
#include "node/intake/dicom/pixel_stream.h"

namespace fovea::node::intake {

// Deflated files are unpacked for it. invalid_argument: the file cannot be looked at.
Result<DicomExtent> extent_of_file(const std::filesystem::path& file);

// invalid_argument: elements are missing or end early.
Result<void> check_whole_file(const std::filesystem::path& file);

// The pixels of `frames` frames as they stand in the file. invalid_argument: there are fewer, or one ends early.
Result<void> check_stored_pixels(const gdcm::DataElement& pixels, const gdcm::TransferSyntax& syntax,
                                 const FramePixels& frame, std::size_t frames);

}  // namespace fovea::node::intake

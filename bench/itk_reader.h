// Plain ITK, as a program without a sandbox reads a scan: the yardstick of intake.
#pragma once

#include <cstdint>
#include <filesystem>

#include "common/result.h"

namespace fovea::bench {

// Reads one volume file, or a folder with one DICOM series, into an itk::Image of the stored type and discards it. The
// result is the size of its voxels in bytes. invalid_argument: ITK cannot read it.
Result<std::uint64_t> read_with_itk(const std::filesystem::path& path);

}  // namespace fovea::bench

// The format of a scan file: by its name, which decides what a folder walk takes for a volume and which library reads a
// trusted file, and by its first bytes, which alone count when a file of a patient is parsed.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "common/bytes.h"

namespace fovea::node::intake {

enum class FileFormat { nifti, nrrd, metaimage, dicom };

// For names of files, and of fields in text headers and tables, which count in either case. ASCII, in every locale.
std::string lower_case(std::string_view text);

// By ending, in letters of either case: .nii, .nii.gz, .nrrd or .mha. None for any other name, those of DICOM files
// included, which follow no rule.
std::optional<FileFormat> format_of_name(const std::filesystem::path& file);

// A volume file's own name without such an ending; any other name as it is. Not up to the first dot: "1.2.840.7.nii" is
// named by a UID, and two such files are not both called "1".
std::string name_without_ending(const std::filesystem::path& file);

// ".nii", ".nrrd", ".mha" or ".dcm": what libraries that go by the name expect.
std::string_view ending_of(FileFormat format) noexcept;

// How much of a file format_of_contents needs: as much as the longest header whose first field names the format.
constexpr std::size_t kFormatHeadBytes = 544;

// `head`: the first kFormatHeadBytes bytes, or all of a shorter file. A gzip stream is NIfTI, the only format that is
// taken packed. Four bytes are enough to tell NIfTI from everything else. None: no format that is taken.
std::optional<FileFormat> format_of_contents(ByteView head) noexcept;

}  // namespace fovea::node::intake

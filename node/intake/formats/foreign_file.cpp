#include "node/intake/formats/foreign_file.h"

#include <array>
#include <optional>
#include <string_view>

#include "node/intake/formats/file_format.h"
#include "node/intake/formats/nifti_header.h"
#include "node/intake/formats/text_header.h"

namespace fovea::node::intake {
namespace {

struct Archive {
  std::string_view magic, name;
};
constexpr std::array kArchives{
    Archive{"PK\x03\x04", "a zip archive"},
    Archive{"PK\x05\x06", "a zip archive"},
    Archive{"7z\xbc\xaf\x27\x1c", "a 7z archive"},
    Archive{"Rar!\x1a\x07", "a RAR archive"},
    Archive{"BZh", "a file packed by bzip2"},
    Archive{"\xfd"
            "7zXZ",
            "a file packed by xz"},
    Archive{"\x28\xb5\x2f\xfd", "a file packed by zstd"},
};

bool is_tar(std::string_view head) noexcept { return head.size() >= 262 && head.substr(257, 5) == "ustar"; }

// A header of MetaImage may begin with any of its fields, and then names the file of its voxels.
bool is_metaimage_header(std::string_view head) noexcept {
  return head.find("NDims") != std::string_view::npos && head.find("ElementDataFile") != std::string_view::npos;
}

// What the readers say of a file that folders do not show them, for want of an ending.
std::string unnamed_volume(ByteView head) {
  const std::string_view text = as_text(head);
  if (looks_like_nifti(head)) {
    const Result<NiftiHeader> header = inspect_nifti(head);
    return header ? "a NIfTI file without the ending .nii (rename it)" : header.error().message;
  }
  const bool nrrd = text.starts_with("NRRD000");
  if (!nrrd && !is_metaimage_header(text)) return "";
  const Result<void> header = nrrd ? check_nrrd_header(head) : check_metaimage_header(head);
  if (header) return std::string("a volume without the ending ") + (nrrd ? ".nrrd" : ".mha") + " (rename it)";
  return header.error().message;
}

}  // namespace

std::string foreign_file(ByteView head) {
  const std::string_view text = as_text(head);
  for (const Archive& archive : kArchives)
    if (text.starts_with(archive.magic))
      return std::string(archive.name) + " (unpack it, and ingest the folder that it gives)";
  if (is_tar(text)) return "a tar archive (unpack it, and ingest the folder that it gives)";
  return unnamed_volume(head);
}

std::string foreign_in_gzip(ByteView head) {
  if (looks_like_nifti(head)) return "";
  if (is_tar(as_text(head)))
    return "a tar archive packed by gzip, .tar.gz or .tgz (unpack it, and ingest the folder that it gives)";
  if (looks_like_gzip(head)) return "packed by gzip twice (unpack it once: gunzip)";
  const std::optional<FileFormat> format = format_of_contents(head);
  const std::string what = format == FileFormat::dicom       ? "a DICOM file"
                           : format == FileFormat::nrrd      ? "an NRRD file"
                           : format == FileFormat::metaimage ? "an MHA file"
                                                             : "a file that is no NIfTI";
  return what + " packed by gzip; only NIfTI is taken packed (unpack it: gunzip)";
}

}  // namespace fovea::node::intake

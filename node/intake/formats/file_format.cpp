#include "node/intake/formats/file_format.h"

#include <string>

#include "node/intake/formats/nifti_header.h"

namespace fovea::node::intake {
namespace {

static_assert(kFormatHeadBytes >= kNiftiHeaderBytesMax);

// PS3.10 7.1: 128 bytes of preamble, then "DICM". Some exports lack these: the length of the meta group comes first.
bool looks_like_dicom(std::string_view head) noexcept {
  constexpr std::string_view kMetaGroup("\x02\0\0\0UL\x04\0", 8);
  return head.starts_with(kMetaGroup) || (head.size() >= 132 && head.substr(128, 4) == "DICM");
}

bool looks_like_metaimage(std::string_view head) noexcept {
  return head.starts_with("ObjectType") && head.find("NDims") != std::string_view::npos;
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::optional<FileFormat> format_of_name(const std::filesystem::path& file) {
  const std::string name = lower_case(file.filename().string());
  const auto ends_in = [&name](std::string_view ending) {
    return name.size() > ending.size() && name.ends_with(ending);
  };
  if (ends_in(".nii") || ends_in(".nii.gz")) return FileFormat::nifti;
  if (ends_in(".nrrd")) return FileFormat::nrrd;
  if (ends_in(".mha")) return FileFormat::metaimage;
  return std::nullopt;
}

std::string name_without_ending(const std::filesystem::path& file) {
  std::string name = file.filename().string();
  const std::optional<FileFormat> format = format_of_name(file);
  if (!format) return name;
  const bool packed = name.size() > 3 && name[name.size() - 3] == '.';  // .nii.gz
  name.resize(name.rfind('.'));
  if (packed) name.resize(name.rfind('.'));
  return name;
}

std::string_view ending_of(FileFormat format) noexcept {
  switch (format) {
    case FileFormat::nifti: return ".nii";
    case FileFormat::nrrd: return ".nrrd";
    case FileFormat::metaimage: return ".mha";
    case FileFormat::dicom: return ".dcm";
  }
  return "";
}

std::optional<FileFormat> format_of_contents(ByteView head) noexcept {
  if (looks_like_gzip(head) || looks_like_nifti(head)) return FileFormat::nifti;
  const std::string_view text = as_text(head);
  if (looks_like_dicom(text)) return FileFormat::dicom;
  if (text.starts_with("NRRD000")) return FileFormat::nrrd;
  if (looks_like_metaimage(text)) return FileFormat::metaimage;
  return std::nullopt;
}

}  // namespace fovea::node::intake

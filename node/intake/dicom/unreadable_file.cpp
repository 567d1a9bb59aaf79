#include "node/intake/dicom/unreadable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "node/intake/formats/foreign_file.h"
#include "node/intake/formats/gzip_file.h"
#include "node/intake/formats/nifti_header.h"

namespace fovea::node::intake {
namespace {

constexpr std::size_t kHeadBytes = 16 * 1024;  // a group of file meta information, and a text header

struct Syntax {
  std::string_view uid, name;
};
// PS3.6 A, what GDCM does not decode. A name that ends in a dot begins those of a family.
constexpr std::array kNotDecoded{
    Syntax{"1.2.840.10008.1.2.1.98", "encapsulated uncompressed"},
    Syntax{"1.2.840.10008.1.2.4.94", "JPIP"},
    Syntax{"1.2.840.10008.1.2.4.95", "JPIP, deflated"},
    Syntax{"1.2.840.10008.1.2.4.10", "a video: MPEG, H.264 or H.265"},  // .100 to .108
    Syntax{"1.2.840.10008.1.2.4.11", "JPEG XL"},                        // .110 to .112
    Syntax{"1.2.840.10008.1.2.4.20", "High-Throughput JPEG 2000"},      // .201 to .205
    Syntax{"1.2.840.10008.1.2.7.", "SMPTE ST 2110"},
    Syntax{"1.2.840.10008.1.2.8.1", "deflated frames"},
};

bool is_of(const Syntax& syntax, std::string_view uid) {
  if (!uid.starts_with(syntax.uid)) return false;
  const bool family = syntax.uid.back() == '.' || syntax.uid.ends_with(".4.10") || syntax.uid.ends_with(".4.11") ||
                      syntax.uid.ends_with(".4.20");
  return family ? uid.size() > syntax.uid.size() : uid.size() == syntax.uid.size();
}

std::uint32_t little_endian(std::string_view at, std::size_t bytes) {
  std::uint32_t out = 0;
  for (std::size_t n = bytes; n-- > 0;) out = out << 8 | static_cast<unsigned char>(at[n]);
  return out;
}

// (0002,0010) of the file meta information, which is explicit little-endian in every file (PS3.10 7.1); empty when it
// is not there.
std::string_view transfer_syntax_of(std::string_view head) {
  if (head.size() > 132 && head.substr(128, 4) == "DICM") head.remove_prefix(132);
  while (head.size() >= 12 && little_endian(head, 2) == 2) {
    const std::string_view vr = head.substr(4, 2);
    const bool is_long = vr == "OB" || vr == "OW" || vr == "UN" || vr == "SQ" || vr == "UT";
    const std::size_t length = is_long ? little_endian(head.substr(8), 4) : little_endian(head.substr(6), 2);
    const std::size_t begin = is_long ? 12 : 8;
    const bool wanted = little_endian(head.substr(2), 2) == 0x10;
    if (length > head.size() - begin) return {};
    if (wanted) {
      std::string_view uid = head.substr(begin, length);
      while (!uid.empty() && (uid.back() == '\0' || uid.back() == ' ')) uid.remove_suffix(1);
      return uid;
    }
    head.remove_prefix(begin + length);
  }
  return {};
}

std::string foreign_at(int input, ByteView head) {
  if (!looks_like_gzip(head)) return foreign_file(head);
  const Result<Bytes> unpacked = gzip_head(input, kNiftiHeaderBytesMax);
  if (!unpacked) return "";
  const std::string foreign = foreign_in_gzip(*unpacked);
  return foreign.empty() ? "a NIfTI file without the ending .nii.gz (rename it)" : foreign;
}

}  // namespace

Result<void> check_transfer_syntax(std::string_view uid) {
  const auto found =
      std::find_if(kNotDecoded.begin(), kNotDecoded.end(), [&](const Syntax& syntax) { return is_of(syntax, uid); });
  if (found == kNotDecoded.end()) return {};
  return invalid_argument("Transfer Syntax " + std::string(uid.substr(0, 32)) + " (" + std::string(found->name) +
                          ") is not decoded here; have the archive send Explicit VR Little Endian "
                          "(1.2.840.10008.1.2.1), or convert the files, e.g. with pydicom: Dataset.decompress()");
}

Error unreadable_dicom(const std::filesystem::path& file) {
  Bytes head(kHeadBytes);
  const Descriptor input = open_file(file.c_str(), O_RDONLY);
  const ssize_t got = input ? ::pread(input.number(), head.data(), head.size(), 0) : 0;
  head.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  if (const Result<void> syntax = check_transfer_syntax(transfer_syntax_of(as_text(head))); !syntax)
    return syntax.error();
  const std::string foreign = foreign_at(input.number(), head);
  return invalid_argument(foreign.empty() ? std::string(kUnreadable) : foreign);
}

}  // namespace fovea::node::intake

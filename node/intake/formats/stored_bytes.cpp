#include "node/intake/formats/stored_bytes.h"

#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "common/numbers.h"
#include "node/intake/formats/file_format.h"
#include "node/intake/formats/stored_amount.h"
#include "node/intake/formats/text_header.h"

namespace fovea::node::intake {
namespace {

constexpr std::size_t kBlockBytes = 256 * 1024;
constexpr std::uint64_t kSkipMax = 1ull << 40;

std::string trimmed_lower(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return lower_case(text);
}

struct Header {
  std::map<std::string, std::string> fields;
  std::size_t bytes = 0;  // voxels begin behind them
};

// NRRD ends with an empty line, MetaImage with the line that says where its voxels are.
Header header_of(FileFormat format, std::string_view text) {
  const bool is_nrrd = format == FileFormat::nrrd;
  Header out;
  while (out.bytes < text.size()) {
    const std::size_t end = std::min(text.find('\n', out.bytes), text.size() - 1);
    const std::string_view line = text.substr(out.bytes, end - out.bytes);
    out.bytes = end + 1;
    if (is_nrrd && trimmed_lower(line).empty()) break;
    const std::size_t at = line.find(is_nrrd ? ':' : '=');
    if (at == std::string_view::npos || (is_nrrd && line.substr(at).starts_with(":="))) continue;
    const std::string name = trimmed_lower(line.substr(0, at));
    out.fields.emplace(name, trimmed_lower(line.substr(at + 1)));
    if (!is_nrrd && name == "elementdatafile") break;
  }
  return out;
}

// 0 when the field is missing. Nothing: no whole number within bounds.
std::optional<std::int64_t> number_in(const Header& header, const char* name) {
  const auto found = header.fields.find(name);
  if (found == header.fields.end()) return 0;
  const std::optional<std::int64_t> out = read_integer(found->second);
  return out && *out <= static_cast<std::int64_t>(kSkipMax) ? out : std::nullopt;
}

std::string text_in(const Header& header, const char* name) {
  const auto found = header.fields.find(name);
  return found == header.fields.end() ? "" : found->second;
}

std::uint64_t count_numbers(std::string_view text) {
  std::uint64_t out = 0;
  bool inside = false;
  for (const char c : text) {
    const bool part = (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E';
    if (part && !inside) ++out;
    inside = part;
  }
  return out;
}

std::uint64_t count_hex_digits(std::string_view text) {
  return static_cast<std::uint64_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  }));
}

Result<void> check_packed(ByteView packed, std::uint64_t asked) {
  const Inflated got = inflate_stream(packed, DeflateWrapper::zlib_or_gzip, asked + kBlockBytes);
  FOVEA_TRY(check_stored("voxels", got.bytes, asked));
  // More than the header asks for is not unpacked to its end.
  if (!got.is_whole && got.bytes <= asked)
    return invalid_argument(
        "voxels: their packed data has no end or fails its own check (cut off? copy the file again)");
  return {};
}

Result<void> check_nrrd(const Header& header, ByteView voxels, std::uint64_t count, std::uint64_t voxel_bytes) {
  const std::optional<std::int64_t> lines = number_in(header, "line skip"), bytes = number_in(header, "byte skip");
  if (!lines || *lines < 0 || !bytes || *bytes < -1)
    return invalid_argument("header: \"line skip\" or \"byte skip\" is not a number that is taken (export it again)");
  const std::uint64_t asked = count * voxel_bytes;
  for (std::int64_t line = 0; line < *lines; ++line) {
    const auto end = std::find(voxels.begin(), voxels.end(), std::uint8_t{'\n'});
    if (end == voxels.end()) return check_stored("voxels", 0, asked);
    voxels = voxels.subspan(static_cast<std::size_t>(end - voxels.begin()) + 1);
  }
  const std::uint64_t skipped = *bytes > 0 ? static_cast<std::uint64_t>(*bytes) : 0;
  const std::string encoding = text_in(header, "encoding");
  if (encoding == "gzip" || encoding == "gz") return check_packed(voxels, asked + skipped);
  const std::uint64_t left = voxels.size() - std::min<std::uint64_t>(voxels.size(), skipped);
  if (encoding == "raw") return check_stored("voxels", left, asked);
  const std::string_view text = as_text(voxels).substr(voxels.size() - static_cast<std::size_t>(left));
  if (encoding == "hex") return check_stored("voxels", count_hex_digits(text) / 2, asked);
  if (encoding == "text" || encoding == "txt" || encoding == "ascii")
    return check_stored("voxels", count_numbers(text), count, "numbers");
  return invalid_argument("encoding: not one that is taken; save the scan as raw or gzip");
}

Result<void> check_metaimage(const Header& header, ByteView file, std::uint64_t count, std::uint64_t voxel_bytes) {
  const std::optional<std::int64_t> begin = number_in(header, "headersize"),
                                    packed = number_in(header, "compresseddatasize");
  if (!begin || *begin < -1 || !packed || *packed < 0)
    return invalid_argument("header: HeaderSize or CompressedDataSize is not a number that is taken (export it again)");
  const std::uint64_t asked = count * voxel_bytes;
  const std::uint64_t from = *begin > 0 ? static_cast<std::uint64_t>(*begin) : header.bytes;
  const ByteView voxels = file.subspan(static_cast<std::size_t>(std::min<std::uint64_t>(from, file.size())));
  const auto is_true = [&](const char* name) {
    const std::string value = text_in(header, name);
    return value.starts_with('t') || value.starts_with('1');
  };
  if (is_true("compresseddata")) {
    const auto stated = static_cast<std::uint64_t>(*packed);
    FOVEA_TRY(check_stored("packed voxels", voxels.size(), stated));
    return check_packed(stated > 0 ? voxels.first(static_cast<std::size_t>(stated)) : voxels, asked);
  }
  if (!text_in(header, "binarydata").empty() && !is_true("binarydata"))
    return check_stored("voxels", count_numbers(as_text(voxels)), count, "numbers");
  return check_stored("voxels", voxels.size(), asked);
}

}  // namespace

Inflated inflate_stream(ByteView packed, DeflateWrapper wrapper, std::uint64_t most, Bytes* out) {
  Inflated got;
  z_stream stream{};
  if (inflateInit2(&stream, wrapper == DeflateWrapper::none ? -15 : 15 + 32) != Z_OK) return got;
  Bytes block(kBlockBytes);
  std::size_t taken = 0;
  int status = Z_OK;
  while (status == Z_OK && got.bytes < most) {
    if (stream.avail_in == 0) {
      const std::size_t more = std::min<std::size_t>(packed.size() - taken, 1u << 30);
      stream.next_in = const_cast<std::uint8_t*>(packed.data() + taken);
      stream.avail_in = static_cast<unsigned>(more);
      taken += more;
    }
    stream.next_out = block.data();
    stream.avail_out = static_cast<unsigned>(std::min<std::uint64_t>(block.size(), most - got.bytes));
    const unsigned room = stream.avail_out;
    status = inflate(&stream, Z_NO_FLUSH);
    const std::size_t done = room - stream.avail_out;
    if (out != nullptr) out->insert(out->end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(done));
    got.bytes += done;
    got.is_whole = status == Z_STREAM_END;
    // RFC 1952: members may follow each other; anything else behind one is padding.
    if (got.is_whole && wrapper == DeflateWrapper::zlib_or_gzip && stream.avail_in >= 2 && stream.next_in[0] == 0x1f &&
        stream.next_in[1] == 0x8b)
      status = inflateReset(&stream);
    if (status == Z_OK && done == 0 && stream.avail_in == 0 && taken == packed.size()) break;
  }
  inflateEnd(&stream);
  return got;
}

Result<void> check_stored_voxels(FileFormat format, ByteView file, std::uint64_t voxels, std::uint64_t voxel_bytes) {
  const Header header = header_of(format, as_text(file.first(std::min(file.size(), kTextHeaderBytesMax))));
  return format == FileFormat::nrrd ? check_nrrd(header, file.subspan(header.bytes), voxels, voxel_bytes)
                                    : check_metaimage(header, file, voxels, voxel_bytes);
}

}  // namespace fovea::node::intake

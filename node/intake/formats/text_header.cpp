#include "node/intake/formats/text_header.h"

#include <charconv>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace fovea::node::intake {
namespace {

constexpr std::size_t kFieldBytesMax = 900;        // NrrdIO quotes lines in messages of 1024 bytes
constexpr std::size_t kPairBytesMax = 256 * 1024;  // of NRRD's key/value pairs and comments, which are not quoted
constexpr std::size_t kLinesMax = 20'000;
constexpr int kDimensionsMax = 16;

// Lines, without what ends them.
class Lines {
 public:
  explicit Lines(std::string_view text) : left_(text) {}
  std::size_t number() const noexcept { return number_; }
  // None when the text ends before a line does.
  std::optional<std::string_view> next() {
    const std::size_t end = left_.find('\n');
    if (end == std::string_view::npos || number_ == kLinesMax) return std::nullopt;
    std::string_view line = left_.substr(0, end);
    left_.remove_prefix(end + 1);
    ++number_;
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    return line;
  }

 private:
  std::string_view left_;
  std::size_t number_ = 0;
};

std::string trimmed_lower(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

Error at_line(const Lines& lines, std::string_view what) {
  return invalid_argument("header line " + std::to_string(lines.number()) + ": " + std::string(what) +
                          " (damaged? export the scan again)");
}
Error no_end() { return invalid_argument("header: does not end (cut off, or damaged; copy the file again)"); }
Error elsewhere() {
  return invalid_argument("header: its voxels lie in another file; save header and voxels as one file");
}

Result<void> check_dimensions(const Lines& lines, std::string_view text) {
  const std::string value = trimmed_lower(text);
  int dimensions = 0;
  const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), dimensions);
  if (failed != std::errc() || end != value.data() + value.size() || dimensions < 1 || dimensions > kDimensionsMax)
    return at_line(lines, "the number of dimensions is not a number from 1 to " + std::to_string(kDimensionsMax));
  return {};
}

// NRRD: one "field: value" line. The names of detached data are "data file" and "datafile".
Result<void> check_nrrd_field(const Lines& lines, std::string_view line, std::set<std::string>& seen) {
  if (line.size() > kFieldBytesMax) return at_line(lines, "longer than " + std::to_string(kFieldBytesMax) + " bytes");
  const std::size_t colon = line.find(": ");
  const std::string name = trimmed_lower(line.substr(0, colon == std::string_view::npos ? line.find(':') : colon));
  if (colon == std::string_view::npos && line.find(':') == std::string_view::npos)
    return at_line(lines, "no \"field: value\"");
  if (name == "data file" || name == "datafile") return elsewhere();
  if (!seen.insert(name).second) return at_line(lines, "a field given twice");
  if (name == "dimension") return check_dimensions(lines, line.substr(line.find(':') + 1));
  return {};
}

}  // namespace

Result<void> check_nrrd_header(ByteView head) {
  Lines lines(as_text(head));
  std::set<std::string> seen;
  for (auto line = lines.next(); line; line = lines.next()) {
    if (line->empty()) return {};
    if (line->size() > kPairBytesMax) return at_line(lines, "longer than " + std::to_string(kPairBytesMax) + " bytes");
    if (lines.number() == 1 || line->starts_with('#') || line->find(":=") != std::string_view::npos) continue;
    FOVEA_TRY(check_nrrd_field(lines, *line, seen));
  }
  return no_end();
}

Result<void> check_metaimage_header(ByteView head) {
  Lines lines(as_text(head));
  std::set<std::string> seen;
  for (auto line = lines.next(); line; line = lines.next()) {
    if (line->size() > kPairBytesMax) return at_line(lines, "longer than " + std::to_string(kPairBytesMax) + " bytes");
    const std::size_t equals = line->find('=');
    if (equals == std::string_view::npos || equals > kFieldBytesMax) return at_line(lines, "no \"Field = value\"");
    const std::string name = trimmed_lower(line->substr(0, equals)), value = trimmed_lower(line->substr(equals + 1));
    if (!seen.insert(name).second) return at_line(lines, "a field given twice");
    if (name == "ndims") FOVEA_TRY(check_dimensions(lines, value));
    if (name != "elementdatafile") continue;
    if (value != "local") return elsewhere();
    return {};
  }
  return no_end();
}

}  // namespace fovea::node::intake

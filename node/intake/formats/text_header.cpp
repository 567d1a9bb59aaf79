#include "node/intake/formats/text_header.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "common/numbers.h"
#include "node/intake/formats/file_format.h"

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
  return lower_case(text);
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
  const int dimensions = read_whole<int>(trimmed_lower(text)).value_or(0);
  if (dimensions < 1 || dimensions > kDimensionsMax)
    return at_line(lines, "the number of dimensions is not a number from 1 to " + std::to_string(kDimensionsMax));
  return {};
}

// The libraries read the front of a number and leave the rest: 1 of "1,5". Each number of these fields is checked
// whole.
constexpr std::array kNrrdNumbers{"sizes",    "spacings",  "thicknesses", "axis mins", "axismins", "axis maxs",
                                  "axismaxs", "byte skip", "byteskip",    "line skip", "lineskip", "space dimension"};
constexpr std::array kNrrdVectors{"space directions", "space origin", "measurement frame"};
constexpr std::array kMetaNumbers{"dimsize",
                                  "elementspacing",
                                  "elementsize",
                                  "offset",
                                  "position",
                                  "origin",
                                  "transformmatrix",
                                  "rotation",
                                  "orientation",
                                  "centerofrotation",
                                  "elementnumberofchannels",
                                  "headersize",
                                  "compresseddatasize",
                                  "elementtointensityfunctionslope",
                                  "elementtointensityfunctionoffset"};

template <class Names>
bool is_one_of(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The first word of `text`, which is taken off it; empty when there is none.
std::string_view next_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  const std::string_view word = text.substr(0, text.find_first_of(" \t"));
  text.remove_prefix(word.size());
  return word;
}

Error not_a_number(const Lines& lines, std::string_view name, std::string_view text) {
  return at_line(lines, "\"" + std::string(name) + "\": " + std::string(decimal_fault(text)));
}

// NRRD writes NaN, and no other word, for a distance that an axis does not have.
Result<void> check_numbers(const Lines& lines, std::string_view name, std::string_view lower, bool may_be_nan) {
  for (std::string_view word = next_word(lower); !word.empty(); word = next_word(lower))
    if (!read_decimal(word) && !(may_be_nan && word == "nan")) return not_a_number(lines, name, word);
  return {};
}

// "(1,0,0) none (0, 1, 0)". A decimal comma makes two numbers of one, so that there are too many of them.
Result<void> check_vectors(const Lines& lines, std::string_view name, std::string_view lower, std::size_t space) {
  while (true) {
    lower.remove_prefix(std::min(lower.find_first_not_of(" \t"), lower.size()));
    if (lower.empty()) return {};
    if (lower.front() != '(') {
      if (next_word(lower) != "none") return at_line(lines, "\"" + std::string(name) + "\": not vectors of numbers");
      continue;
    }
    const std::size_t close = lower.find(')');
    if (close == std::string_view::npos) return at_line(lines, "\"" + std::string(name) + "\": a vector has no end");
    std::string_view inside = lower.substr(1, close - 1);
    lower.remove_prefix(close + 1);
    std::size_t count = 0;
    for (bool more = true; more; ++count) {
      const std::size_t comma = inside.find(',');
      more = comma != std::string_view::npos;
      const std::string part = trimmed_lower(inside.substr(0, comma));
      if (!read_decimal(part)) return not_a_number(lines, name, part);
      if (more) inside.remove_prefix(comma + 1);
    }
    if (count != space)
      return at_line(lines, "\"" + std::string(name) + "\": a vector of " + std::to_string(count) + " numbers, not " +
                                std::to_string(space) + " (decimal commas?)");
  }
}

// How many numbers a vector has, by the field "space".
std::size_t space_of(std::string_view lower) {
  return lower.ends_with("-time") || lower == "rast" || lower == "last" || lower == "lpst" ? 4 : 3;
}

// NRRD: one "field: value" line. The names of detached data are "data file" and "datafile".
Result<void> check_nrrd_field(const Lines& lines, std::string_view line, std::set<std::string>& seen,
                              std::size_t& space) {
  if (line.size() > kFieldBytesMax) return at_line(lines, "longer than " + std::to_string(kFieldBytesMax) + " bytes");
  const std::size_t colon = line.find(": ");
  const std::string name = trimmed_lower(line.substr(0, colon == std::string_view::npos ? line.find(':') : colon));
  if (colon == std::string_view::npos && line.find(':') == std::string_view::npos)
    return at_line(lines, "no \"field: value\"");
  if (name == "data file" || name == "datafile") return elsewhere();
  if (!seen.insert(name).second) return at_line(lines, "a field given twice");
  const std::string value = trimmed_lower(line.substr(line.find(':') + 1));
  if (name == "dimension") return check_dimensions(lines, value);
  if (name == "space") space = space_of(value);
  if (is_one_of(kNrrdNumbers, name)) FOVEA_TRY(check_numbers(lines, name, value, true));
  if (name == "space dimension") space = read_whole<std::size_t>(value).value_or(0);
  if (is_one_of(kNrrdVectors, name)) return check_vectors(lines, name, value, space);
  return {};
}

}  // namespace

Result<void> check_nrrd_header(ByteView head) {
  Lines lines(as_text(head));
  std::set<std::string> seen;
  std::size_t space = 3;
  for (auto line = lines.next(); line; line = lines.next()) {
    if (line->empty()) return {};
    if (line->size() > kPairBytesMax) return at_line(lines, "longer than " + std::to_string(kPairBytesMax) + " bytes");
    if (lines.number() == 1 || line->starts_with('#') || line->find(":=") != std::string_view::npos) continue;
    FOVEA_TRY(check_nrrd_field(lines, *line, seen, space));
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
    if (is_one_of(kMetaNumbers, name)) FOVEA_TRY(check_numbers(lines, name, value, false));
    if (name == "distanceunits" && value != "mm" && value != "?" && !value.empty())
      return invalid_argument("DistanceUnits: not mm; save the scan in millimetres");
    if (name != "elementdatafile") continue;
    if (value != "local") return elsewhere();
    return {};
  }
  return no_end();
}

}  // namespace fovea::node::intake

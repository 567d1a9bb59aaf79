#include "node/intake/formats/nrrd_geometry.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "common/numbers.h"
#include "node/intake/formats/file_format.h"
#include "node/intake/formats/scan_facts.h"
#include "node/volume/canonical.h"

namespace fovea::node::intake {
namespace {

using Fields = std::map<std::string, std::string, std::less<>>;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// The "field: value" lines up to the empty one; comments and key/value pairs are not fields.
Fields fields_of(std::string_view text) {
  Fields out;
  while (!text.empty()) {
    const std::string_view line = trimmed(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
    if (line.empty()) break;
    const std::size_t colon = line.find(':');
    if (line.starts_with('#') || colon == std::string_view::npos || line.substr(colon).starts_with(":=")) continue;
    out[lower_case(trimmed(line.substr(0, colon)))] = trimmed(line.substr(colon + 1));
  }
  return out;
}

// Words apart by blanks; what stands in parentheses or quotes is one word, without these.
std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> out;
  for (text = trimmed(text); !text.empty(); text = trimmed(text)) {
    const char close = text.front() == '(' ? ')' : text.front() == '"' ? '"' : ' ';
    if (close != ' ') text.remove_prefix(1);
    const std::size_t end = close == ' ' ? text.find_first_of(" \t") : text.find(close);
    out.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return out;
}

std::optional<double> number_of(std::string_view text) { return read_decimal(trimmed(text)); }

std::optional<Eigen::Vector3d> vector_of(std::string_view text) {
  Eigen::Vector3d out;
  for (unsigned axis = 0; axis < 3; ++axis) {
    const std::size_t comma = text.find(',');
    if ((axis < 2) == (comma == std::string_view::npos)) return std::nullopt;
    const std::optional<double> value = number_of(text.substr(0, comma));
    if (!value) return std::nullopt;
    out[axis] = *value;
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return out;
}

// What turns the space's axes into those of LPS.
Result<Eigen::Vector3d> signs_of(const Fields& fields, std::string& note) {
  const auto found = fields.find("space");
  if (found == fields.end()) {
    note = "no space: nothing says which way is left; taken as left-posterior-superior";
    return Eigen::Vector3d(1, 1, 1);
  }
  const std::string space = lower_case(found->second);
  if (space == "left-posterior-superior" || space == "lps") return Eigen::Vector3d(1, 1, 1);
  if (space == "right-anterior-superior" || space == "ras") return Eigen::Vector3d(-1, -1, 1);
  if (space == "left-anterior-superior" || space == "las") return Eigen::Vector3d(1, -1, 1);
  return invalid_argument(
      "space: does not say where left and front are; expected left-posterior-superior, right-anterior-superior or "
      "left-anterior-superior (export the scan again)");
}

// Millimetres to each axis of the space, or of the array.
Result<Eigen::Vector3d> units_of(const Fields& fields, std::string_view field) {
  const auto found = fields.find(field);
  if (found == fields.end()) return Eigen::Vector3d(1, 1, 1);
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"", 1},     {"???", 1},   {"mm", 1},    {"millimeter", 1}, {"millimeters", 1}, {"millimetre", 1}, {"cm", 10},
      {"m", 1000}, {"um", 1e-3}, {"µm", 1e-3}, {"μm", 1e-3},      {"micron", 1e-3},   {"microns", 1e-3}};
  Eigen::Vector3d out(1, 1, 1);
  const std::vector<std::string_view> words = words_of(found->second);
  for (std::size_t axis = 0; axis < words.size(); ++axis) {
    const auto unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                   [&](const auto& known) { return lower_case(words[axis]) == known.first; });
    if (unit == std::end(kUnits) || (axis >= 3 && unit->second != 1))
      return invalid_argument(std::string(field) +
                              ": a unit that is not known; expected mm, cm, m or um for each axis");
    if (axis < 3) out[static_cast<unsigned>(axis)] = unit->second;
  }
  return out;
}

// Spacings without directions are for ITK to read, as long as they are what it takes them for.
Result<NrrdGeometry> without_directions(const Fields& fields) {
  NrrdGeometry out;
  FOVEA_TRY_ASSIGN(const Eigen::Vector3d signs, signs_of(fields, out.note));
  FOVEA_TRY_ASSIGN(const Eigen::Vector3d units, units_of(fields, "units"));
  FOVEA_TRY_ASSIGN(const Eigen::Vector3d space_units, units_of(fields, "space units"));
  const Eigen::Vector3d one(1, 1, 1);
  if (units != one || space_units != one)
    return invalid_argument("units: spacings in another unit than mm; save the scan in mm");
  if (signs != one) return invalid_argument("space directions: missing; expected one vector for each axis");
  return out;
}

// Sizes of the axes that have a direction, and their directions.
struct Axes {
  volume::Index3 size{};
  Eigen::Matrix3d steps = Eigen::Matrix3d::Zero();
};
Result<Axes> axes_of(const Fields& fields, std::string_view directions) {
  const auto sizes = fields.find("sizes");
  const std::vector<std::string_view> counts = sizes == fields.end() ? std::vector<std::string_view>()
                                                                     : words_of(sizes->second);
  const std::vector<std::string_view> vectors = words_of(directions);
  if (counts.empty() || counts.size() != vectors.size())
    return invalid_argument("sizes or space directions: not one for each dimension");
  Axes out;
  unsigned axis = 0;
  for (std::size_t n = 0; n < vectors.size(); ++n) {
    const std::optional<double> count = number_of(counts[n]);
    if (!count || !(*count >= 1 && *count <= 1e9)) return invalid_argument("sizes: not a number, or far too large");
    if (lower_case(vectors[n]) == "none") {
      if (*count > 1)
        return invalid_argument("sizes: " + std::to_string(static_cast<std::int64_t>(*count)) +
                                " values per voxel (layers of a segmentation, colours, time points); expected one "
                                "number per voxel: export one label map or one volume");
      continue;
    }
    const std::optional<Eigen::Vector3d> step = vector_of(vectors[n]);
    if (!step || axis == 3) return invalid_argument("space directions: expected three vectors of three numbers");
    out.size[axis] = static_cast<std::int64_t>(*count);
    out.steps.col(axis++) = *step;
  }
  if (axis < 3) return invalid_argument("space directions: expected three vectors; a 2D image is not a scan");
  return out;
}

}  // namespace

Result<NrrdGeometry> inspect_nrrd(ByteView head) {
  const Fields fields = fields_of(as_text(head));
  const auto directions = fields.find("space directions");
  if (directions == fields.end()) return without_directions(fields);
  NrrdGeometry out;
  FOVEA_TRY_ASSIGN(const Eigen::Vector3d signs, signs_of(fields, out.note));
  FOVEA_TRY_ASSIGN(const Eigen::Vector3d units, units_of(fields, "space units"));
  FOVEA_TRY_ASSIGN(const Axes axes, axes_of(fields, directions->second));
  const Eigen::Vector3d to_lps_mm = signs.cwiseProduct(units);
  volume::VolumeGeometry geometry;
  geometry.size = axes.size;
  for (unsigned axis = 0; axis < 3; ++axis) {
    const Eigen::Vector3d step = to_lps_mm.cwiseProduct(axes.steps.col(axis));
    geometry.spacing_mm[axis] = step.norm();
    geometry.direction.col(axis) = step / step.norm();
  }
  geometry.origin_mm = volume::Point3::Zero();
  if (const auto origin = fields.find("space origin"); origin != fields.end()) {
    const std::vector<std::string_view> words = words_of(origin->second);
    const std::optional<Eigen::Vector3d> place = words.size() == 1 ? vector_of(words.front()) : std::nullopt;
    if (!place) return invalid_argument("space origin: expected one vector of three numbers");
    geometry.origin_mm = to_lps_mm.cwiseProduct(*place);
  } else {
    add_note(out.note, "no space origin: the first voxel was taken to lie at 0, 0, 0");
  }
  FOVEA_TRY_ASSIGN(out.geometry, volume::checked_geometry(geometry));
  return out;
}

}  // namespace fovea::node::intake

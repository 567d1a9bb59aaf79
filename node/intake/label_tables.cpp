#include "node/intake/label_tables.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <numbers>
#include <set>
#include <utility>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "common/numbers.h"
#include "node/intake/csv_reader.h"
#include "node/intake/formats/file_format.h"

namespace fovea::node::intake {
namespace {

constexpr std::size_t kTableBytesMax = 64u << 20;
constexpr double kRadiusMaxMm = 500;
constexpr double kCoordinateMaxMm = 1e5;
constexpr std::int32_t kLabelMax = 1'000'000;

// Named cells of one row.
class Cells {
 public:
  Cells(const CsvRow& header, const CsvRow& row) : header_(header), row_(row) {}
  std::string_view at(std::string_view column) const {
    const std::optional<std::size_t> at = find_column(header_, column);
    return at ? std::string_view(row_.cells[*at]) : std::string_view();
  }
  Error wrong(std::string_view column, std::string_view expected) const {
    const std::string_view text = at(column);
    // A study's name may be a patient's.
    const std::string found = text.empty()        ? "empty; "
                              : column == "study" ? ""
                                                  : "\"" + std::string(text.substr(0, 24)) + "\"; ";
    return invalid_argument("line " + std::to_string(row_.line) + ", column " + std::string(column) + ": " + found +
                            "expected " + std::string(expected));
  }
  Result<double> number(std::string_view column, double low, double high, std::string_view expected) const {
    const std::string_view text = at(column);
    const std::optional<double> value = read_decimal(text);
    if (!value || !(*value >= low && *value <= high)) return wrong(column, expected);
    return *value;
  }

 private:
  const CsvRow& header_;
  const CsvRow& row_;
};

// The rows below a header that has `needed` columns, through `use(line, cells)`.
template <class Use>
Result<void> each_row(std::string_view text, std::initializer_list<std::string_view> needed, CsvRow& header, Use use) {
  CsvReader csv(text);
  if (csv.at_end()) return invalid_argument("the table is empty");
  FOVEA_TRY_ASSIGN(header, csv.row());
  FOVEA_TRY(find_columns(header, needed));
  for (const std::string_view column : {"study", "label", "split"})  // may be missing, but not stand there twice
    if (find_column(header, column)) FOVEA_TRY(find_columns(header, {column}));
  while (!csv.at_end()) {
    FOVEA_TRY_ASSIGN(const CsvRow row, csv.row());
    if (is_empty_row(row)) continue;
    if (row.cells.size() != header.cells.size())
      return invalid_argument("line " + std::to_string(row.line) + ": " + std::to_string(row.cells.size()) +
                              " cells, the header has " + std::to_string(header.cells.size()));
    FOVEA_TRY(use(row.line, Cells(header, row)));
  }
  return {};
}

bool has_study_column(const CsvRow& header) { return find_column(header, "study").has_value(); }

Result<store::Finding> finding_of(const Cells& cells) {
  store::Finding out;
  constexpr std::string_view kAxes[3] = {"x_mm", "y_mm", "z_mm"};
  for (unsigned axis = 0; axis < 3; ++axis) {
    FOVEA_TRY_ASSIGN(out.center_mm[axis], cells.number(kAxes[axis], -kCoordinateMaxMm, kCoordinateMaxMm,
                                                       "millimetres in patient coordinates (LPS)"));
  }
  FOVEA_TRY_ASSIGN(const double radius,
                   cells.number("radius_mm", 1e-3, kRadiusMaxMm, "millimetres above 0, up to 500"));
  out.diameter_mm = 2 * radius;
  out.label = 1;
  if (!cells.at("label").empty()) {
    FOVEA_TRY_ASSIGN(const double label, cells.number("label", 1, kLabelMax, "a whole number from 1"));
    if (label != std::trunc(label)) return cells.wrong("label", "a whole number from 1");
    out.label = static_cast<std::int32_t>(label);
  }
  return out;
}

template <class Rows, class Parse>
Result<Rows> read_table(const std::filesystem::path& file, Parse parse) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(file, kTableBytesMax));
  Result<Rows> out = parse(as_text(bytes));
  if (!out) return out.error().with_context(file.string());
  return out;
}

// A volume file is named by its path: its file name will do, with or without the ending.
std::vector<std::string> names_of(const StudySource& source) {
  std::vector<std::string> out{source.identity.study};
  const std::filesystem::path& image = source.images.front();
  if (source.identity.study != image.string()) return out;
  out.push_back(image.filename().string());
  out.push_back(name_without_ending(image));
  if (out[2] == out[1]) out.pop_back();
  return out;
}

// Sources by every name that a table may use for them.
class Names {
 public:
  explicit Names(const std::vector<StudySource>& sources) {
    for (std::size_t s = 0; s < sources.size(); ++s)
      for (const std::string& name : names_of(sources[s])) sources_[name].push_back(s);
  }
  // nullopt: no source has that name.
  Result<std::optional<std::size_t>> find(const std::string& study, std::size_t line) const {
    const auto found = sources_.find(study);
    if (found == sources_.end()) return std::optional<std::size_t>();
    if (found->second.size() > 1)
      return invalid_argument("line " + std::to_string(line) +
                              ", column study: names several scans; give the whole path, or ingest them one by one");
    return std::optional<std::size_t>(found->second.front());
  }

 private:
  std::map<std::string, std::vector<std::size_t>> sources_;
};

}  // namespace

Result<std::vector<StudyLabelRow>> parse_study_labels(std::string_view text) {
  std::vector<StudyLabelRow> out;
  std::set<std::string, std::less<>> names;
  CsvRow header;
  FOVEA_TRY(each_row(text, {"study", "label"}, header, [&](std::size_t line, const Cells& cells) -> Result<void> {
    StudyLabelRow row{line, std::string(cells.at("study")), {}, {}};
    if (row.study.empty()) return cells.wrong("study", "a scan's name");
    if (!names.insert(row.study).second) return cells.wrong("study", "each name once; it was used in a line above");
    const std::string_view label = cells.at("label"), split = cells.at("split");
    if (label != "0" && label != "1" && !label.empty()) return cells.wrong("label", "0, 1 or nothing");
    if (!label.empty()) row.label = label == "1" ? 1 : 0;
    if (!split.empty()) {
      const Result<store::Split> parsed = store::parse_split(split);
      if (!parsed) return cells.wrong("split", "train, validation or test");
      row.split = *parsed;
    }
    out.push_back(std::move(row));
    return {};
  }));
  return out;
}

Result<std::vector<PointRow>> parse_points(std::string_view text) {
  std::vector<PointRow> out;
  CsvRow header;
  FOVEA_TRY(each_row(text, {"x_mm", "y_mm", "z_mm", "radius_mm"}, header,
                     [&](std::size_t line, const Cells& cells) -> Result<void> {
                       PointRow row{line, std::string(cells.at("study")), {}};
                       if (row.study.empty() && has_study_column(header)) return cells.wrong("study", "a scan's name");
                       const bool nothing = cells.at("x_mm").empty() && cells.at("y_mm").empty() &&
                                            cells.at("z_mm").empty() && cells.at("radius_mm").empty();
                       if (!nothing || row.study.empty()) {
                         FOVEA_TRY_ASSIGN(row.finding, finding_of(cells));
                       }
                       out.push_back(std::move(row));
                       return {};
                     }));
  return out;
}

Result<std::vector<StudyLabelRow>> read_study_labels(const std::filesystem::path& file) {
  return read_table<std::vector<StudyLabelRow>>(file, parse_study_labels);
}
Result<std::vector<PointRow>> read_points(const std::filesystem::path& file) {
  return read_table<std::vector<PointRow>>(file, parse_points);
}

std::optional<std::vector<store::Finding>> points_of(const std::vector<PointRow>& rows, const StudySource& source,
                                                     double voxel_mm3) {
  std::optional<std::vector<store::Finding>> out;
  const std::vector<std::string> names = names_of(source);
  for (const PointRow& row : rows) {
    if (!row.study.empty() && std::find(names.begin(), names.end(), row.study) == names.end()) continue;
    if (!out) out.emplace();
    if (!row.finding) continue;
    store::Finding finding = *row.finding;
    const double ball_mm3 = std::numbers::pi / 6 * finding.diameter_mm * finding.diameter_mm * finding.diameter_mm;
    finding.voxels = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::llround(ball_mm3 / voxel_mm3)));
    out->push_back(finding);
  }
  return out;
}

Result<std::vector<std::size_t>> apply_study_labels(const std::vector<StudyLabelRow>& rows,
                                                    std::vector<StudySource>& sources) {
  std::vector<std::size_t> unmatched;
  const Names names(sources);
  std::map<std::size_t, std::size_t> line_of;  // of the row that a source was named in, by a file's one name or another
  for (std::size_t r = 0; r < rows.size(); ++r) {
    FOVEA_TRY_ASSIGN(const std::optional<std::size_t> at, names.find(rows[r].study, rows[r].line));
    if (!at) {
      unmatched.push_back(r);
      continue;
    }
    StudySource& source = sources[*at];
    const auto [named, is_first] = line_of.emplace(*at, rows[r].line);
    const std::string where = !is_first            ? "line " + std::to_string(named->second)
                              : source.is_of_table ? source.name + " of the table of studies"
                                                   : std::string();
    const auto wrong = [&](const char* column) {
      return invalid_argument("line " + std::to_string(rows[r].line) + ", column " + column + ": differs from " +
                              where + ", which names the same scan; correct one of them");
    };
    if (!where.empty() && rows[r].label && source.label && rows[r].label != source.label) return wrong("label");
    if (!where.empty() && rows[r].split && source.split_is_stated && *rows[r].split != source.split)
      return wrong("split");
    if (rows[r].label) source.label = rows[r].label;
    if (rows[r].split) source.split = *rows[r].split;
    source.split_is_stated = source.split_is_stated || rows[r].split;
  }
  return unmatched;
}

Result<std::vector<std::size_t>> apply_points(const std::vector<PointRow>& rows, const std::filesystem::path& table,
                                              std::vector<StudySource>& sources) {
  std::vector<std::size_t> unmatched;
  const Names names(sources);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (rows[r].study.empty())
      return invalid_argument("line 1: the column \"study\" is missing; it says whose points they are");
    FOVEA_TRY_ASSIGN(const std::optional<std::size_t> at, names.find(rows[r].study, rows[r].line));
    if (!at) unmatched.push_back(r);
    else if (!sources[*at].mask) sources[*at].mask = table;
  }
  return unmatched;
}

}  // namespace fovea::node::intake

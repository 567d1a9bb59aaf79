#include "node/intake/manifest.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <utility>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "node/intake/csv_reader.h"
#include "node/intake/formats/file_format.h"

namespace fovea::node::intake {
namespace {

constexpr std::size_t kManifestBytesMax = 64u << 20;
constexpr std::size_t kHeadBytes = 4096;  // of a file that may be such a table

enum Column : std::size_t { kStudy, kPatient, kImage, kMask, kSplit, kLabel, kColumns };
constexpr std::array<std::string_view, kColumns> kNames{"study", "patient", "image", "mask", "split", "label"};

Result<std::optional<int>> parse_label(std::string_view text) {
  if (text.empty()) return std::optional<int>{};
  if (text == "0" || text == "1") return std::optional<int>(text == "1" ? 1 : 0);
  return invalid_argument("label: expected 0, 1 or nothing");
}

// Blanks around a name are padding, as in DICOM: "123 " is the patient "123".
std::string_view unpadded(std::string_view text) {
  constexpr std::string_view kPadding(" \t\0", 3);
  const std::size_t begin = std::min(text.find_first_not_of(kPadding), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(kPadding) + 1);
}

Result<StudySource> source_of(std::array<std::string_view, kColumns> cells, const std::filesystem::path& folder) {
  StudySource out;
  for (const Column name : {kStudy, kPatient}) cells[name] = unpadded(cells[name]);
  if (cells[kStudy].empty()) return invalid_argument("study: empty; every row needs a name of its own");
  if (cells[kPatient].empty()) return invalid_argument("patient: empty; studies of one patient must stay together");
  if (cells[kImage].empty()) return invalid_argument("image: empty; expected a path relative to the table");
  FOVEA_TRY_ASSIGN(out.split, store::parse_split(cells[kSplit]));
  FOVEA_TRY_ASSIGN(out.label, parse_label(cells[kLabel]));
  out.identity = {std::string(cells[kStudy]), std::string(cells[kPatient]), std::string(cells[kImage]),
                  std::string(cells[kMask])};
  out.images.push_back(folder / cells[kImage]);
  if (!cells[kMask].empty()) out.mask = folder / cells[kMask];
  out.is_of_table = true;
  return out;
}

}  // namespace

Result<std::vector<StudySource>> parse_manifest(std::string_view text, const std::filesystem::path& folder) {
  CsvReader csv(text);
  if (csv.at_end()) return invalid_argument("the table is empty");
  FOVEA_TRY_ASSIGN(const CsvRow header, csv.row());
  FOVEA_TRY_ASSIGN(const auto columns, find_columns(header, {kNames.begin(), kNames.end()}));
  std::vector<StudySource> out;
  std::set<std::string> names;
  while (!csv.at_end()) {
    FOVEA_TRY_ASSIGN(const CsvRow row, csv.row());
    if (is_empty_row(row)) continue;
    const std::string line = "line " + std::to_string(row.line);
    if (row.cells.size() != header.cells.size())
      return invalid_argument(line + ": " + std::to_string(row.cells.size()) + " cells, the header has " +
                              std::to_string(header.cells.size()));
    std::array<std::string_view, kColumns> cells;
    for (std::size_t column = 0; column < kColumns; ++column) cells[column] = row.cells[columns[column]];
    Result<StudySource> source = source_of(cells, folder);
    if (!source) return source.error().with_context(line);
    source->name = line;
    if (!names.insert(source->identity.study).second)
      return invalid_argument(line + ": study: the name was used in a line above");
    if (out.size() == kManifestRowsMax)
      return invalid_argument("more than " + std::to_string(kManifestRowsMax) + " rows; split the table");
    out.push_back(std::move(source).value());
  }
  return out;
}

Result<std::vector<StudySource>> read_manifest(const std::filesystem::path& file) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(file, kManifestBytesMax));
  Result<std::vector<StudySource>> out = parse_manifest(as_text(bytes), file.parent_path());
  if (!out) return out.error().with_context(file.string());
  return out;
}

bool is_manifest_name(const std::filesystem::path& file) {
  return lower_case(file.filename().string()) == "studies.csv";
}

bool begins_like_manifest(const std::filesystem::path& file) {
  const std::string ending = lower_case(file.extension().string());
  if (ending != ".csv" && ending != ".tsv" && ending != ".txt") return false;
  std::string head(kHeadBytes, '\0');
  std::ifstream in(file, std::ios::binary);
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  CsvReader csv(head);
  if (csv.at_end()) return false;
  const Result<CsvRow> header = csv.row();
  return header && find_column(*header, "image") && find_column(*header, "mask");
}

}  // namespace fovea::node::intake

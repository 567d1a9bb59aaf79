#include "node/intake/csv_reader.h"

#include <algorithm>
#include <utility>

#include "node/intake/formats/file_format.h"

namespace fovea::node::intake {
namespace {

constexpr std::size_t kCellBytesMax = 4096;

// The separator of the first line: a comma where there is one outside quotes.
char separator_of(std::string_view text) {
  char found = ',';
  bool in_quotes = false;
  for (const char c : text) {
    if (c == '"') in_quotes = !in_quotes;
    if (in_quotes) continue;
    if (c == ',' || c == '\r' || c == '\n') return c == ',' ? ',' : found;
    if ((c == ';' || c == '\t') && found == ',') found = c;
  }
  return found;
}

}  // namespace

bool is_table_name(const std::filesystem::path& file) { return lower_case(file.extension().string()) == ".csv"; }

CsvReader::CsvReader(std::string_view text) : rest_(text) {
  // Half of the bytes of ASCII text in UTF-16 are zero; text that is none of ours has no zero byte.
  is_wide_ = rest_.starts_with("\xff\xfe") || rest_.starts_with("\xfe\xff") ||
             rest_.substr(0, 256).find('\0') != std::string_view::npos;
  if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);
  separator_ = separator_of(rest_);
}

Result<CsvRow> CsvReader::row() {
  if (is_wide_)
    return invalid_argument("the table is UTF-16, as a spreadsheet's \"Unicode text\"; save it as CSV UTF-8");
  CsvRow out{line_, {}};
  for (;;) {
    FOVEA_TRY_ASSIGN(std::string text, cell());
    out.cells.push_back(std::move(text));
    if (rest_.empty()) return out;
    const char separator = rest_.front();
    rest_.remove_prefix(1);
    if (separator == separator_) continue;
    if (separator == '\r' && !rest_.empty() && rest_.front() == '\n') rest_.remove_prefix(1);
    ++line_;
    return out;
  }
}

void CsvReader::skip_blanks() {
  while (!rest_.empty() && (rest_.front() == ' ' || (rest_.front() == '\t' && separator_ != '\t')))
    rest_.remove_prefix(1);
}

Result<std::string> CsvReader::cell() {
  skip_blanks();
  if (!rest_.empty() && rest_.front() == '"') return quoted();
  const char ends[] = {separator_, '\r', '\n'};
  const std::size_t end = std::min(rest_.find_first_of(std::string_view(ends, sizeof ends)), rest_.size());
  if (end > kCellBytesMax) return invalid_argument("line " + std::to_string(line_) + ": a cell longer than 4096 bytes");
  std::string out(rest_.substr(0, end));
  while (!out.empty() && (out.back() == ' ' || out.back() == '\t')) out.pop_back();
  rest_.remove_prefix(end);
  return out;
}

Result<std::string> CsvReader::quoted() {
  const std::size_t started = line_;
  rest_.remove_prefix(1);
  std::string out;
  for (;;) {
    if (rest_.empty() || out.size() > kCellBytesMax)
      return invalid_argument("line " + std::to_string(started) + ": a quote that is not closed");
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c == '\n') ++line_;
    if (c != '"') {
      out.push_back(c);
    } else if (!rest_.empty() && rest_.front() == '"') {
      out.push_back('"');
      rest_.remove_prefix(1);
    } else {
      skip_blanks();
      if (!rest_.empty() && rest_.front() != separator_ && rest_.front() != '\r' && rest_.front() != '\n')
        return invalid_argument("line " + std::to_string(line_) + ": text behind a closing quote");
      return out;
    }
  }
}

std::optional<std::size_t> find_column(const CsvRow& header, std::string_view name) {
  for (std::size_t column = 0; column < header.cells.size(); ++column)
    if (lower_case(header.cells[column]) == name) return column;
  return std::nullopt;
}

Result<std::vector<std::size_t>> find_columns(const CsvRow& header, const std::vector<std::string_view>& names) {
  std::vector<std::size_t> out;
  std::string all;
  for (const std::string_view name : names) all += (all.empty() ? "" : ",") + std::string(name);
  for (const std::string_view name : names) {
    const std::optional<std::size_t> at = find_column(header, name);
    if (!at)
      return invalid_argument("line 1: the column \"" + std::string(name) + "\" is missing; expected " + all +
                              (header.cells.size() == 1 ? ", separated by commas (or ; or tabs)" : ""));
    for (std::size_t other = *at + 1; other < header.cells.size(); ++other)
      if (lower_case(header.cells[other]) == name)
        return invalid_argument("line 1: the column \"" + std::string(name) + "\" stands twice; which one counts?");
    out.push_back(*at);
  }
  return out;
}

bool is_empty_row(const CsvRow& row) {
  return std::all_of(row.cells.begin(), row.cells.end(), [](const std::string& cell) { return cell.empty(); });
}

}  // namespace fovea::node::intake

// Rows of a CSV table (RFC 4180): quoted cells may hold separators, doubled quotes and line breaks. What spreadsheets
// write in its place is read too: `;` or tabs, where the first line has no comma, and blanks around a cell.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace fovea::node::intake {

struct CsvRow {
  std::size_t line = 0;  // where it starts, from 1
  std::vector<std::string> cells;
};

// Whether a file is taken for such a table, by its ending in any case.
bool is_table_name(const std::filesystem::path& file);

class CsvReader {
 public:
  // `text` outlives the reader; a byte order mark at its start is skipped.
  explicit CsvReader(std::string_view text);

  bool at_end() const { return rest_.empty(); }
  // invalid_argument names the line: a quote that is not closed or has text behind it, a cell of more than 4096 bytes;
  // or says that the table is UTF-16.
  Result<CsvRow> row();

 private:
  Result<std::string> cell();
  Result<std::string> quoted();
  void skip_blanks();

  std::string_view rest_;
  std::size_t line_ = 1;
  char separator_ = ',';
  bool is_wide_ = false;  // UTF-16
};

// The columns of a header by name, in any order and case. invalid_argument: one of `names` is missing or stands twice.
// The error names it and, when the line has one cell only, what may separate cells.
Result<std::vector<std::size_t>> find_columns(const CsvRow& header, const std::vector<std::string_view>& names);
// Where a column stands; none when it does not.
std::optional<std::size_t> find_column(const CsvRow& header, std::string_view name);

// A row without any text, which a spreadsheet leaves at the end.
bool is_empty_row(const CsvRow& row);

}  // namespace fovea::node::intake

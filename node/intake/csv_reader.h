// Rows of a CSV table (RFC 4180): quoted cells may hold commas, doubled quotes and line breaks.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace fovea::node::intake {

struct CsvRow {
  std::size_t line = 0;  // where it starts, from 1
  std::vector<std::string> cells;
};

// Whether a file is taken for such a table, by its ending.
inline bool is_table_name(const std::filesystem::path& file) { return file.extension() == ".csv"; }

class CsvReader {
 public:
  // `text` outlives the reader; a byte order mark at its start is skipped.
  explicit CsvReader(std::string_view text);

  bool at_end() const { return rest_.empty(); }
  // invalid_argument names the line: a quote that is not closed or has text behind it, a cell of more than 4096 bytes.
  Result<CsvRow> row();

 private:
  Result<std::string> cell();
  Result<std::string> quoted();

  std::string_view rest_;
  std::size_t line_ = 1;
};

}  // namespace fovea::node::intake

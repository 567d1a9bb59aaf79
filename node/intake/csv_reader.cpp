#include "node/intake/csv_reader.h"

#include <algorithm>
#include <utility>

namespace fovea::node::intake {
namespace {

constexpr std::size_t kCellBytesMax = 4096;

}  // namespace

CsvReader::CsvReader(std::string_view text) : rest_(text) {
  if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);
}

Result<CsvRow> CsvReader::row() {
  CsvRow out{line_, {}};
  for (;;) {
    FOVEA_TRY_ASSIGN(std::string text, cell());
    out.cells.push_back(std::move(text));
    if (rest_.empty()) return out;
    const char separator = rest_.front();
    rest_.remove_prefix(1);
    if (separator == ',') continue;
    if (separator == '\r' && !rest_.empty() && rest_.front() == '\n') rest_.remove_prefix(1);
    ++line_;
    return out;
  }
}

Result<std::string> CsvReader::cell() {
  if (!rest_.empty() && rest_.front() == '"') return quoted();
  const std::size_t end = std::min(rest_.find_first_of(",\r\n"), rest_.size());
  if (end > kCellBytesMax) return invalid_argument("line " + std::to_string(line_) + ": a cell longer than 4096 bytes");
  std::string out(rest_.substr(0, end));
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
      if (!rest_.empty() && rest_.front() != ',' && rest_.front() != '\r' && rest_.front() != '\n')
        return invalid_argument("line " + std::to_string(line_) + ": text behind a closing quote");
      return out;
    }
  }
}

}  // namespace fovea::node::intake

#include "bench/measure.h"

#include <malloc.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "common/check.h"
#include "common/numbers.h"

namespace fovea::bench {

namespace {

double process_core_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::uint64_t status_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field + ":")) {  // "VmHWM:     1234 kB"
      const std::size_t begin = line.find_first_not_of(" \t", field.size() + 1);
      if (begin == std::string::npos) return 0;
      return read_digits(std::string_view(line).substr(begin, line.find(' ', begin) - begin)).value_or(0) * 1024;
    }
  return 0;
}

}  // namespace

Stopwatch::Stopwatch() : start_(std::chrono::steady_clock::now()), core_start_(process_core_seconds()) {}

double Stopwatch::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

double Stopwatch::core_seconds() const { return process_core_seconds() - core_start_; }

double median(std::vector<double> values) {
  FOVEA_CHECK(!values.empty());
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void return_large_buffers_to_the_system() {
  FOVEA_CHECK(::mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1);
  // Setting the first ends the automatic adaption of the second, and a heap trimmed after each message would be zeroed
  // again for the next.
  FOVEA_CHECK(::mallopt(M_TRIM_THRESHOLD, 64 << 20) == 1);
}

MemoryPeak::MemoryPeak() {
  ::malloc_trim(0);
  // "5" sets the high-water mark back to what is resident now (proc(5), clear_refs).
  std::ofstream("/proc/self/clear_refs") << "5";
  baseline_ = status_bytes("VmRSS");
}

std::uint64_t MemoryPeak::bytes() const {
  const std::uint64_t peak = status_bytes("VmHWM");
  return peak > baseline_ ? peak - baseline_ : 0;
}

void Report::section(std::string title) {
  rows_.push_back({.key = std::move(title), .unit = {}, .note = {}, .heading = true});
}

void Report::add(std::string key, double value, std::string unit, std::string note) {
  rows_.push_back({.key = std::move(key), .value = value, .unit = std::move(unit), .note = std::move(note)});
}

void Report::print() const {
  for (const Row& row : rows_) {
    if (row.heading) {
      std::printf("\n%s\n", row.key.c_str());
    } else {
      std::printf("  %-44s %14.4g %-6s %s\n", row.key.c_str(), row.value, row.unit.c_str(), row.note.c_str());
    }
  }
}

Result<void> Report::write_json(const std::string& path) const {
  nlohmann::ordered_json document;
  for (const Row& row : rows_)
    if (!row.heading) document[row.key] = row.value;
  std::ofstream file(path);
  file << document.dump(2) << '\n';
  file.flush();
  if (!file) return unavailable(path + ": cannot be written");
  return {};
}

}  // namespace fovea::bench

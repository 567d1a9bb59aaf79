// Clocks, medians, this process's memory, and the report of a benchmark: a table for people, JSON for programs.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "common/result.h"

namespace fovea::bench {

class Stopwatch {
 public:
  Stopwatch();
  double seconds() const;       // by the wall clock
  double core_seconds() const;  // of all threads of this process

 private:
  std::chrono::steady_clock::time_point start_;
  double core_start_;
};

double median(std::vector<double> values);

// Vectors of 1 MiB and more get pages of their own, so that a freed one leaves the resident memory; smaller ones (the
// chunks of a vector) are kept, as the programs keep them. Call first.
void return_large_buffers_to_the_system();

// Peak resident memory above what was resident when the object was made.
class MemoryPeak {
 public:
  MemoryPeak();
  std::uint64_t bytes() const;

 private:
  std::uint64_t baseline_;
};

struct Options {
  bool quick = false;
  std::uint32_t threads = 2;
  std::string json_path;  // empty: none
};

// Figures in the order they were added. Keys are those of the JSON file.
class Report {
 public:
  void section(std::string title);
  void add(std::string key, double value, std::string unit, std::string note = {});
  void print() const;
  Result<void> write_json(const std::string& path) const;

 private:
  struct Row {
    std::string key;
    double value = 0;
    std::string unit;
    std::string note;
    bool heading = false;
  };
  std::vector<Row> rows_;
};

}  // namespace fovea::bench

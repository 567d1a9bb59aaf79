// The coordinator's own work in a round: receiving masked vectors, opening secrets, removing masks.
#pragma once

#include <cstdint>
#include <string>

#include "bench/measure.h"

namespace fovea::bench {

struct RoundShape {
  std::uint32_t sites = 0;
  std::uint32_t dropped = 0;  // shared their keys, then vanished
  std::uint32_t words = 0;    // of a vector
  bool sparse = false;        // the Harary graph with k and t for 20 % corrupt and 10 % dropped, else the complete one
  bool headline = false;      // its memory is reported as coordinator_peak_over_model

  // "100x10M_10dropped"
  std::string name() const;
};

// Measures the code that the coordinator runs, and checks that the sum is exact.
void run_coordinator_case(const RoundShape& shape, const Options& options, Report& report);

}  // namespace fovea::bench

// Expanding a seed and adding it to a vector, against raw EVP and against memory, in one run.
#pragma once

#include "bench/measure.h"

namespace fovea::bench {

void run_mask_cases(const Options& options, Report& report);

}  // namespace fovea::bench

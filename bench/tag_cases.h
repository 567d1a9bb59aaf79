// The linear hash of a vector of 10 M words, by each path of this machine.
#pragma once

#include "bench/measure.h"

namespace fovea::bench {

void run_tag_cases(const Options& options, Report& report);

}  // namespace fovea::bench

// One site's own work in a round, R1 to R5, with everybody else simulated.
#pragma once

#include "bench/measure.h"

namespace fovea::bench {

void run_site_cases(const Options& options, Report& report);

}  // namespace fovea::bench

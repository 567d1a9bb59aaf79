// A plan of three rounds without learning, for tests of what a run keeps on disk.
#pragma once

#include <string_view>

namespace fovea::test {

inline constexpr std::string_view kProbePlan =
    R"({"fovea_plan":2,"name":"test","finding":{"kind":"lesion","modality":"MR"},
  "intake":{"normalisation":"mr-foreground","n4":false},"look":{"regions":32,"exploration":0.125,"nms_mm":10},
  "architecture":"probe-10","seed":7,
  "stages":[{"name":"one","rounds":3,"trains":["probe."],
             "local_steps":5,"learning_rate":0.01,"server_learning_rate":1}],
  "strategy":{"name":"fedavg","weights":"equal","delta_max":0.5},"cohort":{"smallest":3,"largest":16},
  "secure_aggregation":{"colluders_max":1,"threshold":3,"honest_min":2},"privacy":{"mechanism":"none"},
  "deadlines":{"progress_s":60,"phase_s":20}})";

}  // namespace fovea::test

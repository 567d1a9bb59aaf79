// What one site's training gave. Cleartext of the site: it leaves only inside a masked vector, and is never logged.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fovea::federation::model {

// What is counted beside the delta, summed over a site's training. The order is that of the words of a vector.
enum class TrainingMetric : std::size_t { loss_sum = 0, loss_count = 1, hits = 2, findings = 3 };
inline constexpr std::size_t kMetricCount = 4;

// Names a study at its site, over all plans: of the study's code, which is of its contents.
using StudyTag = std::array<std::uint8_t, 16>;

struct LocalUpdate {
  std::vector<float> delta;                        // of the trained tensors only, concatenated in layout order; finite
  std::uint32_t weight = 0;                        // studies used, at least 1
  std::array<double, kMetricCount> metric_sums{};  // finite
};

}  // namespace fovea::federation::model

#include "tests/fuzz/parse_targets.h"

namespace fovea::fuzz {

std::span<const ParseTarget> imaging_targets() noexcept { return {}; }

}  // namespace fovea::fuzz

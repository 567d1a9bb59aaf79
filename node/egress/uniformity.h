// Whether bytes look uniformly random, as masked words must: a detector of bugs (a mask that was not added, a constant,
// a vector in clear), not a proof of anything.
#pragma once

#include <cstddef>
#include <optional>

#include "common/bytes.h"

namespace fovea::node::egress {

inline constexpr std::size_t kUniformityBlockBytes = 4096;

// The position in bytes of the first block that random bytes would show with a probability below 1e-12. Blocks of
// 4 KiB are tested by the chi-square of their byte counts, the last one overlapping; fewer than 4 KiB by the number of
// their one bits (Hoeffding), which under some ten bytes can refuse nothing.
std::optional<std::size_t> first_non_uniform_block(ByteView bytes);

}  // namespace fovea::node::egress

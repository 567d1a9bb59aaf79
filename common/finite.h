// Whether a vector of floats holds numbers only: a diverged update or a damaged model is found before it spreads.
#pragma once

#include <span>

namespace fovea {

bool all_finite(std::span<const float> values) noexcept;  // no NaN, no infinity; whole vectors at a time

}  // namespace fovea

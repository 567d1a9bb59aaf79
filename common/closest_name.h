// "Did you mean": the nearest known name to one a person typed.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace fovea {

// The candidate with the smallest edit distance, when that is at most two, or a third of the name's length;
// empty when none is near.
std::string closest_name(std::string_view name, std::span<const std::string> candidates);

// "; did you mean \"x\"?" or nothing.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

}  // namespace fovea

// Whether a file holds as much as its header says: the one comparison that every format makes, of images and of masks.
// Libraries fill what is missing with zeros and call that a scan.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"

namespace fovea::node::intake {

// invalid_argument: `present` is less than `asked`. `what` is compared, in bytes, frames or whatever `unit` says.
inline Result<void> check_stored(std::string_view what, std::uint64_t present, std::uint64_t asked,
                                 std::string_view unit = "bytes") {
  if (present >= asked) return {};
  return invalid_argument(std::string(what) + ": " + std::to_string(present) + " of the " + std::to_string(asked) +
                          " " + std::string(unit) +
                          " that the header asks for (cut off, or still being copied; copy the file again)");
}

}  // namespace fovea::node::intake

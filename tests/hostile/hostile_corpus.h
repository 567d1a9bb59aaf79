// Files that a hospital should never have, made by code from a seed: each format we take, cut, flipped, lied about,
// nested and packed beyond reason. None is anybody's data.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/bytes.h"

namespace fovea::hostile {

struct HostileFile {
  std::string name;  // a legal file name, though an unfriendly one at times
  std::string what;  // the harm, for a failure's message
  Bytes bytes;
};

// `count` random damages after the fixed cases, each handed to `visit` in turn: bombs are large, so never all at once.
void each_hostile_file(std::uint64_t seed, std::size_t count, const std::function<void(const HostileFile&)>& visit);

}  // namespace fovea::hostile

// Everything this project parses itself, behind one signature, for libFuzzer (preset "fuzz") and for a short run in every build.
#pragma once

#include <span>

#include "common/bytes.h"

namespace fovea::fuzz {

struct ParseTarget {
  const char* name;
  void (*run)(ByteView input);  // must return, whatever the input
};
std::span<const ParseTarget> parse_targets() noexcept;

}  // namespace fovea::fuzz

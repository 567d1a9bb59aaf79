// Everything this project parses itself, behind one signature, for libFuzzer (preset "fuzz") and for a short run in
// every build.
#pragma once

#include <span>
#include <vector>

#include "common/bytes.h"

namespace fovea::fuzz {

using Seeds = std::vector<Bytes>;

struct ParseTarget {
  const char* name;
  void (*run)(ByteView input);  // must return, whatever the input; aborts where a parser says yes to nonsense
  Seeds (*seeds)();             // well-formed inputs, made by our own writers where we have one
};
std::span<const ParseTarget> federation_targets() noexcept;
std::span<const ParseTarget> intake_targets() noexcept;
std::span<const ParseTarget> imaging_targets() noexcept;  // none without FOVEA_WITH_IMAGING

inline std::vector<ParseTarget> parse_targets() {
  std::vector<ParseTarget> out;
  for (const auto& room : {federation_targets(), intake_targets(), imaging_targets()})
    out.insert(out.end(), room.begin(), room.end());
  return out;
}

}  // namespace fovea::fuzz

// Names and numbers of the federation, each its own type so that none is taken for another.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "common/bytes.h"
#include "common/result.h"

namespace fovea {

// A site's name: 1–40 characters of a–z, 0–9 and '-', starting with a letter. Safe in paths and logs.
class SiteId {
 public:
  static Result<SiteId> create(std::string_view text);
  const std::string& text() const noexcept { return text_; }
  auto operator<=>(const SiteId&) const = default;

 private:
  explicit SiteId(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// A run: 16 random bytes, written as 32 hex digits.
struct RunId {
  std::array<std::uint8_t, 16> bytes{};
  static Result<RunId> parse(std::string_view hex);
  std::string text() const;
  auto operator<=>(const RunId&) const = default;
};

using RoundNumber = std::uint32_t;    // counts from 1 within a run
using AttemptNumber = std::uint32_t;  // counts from 1 within a round
using RosterIndex = std::uint16_t;    // position in the roster, from 0
using EpochNumber = std::uint64_t;    // of the roster, from 1

}  // namespace fovea

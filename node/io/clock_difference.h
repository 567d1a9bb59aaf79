// How far this machine's clock is from the coordinator's, for people: a roster that seems to have run out may be a
// clock that is off. Decides nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/clock.h"
#include "federation/membership/roster.h"

namespace fovea::node::io {

// Up to here clocks agree: NTP keeps far closer, and a roster is valid from some minutes before it was signed.
inline constexpr std::int64_t kClockAgreesMs = 2 * 60'000;

inline bool clock_agrees(std::int64_t ahead_ms) { return -kClockAgreesMs <= ahead_ms && ahead_ms <= kClockAgreesMs; }

// "this machine's clock is 11 minutes behind the coordinator's: set it right", or that it agrees.
std::string clock_difference_text(std::int64_t ahead_ms);

// Why a roster is not valid by this machine's clock, and whether it is the clock that must be set right. Empty: it is
// valid.
std::string invalid_roster_text(const federation::membership::Roster& roster, UnixMs now,
                                std::optional<std::int64_t> ahead_ms);

}  // namespace fovea::node::io

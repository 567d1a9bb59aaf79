#include "node/io/clock_difference.h"

#include <string_view>

namespace fovea::node::io {

std::string clock_difference_text(std::int64_t ahead_ms) {
  if (clock_agrees(ahead_ms)) return "this machine's clock agrees with the coordinator's";
  constexpr std::int64_t kMinuteMs = 60'000;
  struct Unit {
    std::int64_t ms;
    std::string_view name;
  };
  constexpr Unit kUnits[] = {{24 * 60 * kMinuteMs, "days"}, {60 * kMinuteMs, "hours"}, {kMinuteMs, "minutes"}};
  const std::int64_t off_ms = ahead_ms < 0 ? -ahead_ms : ahead_ms;
  std::string text;
  for (const Unit& unit : kUnits)
    if (text.empty() && off_ms >= 2 * unit.ms)
      text = std::to_string((off_ms + unit.ms / 2) / unit.ms) + " " + std::string(unit.name);
  return "this machine's clock is " + text + (ahead_ms < 0 ? " behind" : " ahead of") +
         " the coordinator's: set it right";
}

std::string invalid_roster_text(const federation::membership::Roster& roster, UnixMs now,
                                std::optional<std::int64_t> ahead_ms) {
  const auto valid = roster.check_valid_at(now);
  if (valid) return "";
  if (!ahead_ms) return valid.error().message;
  const std::string what = "the roster of epoch " + std::to_string(roster.epoch) +
                           (now < roster.valid_from ? " is not valid yet" : " has run out");
  if (!clock_agrees(*ahead_ms)) return what + ", but " + clock_difference_text(*ahead_ms);
  if (now < roster.valid_from)
    return what + ", though this machine's clock agrees with the coordinator's: ask the administrators";
  return valid.error().message;
}

}  // namespace fovea::node::io

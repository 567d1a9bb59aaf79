#include "common/clock.h"

#include <array>
#include <chrono>
#include <cstdio>

namespace fovea {
namespace {

template <class Source>
std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Source::now().time_since_epoch()).count();
}

}  // namespace

MonotonicMs SystemClock::monotonic() const { return {now_ms<std::chrono::steady_clock>()}; }
UnixMs SystemClock::wall() const { return {now_ms<std::chrono::system_clock>()}; }

std::string utc_text(UnixMs time) {
  const std::chrono::sys_seconds seconds{std::chrono::seconds(time.value / 1000)};
  const auto day = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(seconds - day);
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%04d-%02u-%02u %02d:%02d:%02d UTC", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return buffer.data();
}

}  // namespace fovea

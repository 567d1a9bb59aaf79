// Time is injected. Deadlines use the monotonic clock only; wall time is for records people read.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace fovea {

struct MonotonicMs {
  std::int64_t value = 0;
  auto operator<=>(const MonotonicMs&) const = default;
};

struct UnixMs {
  std::int64_t value = 0;
  auto operator<=>(const UnixMs&) const = default;
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonotonicMs monotonic() const = 0;
  virtual UnixMs wall() const = 0;
};

std::string utc_text(UnixMs time);  // "2026-11-22 19:31:24 UTC", for people

// The machine's clocks. Only drivers and main() use it.
class SystemClock final : public Clock {
 public:
  MonotonicMs monotonic() const override;
  UnixMs wall() const override;
};

}  // namespace fovea

// The machine's clock, moved ahead or back in days while a daemon inside the test reads it.
#pragma once

#include <atomic>
#include <cstdint>

#include "common/clock.h"

namespace fovea::test {

class MovedClock final : public Clock {
 public:
  MonotonicMs monotonic() const override { return system_.monotonic(); }
  UnixMs wall() const override { return {system_.wall().value + ahead_ms_.load()}; }
  void set_ahead_days(std::int64_t days) { ahead_ms_ = days * 24 * 3'600'000; }

 private:
  SystemClock system_;
  std::atomic<std::int64_t> ahead_ms_{0};
};

}  // namespace fovea::test

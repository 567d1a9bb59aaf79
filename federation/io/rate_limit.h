// How often a peer may make this process do something that costs disk, memory or many bytes: a burst, and then one more
// in each interval. The clock is an argument.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/clock.h"

namespace fovea::federation::io {

struct Rate {
  std::int64_t burst = 0;
  std::int64_t every_ms = 1;  // after the burst, one token in this time
};

class RateLimit {
 public:
  explicit RateLimit(const Rate& rate) : rate_(rate), tokens_(rate.burst) {}

  // Whether one more is within the rate. False: it is counted in refused().
  bool admit(MonotonicMs now) {
    refill(now);
    if (tokens_ == 0) {
      ++refused_;
      return false;
    }
    --tokens_;
    return true;
  }
  // Whether admit() would say yes; nothing is taken or counted.
  bool has_one(MonotonicMs now) {
    refill(now);
    return tokens_ > 0;
  }
  // A whole burst again: where the burst is that of a round, and a round begins.
  void refill_to(std::int64_t burst) {
    rate_.burst = burst;
    tokens_ = burst;
  }
  std::uint64_t refused() const noexcept { return refused_; }

 private:
  void refill(MonotonicMs now) {
    if (tokens_ >= rate_.burst) since_ = now;  // a full bucket does not save time
    const std::int64_t earned = std::max<std::int64_t>(0, (now.value - since_.value) / rate_.every_ms);
    tokens_ = std::min(rate_.burst, tokens_ + earned);
    since_.value += earned * rate_.every_ms;
  }

  Rate rate_;
  std::int64_t tokens_ = 0;
  MonotonicMs since_{};
  std::uint64_t refused_ = 0;
};

}  // namespace fovea::federation::io

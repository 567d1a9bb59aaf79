#include "common/clock.h"

#include <chrono>

namespace fovea {
namespace {

template <class Source>
std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Source::now().time_since_epoch()).count();
}

}  // namespace

MonotonicMs SystemClock::monotonic() const { return {now_ms<std::chrono::steady_clock>()}; }
UnixMs SystemClock::wall() const { return {now_ms<std::chrono::system_clock>()}; }

}  // namespace fovea

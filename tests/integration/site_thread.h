// A site's daemon inside the test, with its own thread, under a clock that the test moves.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <thread>

#include "common/clock.h"
#include "node/io/site_driver.h"

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

// Ends with the object. Stop signals must have been blocked before any thread was started
// (node::io::block_stop_signals).
class SiteThread {
 public:
  SiteThread(const std::filesystem::path& folder, const Clock& clock);
  SiteThread(const SiteThread&) = delete;
  SiteThread& operator=(const SiteThread&) = delete;
  ~SiteThread();

 private:
  std::unique_ptr<node::io::SiteDriver> driver_;
  Result<void> outcome_;
  std::thread thread_;
};

}  // namespace fovea::test

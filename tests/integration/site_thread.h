// A site's daemon inside the test, with its own thread, under a clock that the test moves.
#pragma once

#include <filesystem>
#include <memory>
#include <thread>

#include "node/io/site_driver.h"
#include "tests/integration/moved_clock.h"

namespace fovea::test {

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

// A coordinator that serves a run inside the test, with its own thread, under a clock that the test moves.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "coordinator/io/run_driver.h"
#include "tests/integration/moved_clock.h"

namespace fovea::test {

// Ends with the object. Stop signals must have been blocked before any thread was started
// (coordinator::io::block_stop_signals).
class CoordinatorThread {
 public:
  CoordinatorThread(const std::filesystem::path& home, const std::filesystem::path& plan, const Clock& clock);
  CoordinatorThread(const CoordinatorThread&) = delete;
  CoordinatorThread& operator=(const CoordinatorThread&) = delete;
  ~CoordinatorThread();

  // Whether the line for a person comes to have `text` in it before the patience is over.
  bool comes_to_show(const std::string& text, std::chrono::milliseconds patience);

 private:
  std::unique_ptr<coordinator::io::RunDriver> driver_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string shown_;
  Result<void> outcome_;
  std::thread thread_;
};

}  // namespace fovea::test

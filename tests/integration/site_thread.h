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
  using MakeTrainer = decltype(node::io::SiteDriverOptions::make_trainer);
  // Without another trainer, one of made-up updates, as the architecture "probe" asks for.
  SiteThread(const std::filesystem::path& folder, const Clock& clock, MakeTrainer make_trainer = {});
  SiteThread(const SiteThread&) = delete;
  SiteThread& operator=(const SiteThread&) = delete;
  ~SiteThread();
  static Result<std::unique_ptr<node::training::Trainer>> make_probe(const federation::membership::Plan& plan);

 private:
  std::unique_ptr<node::io::SiteDriver> driver_;
  Result<void> outcome_;
  std::thread thread_;
};

}  // namespace fovea::test

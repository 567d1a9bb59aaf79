// Removes masks on a thread of its own, so that the event loop goes on answering while a large vector is unmasked.
#pragma once

#include <memory>
#include <optional>
#include <thread>

#include "common/result.h"
#include "coordinator/aggregation/unmask.h"

namespace fovea::coordinator::io {

class UnmaskWorker {
 public:
  static Result<std::unique_ptr<UnmaskWorker>> create();
  ~UnmaskWorker();  // waits for what runs

  int descriptor() const noexcept { return wake_; }
  void begin(aggregation::UnmaskInput input);  // one at a time; an older one is waited for and its outcome dropped
  std::optional<aggregation::UnmaskOutcome> take();

 private:
  explicit UnmaskWorker(int wake) : wake_(wake) {}

  int wake_;  // eventfd, written after outcome_
  std::optional<aggregation::UnmaskOutcome> outcome_;
  std::jthread thread_;
};

}  // namespace fovea::coordinator::io

#include "coordinator/io/unmask_worker.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace fovea::coordinator::io {

Result<std::unique_ptr<UnmaskWorker>> UnmaskWorker::create() {
  const int wake = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake < 0) return unavailable("cannot make an eventfd; raise the limit of open files");
  return std::unique_ptr<UnmaskWorker>(new UnmaskWorker(wake));
}

UnmaskWorker::~UnmaskWorker() {
  if (thread_.joinable()) thread_.join();
  ::close(wake_);
}

void UnmaskWorker::begin(aggregation::UnmaskInput input) {
  if (thread_.joinable()) thread_.join();
  take();
  thread_ = std::jthread([this, input = std::move(input)]() mutable {
    const std::uint32_t threads = std::clamp(std::thread::hardware_concurrency(), 1U, 16U);
    outcome_ = aggregation::unmask(std::move(input), threads);
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
  });
}

std::optional<aggregation::UnmaskOutcome> UnmaskWorker::take() {
  std::uint64_t count = 0;
  if (::read(wake_, &count, sizeof count) != static_cast<ssize_t>(sizeof count)) return std::nullopt;
  if (thread_.joinable()) thread_.join();
  std::optional<aggregation::UnmaskOutcome> out = std::move(outcome_);
  outcome_.reset();
  return out;
}

}  // namespace fovea::coordinator::io

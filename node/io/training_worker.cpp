#include "node/io/training_worker.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

namespace fovea::node::io {
namespace {

Result<training::TrainingOutcome> train_guarded(training::Trainer& trainer, const training::TrainingTask& task,
                                                const training::TrainingProgress& progress) {
  try {
    return trainer.train(task, progress);
  } catch (const std::exception& error) {
    return internal_error(std::string("training: ") + error.what());
  }
}

}  // namespace

TrainingWorker::TrainingWorker(std::unique_ptr<training::Trainer> trainer, int wake)
    : trainer_(std::move(trainer)), wake_(wake), thread_([this](const std::stop_token& stop) { train_jobs(stop); }) {}

Result<std::unique_ptr<TrainingWorker>> TrainingWorker::start(std::unique_ptr<training::Trainer> trainer) {
  const int wake = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake < 0) return unavailable("cannot make an eventfd; raise the limit of open files");
  return std::unique_ptr<TrainingWorker>(new TrainingWorker(std::move(trainer), wake));
}

TrainingWorker::~TrainingWorker() {
  cancel();
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  ::close(wake_);
}

void TrainingWorker::begin(TrainingJob job) {
  const std::lock_guard lock(mutex_);
  ++generation_;
  next_ = std::move(job);
  reports_.clear();
  changed_.notify_one();
}

void TrainingWorker::cancel() {
  const std::lock_guard lock(mutex_);
  ++generation_;
  next_.reset();
  reports_.clear();
}

std::optional<TrainingReport> TrainingWorker::take() {
  const std::lock_guard lock(mutex_);
  if (reports_.empty()) {
    std::uint64_t ignored = 0;
    [[maybe_unused]] const ssize_t read = ::read(wake_, &ignored, sizeof ignored);
    return std::nullopt;
  }
  TrainingReport out = std::move(reports_.front());
  reports_.pop_front();
  return out;
}

void TrainingWorker::report(TrainingReport report) {
  if (std::holds_alternative<double>(report.what))  // only the newest progress matters
    std::erase_if(reports_, [](const TrainingReport& old) { return std::holds_alternative<double>(old.what); });
  reports_.push_back(std::move(report));
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
}

void TrainingWorker::train_jobs(const std::stop_token& stop) {
  while (true) {
    TrainingJob job;
    std::uint64_t generation = 0;
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [this] { return next_.has_value(); })) return;
      job = std::move(*next_);
      next_.reset();
      generation = generation_;
    }
    job.task.model = job.model->values();
    const RoundNumber round = job.round;
    auto outcome = train_guarded(*trainer_, job.task, [&](double fraction) {
      const std::lock_guard lock(mutex_);
      if (generation_ != generation || stop.stop_requested()) return false;
      report({round, fraction});
      return true;
    });
    const std::lock_guard lock(mutex_);
    if (generation_ == generation) report({round, std::move(outcome)});
  }
}

}  // namespace fovea::node::io

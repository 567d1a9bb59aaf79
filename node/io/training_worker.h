// The one thread that trains. The daemon's loop begins and cancels training and takes reports when descriptor() is
// readable; the threads share nothing else.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

#include "common/ids.h"
#include "common/result.h"
#include "federation/model/state.h"
#include "node/training/trainer.h"

namespace fovea::node::io {

// The task's view of the model is filled in from the shared state, which lives as long as the training.
struct TrainingJob {
  RoundNumber round = 0;  // that the reports name
  training::TrainingTask task;
  std::shared_ptr<const federation::model::ModelState> model;
};

struct TrainingReport {
  RoundNumber round = 0;
  std::variant<double, Result<training::TrainingOutcome>> what;  // progress in [0, 1], or the end
};

class TrainingWorker {
 public:
  static Result<std::unique_ptr<TrainingWorker>> start(std::unique_ptr<training::Trainer> trainer);
  ~TrainingWorker();  // cancels and joins

  int descriptor() const noexcept { return wake_; }
  void begin(TrainingJob job);  // cancels a training that runs
  void cancel();
  std::optional<TrainingReport> take();  // never blocks

 private:
  TrainingWorker(std::unique_ptr<training::Trainer> trainer, int wake);
  void train_jobs(const std::stop_token& stop);
  void report(TrainingReport report);

  std::unique_ptr<training::Trainer> trainer_;
  int wake_;  // eventfd
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<TrainingJob> next_;     // guarded by mutex_
  std::uint64_t generation_ = 0;        // guarded by mutex_: training of an older one is cancelled
  std::deque<TrainingReport> reports_;  // guarded by mutex_; one progress report at most
  std::jthread thread_;                 // last: joined before the rest goes
};

}  // namespace fovea::node::io

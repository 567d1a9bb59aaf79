#include "tests/integration/coordinator_thread.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <utility>

#include "common/durable_file.h"
#include "coordinator/registry/coordinator_folder.h"
#include "coordinator/store/run_store.h"
#include "federation/membership/plan.h"

namespace fovea::test {

CoordinatorThread::CoordinatorThread(const std::filesystem::path& home, const std::filesystem::path& plan,
                                     const Clock& clock) {
  const coordinator::registry::CoordinatorFolder folder(home);
  auto config = coordinator::registry::CoordinatorConfig::read(folder.config());
  EXPECT_TRUE(config) << config.error().message;
  const auto choose = [&]() -> Result<std::unique_ptr<coordinator::store::RunStore>> {
    FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(plan, federation::membership::kPlanBytesMax));
    const RunId run{{1, 2, 3}};
    FOVEA_TRY_ASSIGN(auto store,
                     coordinator::store::RunStore::create(folder.runs() / run.text(), run, bytes, clock.wall()));
    return std::make_unique<coordinator::store::RunStore>(std::move(store));
  };
  auto opened = coordinator::io::RunDriver::open({.folder = folder,
                                                  .config = *config,
                                                  .choose_run = choose,
                                                  .show =
                                                      [this](const std::string& line) {
                                                        const std::lock_guard lock(mutex_);
                                                        shown_ = line;
                                                        changed_.notify_all();
                                                      }},
                                                 clock);
  EXPECT_TRUE(opened) << opened.error().message;
  driver_ = std::move(*opened);
  thread_ = std::thread([this] {
    const auto end = driver_->run();
    if (!end) outcome_ = end.error();
  });
}

CoordinatorThread::~CoordinatorThread() {
  ::kill(::getpid(), SIGTERM);  // blocked in every thread, so the driver reads it from its descriptor
  thread_.join();
  EXPECT_TRUE(outcome_) << outcome_.error().message;
}

bool CoordinatorThread::comes_to_show(const std::string& text, std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return shown_.find(text) != std::string::npos; });
}

}  // namespace fovea::test

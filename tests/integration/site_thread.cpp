#include "tests/integration/site_thread.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <utility>

#include "federation/model/layout.h"
#include "node/training/probe_trainer.h"

namespace fovea::test {

Result<std::unique_ptr<node::training::Trainer>> SiteThread::make_probe(const federation::membership::Plan& plan) {
  FOVEA_TRY_ASSIGN(federation::model::ModelLayout layout, federation::model::make_layout(plan.architecture));
  return std::unique_ptr<node::training::Trainer>(std::make_unique<node::training::ProbeTrainer>(
      std::move(layout), node::training::ProbeSettings{.site_seed = 1, .delay_ms = 100}));
}

SiteThread::SiteThread(const std::filesystem::path& folder, const Clock& clock, MakeTrainer make_trainer) {
  if (!make_trainer) make_trainer = make_probe;
  const node::io::SiteFolder site(folder);
  auto config = node::io::NodeConfig::read(site.config());
  EXPECT_TRUE(config) << config.error().message;
  node::io::SiteDriverOptions options{
      .folder = site, .config = *config, .make_trainer = std::move(make_trainer), .hold = {}};
  auto opened = node::io::SiteDriver::open(std::move(options), clock);
  EXPECT_TRUE(opened) << opened.error().message;
  driver_ = std::move(*opened);
  thread_ = std::thread([this] { outcome_ = driver_->run(); });
}

SiteThread::~SiteThread() {
  ::kill(::getpid(), SIGTERM);  // blocked in every thread, so the driver reads it from its descriptor
  thread_.join();
  EXPECT_TRUE(outcome_) << outcome_.error().message;
}

}  // namespace fovea::test

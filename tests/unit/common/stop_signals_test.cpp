// Failure class: a program that wants to end cleanly is killed, because a thread that it did not start took the signal.
#include "common/stop_signals.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "common/descriptor.h"

namespace fovea {
namespace {

TEST(StopSignals, ReachTheDescriptorThoughOlderThreadsDoNotBlockThem) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe(ends), 0);
  Descriptor wait(ends[0]), release(ends[1]);
  std::vector<std::jthread> older;
  for (int n = 0; n < 5; ++n)
    older.emplace_back([&wait] {
      char byte = 0;
      while (::read(wait.number(), &byte, 1) > 0) {
      }
    });
  block_signals({SIGUSR1});  // whose default is death, like SIGTERM's
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  const Descriptor signals(::signalfd(-1, &set, SFD_CLOEXEC));
  for (int time = 0; time < 3; ++time) {
    ASSERT_EQ(::kill(::getpid(), SIGUSR1), 0);
    pollfd ready{signals.number(), POLLIN, 0};
    ASSERT_EQ(::poll(&ready, 1, 30'000), 1);
    signalfd_siginfo info{};
    ASSERT_EQ(::read(signals.number(), &info, sizeof info), static_cast<ssize_t>(sizeof info));
    EXPECT_EQ(info.ssi_signo, static_cast<std::uint32_t>(SIGUSR1));
  }
  release = Descriptor();
}

}  // namespace
}  // namespace fovea

// Failure class: a program that wants to end cleanly is killed, because a thread that it did not start took the signal.
#include "common/stop_signals.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "common/descriptor.h"

namespace fovea {
namespace {

// The descriptor is ready for a moment before a thread that does not block the signal yet takes it and passes it on: as
// in an event loop, ready does not mean that there is a signal to read.
int await_signal(const Descriptor& signals) {
  pollfd ready{signals.number(), POLLIN, 0};
  while (::poll(&ready, 1, 30'000) == 1)
    if (const int number = next_signal(signals); number != 0) return number;
  return 0;
}

TEST(StopSignals, ReachTheDescriptorThoughOlderThreadsDoNotBlockThem) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the thread sanitizer keeps a signal until its thread's next call, and the older threads make none";
#endif
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
  const Descriptor signals = open_signals({SIGUSR1}).value();
  EXPECT_EQ(next_signal(signals), 0);
  for (int time = 0; time < 3; ++time) {
    ASSERT_EQ(::kill(::getpid(), SIGUSR1), 0);
    EXPECT_EQ(await_signal(signals), SIGUSR1);
    EXPECT_EQ(next_signal(signals), 0);
  }
  release = Descriptor();
}

}  // namespace
}  // namespace fovea

#include "node/intake/parser/memory_budget.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace fovea::node {
namespace {

TEST(MemoryBudget, GivesUpToItsTotalAndNeverMore) {
  intake::MemoryBudget budget(100);
  EXPECT_FALSE(budget.take(101));
  {
    const auto all = budget.take(100);
    EXPECT_TRUE(all);
    EXPECT_TRUE(budget.take(0));
  }
  const auto a = budget.take(60), b = budget.take(40);
  EXPECT_TRUE(a && b);
}

TEST(MemoryBudget, RequestsWaitAndTheSumStaysWithinTheTotal) {
  intake::MemoryBudget budget(100);
  std::atomic<std::uint64_t> held{0}, most{0};
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t thread = 0; thread < 4; ++thread)
      threads.emplace_back([&, thread] {
        for (std::uint64_t round = 0; round < 500; ++round) {
          const std::uint64_t bytes = round % 50 == 0 ? 100 : 10 + (7 * round + 13 * thread) % 60;
          const auto share = budget.take(bytes);
          const std::uint64_t now = held += bytes;
          for (std::uint64_t seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
          }
          held -= bytes;
        }
      });
  }
  EXPECT_EQ(held, 0u);
  EXPECT_LE(most, 100u);
  EXPECT_TRUE(budget.take(100));  // all of it came back
}

}  // namespace
}  // namespace fovea::node

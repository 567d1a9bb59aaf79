// Whole rounds under faults, many seeds. A failing seed is printed; run it alone with FOVEA_SIMULATION_SEED=<seed>.
#include <gtest/gtest.h>

#include <cstdlib>

#include "common/numbers.h"
#include "tests/simulation/bad_dealer.h"
#include "tests/simulation/world.h"

namespace fovea::test {
namespace {

struct SeedRange {
  std::uint64_t first = 1;
  std::uint64_t count = 0;
};

// One in `part` of the seeds wanted; just the one that a person names.
SeedRange seeds_to_run(std::uint64_t part) {
  const auto number = [](const char* name, const char* text) {
    const auto value = read_digits(text);
    if (!value) ADD_FAILURE() << name << ": expected a whole number, found \"" << text << '"';
    return value.value_or(0);
  };
  if (const char* only = std::getenv("FOVEA_SIMULATION_SEED")) return {number("FOVEA_SIMULATION_SEED", only), 1};
  const char* text = std::getenv("FOVEA_SIMULATION_SEEDS");
  return {1, (text != nullptr ? number("FOVEA_SIMULATION_SEEDS", text) : 200) / part};
}

// Each seed has its own size and mix of faults.
WorldOptions options_for(std::uint64_t seed) {
  WorldOptions options;
  options.seed = seed;
  options.sites = 3 + seed % 4;
  options.rounds = 2;
  options.faults = {.drop = 0.03 * static_cast<double>(seed % 5),
                    .duplicate = 0.05 * static_cast<double>(seed % 3),
                    .delay_ms = static_cast<std::int64_t>(1 + 40 * (seed % 4)),
                    .crash = seed % 7 == 0 ? 0 : 0.002 * static_cast<double>(seed % 6),
                    .heal_ms = 15'000};
  return options;
}

std::string describe(World& world, std::uint64_t seed) {
  std::string text = "seed " + std::to_string(seed) + ", " + std::to_string(world.results().size()) + " sums, " +
                     std::to_string(world.aborted().size()) + " aborted, " + std::to_string(world.now_ms()) + " ms";
  text += world.where();
  for (const auto& aborted : world.aborted()) text += "\n  aborted: " + aborted.detail;
  for (const std::string& violation : world.violations()) text += "\n  " + violation;
  return text;
}

TEST(RoundSimulation, EverySeedReachesItsRoundsWithoutViolation) {
  const auto [first, count] = seeds_to_run(1);
  std::size_t crashes = 0;
  std::size_t stuck = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    World world(options_for(seed));
    const bool reached = world.run();
    EXPECT_TRUE(world.violations().empty()) << describe(world, seed);
    if (!reached) {
      ++stuck;
      EXPECT_TRUE(reached) << describe(world, seed);
    }
    crashes += world.crashes();
    if (::testing::Test::HasFailure() && count > 1) break;
  }
  RecordProperty("crashes", std::to_string(crashes));
  RecordProperty("stuck", std::to_string(stuck));
}

// The same with a dealer whose fault shows in R5. Where the sum can be repeated it is; a run ends only where a rule
// says that no round can follow, and nobody ever releases two sums that differ by an honest site.
TEST(RoundSimulation, ABadDealerEndsNoRunThatOthersCanFinish) {
  const auto [first, count] = seeds_to_run(8);
  std::size_t repeated = 0;
  std::size_t ended = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    World world(options_for(seed));
    world.intercept = deal_another_seed(world, static_cast<RosterIndex>(seed / 4 % world.federation().size()), 1, 3);
    const auto over = [&] {
      return !world.aborted().empty() &&
             world.aborted().back().reason == federation::messages::RefusalReason::model_already_released;
    };
    const bool reached = world.run(over);
    EXPECT_TRUE(world.violations().empty()) << describe(world, seed);
    EXPECT_TRUE(reached || over()) << describe(world, seed);
    ended += reached ? 0U : 1U;
    for (const auto& result : world.results()) repeated += result.evidence.parameters.repeats ? 1U : 0U;
    if (::testing::Test::HasFailure() && count > 1) break;
  }
  RecordProperty("repeated", std::to_string(repeated));
  RecordProperty("ended", std::to_string(ended));
  std::cout << repeated << " sums were repeated, " << ended << " runs ended, of " << count << "\n";
  if (count > 1) {
    EXPECT_GT(repeated, count / 4);
  }
}

TEST(RoundSimulation, TheSameSeedGivesTheSameTrace) {
  for (const std::uint64_t seed : {11U, 12U, 29U}) {
    World first(options_for(seed));
    World second(options_for(seed));
    first.run();
    second.run();
    EXPECT_EQ(first.trace_hash(), second.trace_hash()) << "seed " << seed;
    World other(options_for(seed + 1000));
    other.run();
    EXPECT_NE(first.trace_hash(), other.trace_hash()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace fovea::test

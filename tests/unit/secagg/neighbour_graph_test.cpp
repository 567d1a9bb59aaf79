#include "federation/secagg/neighbour_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <set>

#include "tests/support/hex.h"

namespace fovea::federation {
namespace {

secagg::NeighbourCounts thousand(std::uint32_t corrupt, std::uint32_t dropped) {
  return secagg::choose_neighbours({.sites = 1000,
                                    .corrupt_max = corrupt,
                                    .dropped_max = dropped,
                                    .security_bits = 40,
                                    .correctness_bits = 20})
      .value();
}

std::vector<std::uint32_t> in_order(std::uint32_t sites) {
  std::vector<std::uint32_t> order(sites);
  std::iota(order.begin(), order.end(), 0U);
  return order;
}

TEST(ChooseNeighbours, ReproducesTheDesignsThreeValuesForAThousandSites) {
  EXPECT_EQ(thousand(50, 50), (secagg::NeighbourCounts{.neighbours = 52, .threshold = 37}));
  EXPECT_EQ(thousand(100, 100), (secagg::NeighbourCounts{.neighbours = 96, .threshold = 67}));
  EXPECT_EQ(thousand(200, 100), (secagg::NeighbourCounts{.neighbours = 140, .threshold = 104}));
}

TEST(ChooseNeighbours, MoreCorruptionDropsOrBitsNeedMoreNeighbours) {
  EXPECT_GT(thousand(101, 50).neighbours, thousand(50, 50).neighbours);
  EXPECT_GT(thousand(50, 100).neighbours, thousand(50, 50).neighbours);
  const secagg::GraphAssumptions strict{
      .sites = 1000, .corrupt_max = 50, .dropped_max = 50, .security_bits = 60, .correctness_bits = 20};
  EXPECT_GT(secagg::choose_neighbours(strict)->neighbours, 52U);
}

// Draws graphs and counts: with bounds loose enough to be seen failing, failures stay below the bound.
TEST(ChooseNeighbours, TheCorrectnessBoundHoldsInDraws) {
  const secagg::GraphAssumptions loose{
      .sites = 200, .corrupt_max = 10, .dropped_max = 20, .security_bits = 3, .correctness_bits = 3};
  const secagg::NeighbourCounts counts = secagg::choose_neighbours(loose).value();
  crypto::SeededRandom random(test::numbered_key(1));
  int failed = 0;
  constexpr int kDraws = 400;
  for (int draw = 0; draw < kDraws; ++draw) {
    const auto graph =
        secagg::NeighbourGraph::create(secagg::shuffled_positions(200, random), counts.neighbours).value();
    bool short_somewhere = false;
    for (std::uint32_t site = 0; site < 200; ++site) {
      const auto neighbours = graph.neighbours_of(site);
      const auto alive = std::ranges::count_if(neighbours, [](std::uint32_t other) { return other >= 20; });
      short_somewhere = short_somewhere || alive < static_cast<std::ptrdiff_t>(counts.threshold);
    }
    failed += short_somewhere ? 1 : 0;
  }
  EXPECT_LE(failed, kDraws / 8) << "seed 1, k " << counts.neighbours << ", t " << counts.threshold;
}

TEST(ChooseNeighbours, RefusesWhatCannotBeMet) {
  const auto code = [](secagg::GraphAssumptions assumptions) {
    return secagg::choose_neighbours(assumptions).error().code;
  };
  EXPECT_EQ(code({.sites = 2, .corrupt_max = 0, .dropped_max = 0, .security_bits = 40, .correctness_bits = 20}),
            ErrorCode::invalid_argument);
  EXPECT_EQ(code({.sites = 10, .corrupt_max = 5, .dropped_max = 5, .security_bits = 40, .correctness_bits = 20}),
            ErrorCode::invalid_argument);
  EXPECT_EQ(code({.sites = 100, .corrupt_max = 5, .dropped_max = 5, .security_bits = 0, .correctness_bits = 20}),
            ErrorCode::invalid_argument);
  EXPECT_EQ(code({.sites = 20, .corrupt_max = 6, .dropped_max = 6, .security_bits = 40, .correctness_bits = 20}),
            ErrorCode::failed_precondition);
}

TEST(NeighbourGraph, IsSymmetricRegularAndWithoutLoops) {
  crypto::SeededRandom random(test::numbered_key(2));
  for (const std::uint32_t sites : {3U, 5U, 8U, 131U}) {
    for (const std::uint32_t k : {2U, 4U, 52U}) {
      if (k + 1 > sites) continue;
      const auto graph = secagg::NeighbourGraph::create(secagg::shuffled_positions(sites, random), k).value();
      for (std::uint32_t site = 0; site < sites; ++site) {
        const auto neighbours = graph.neighbours_of(site);
        EXPECT_EQ(std::set<std::uint32_t>(neighbours.begin(), neighbours.end()).size(), k);
        EXPECT_FALSE(graph.are_neighbours(site, site));
        for (std::uint32_t other = 0; other < sites; ++other) {
          EXPECT_EQ(graph.are_neighbours(site, other), std::ranges::binary_search(neighbours, other));
          EXPECT_EQ(graph.are_neighbours(site, other), graph.are_neighbours(other, site));
        }
      }
    }
  }
}

TEST(NeighbourGraph, FollowsThePositionsNotTheNames) {
  const std::vector<std::uint32_t> order = {4, 2, 0, 3, 1};
  const auto graph = secagg::NeighbourGraph::create(order, 2).value();
  EXPECT_EQ(graph.neighbours_of(0), (std::vector<std::uint32_t>{2, 3}));
  EXPECT_EQ(graph.neighbours_of(4), (std::vector<std::uint32_t>{1, 2}));
}

TEST(NeighbourGraph, RefusesOddDegreesAndOrdersThatAreNoPermutation) {
  EXPECT_TRUE(secagg::NeighbourGraph::create(in_order(5), 4).has_value());
  for (const std::uint32_t k : {0U, 1U, 3U, 6U})
    EXPECT_FALSE(secagg::NeighbourGraph::create(in_order(5), k).has_value()) << k;
  EXPECT_FALSE(secagg::NeighbourGraph::create(std::vector<std::uint32_t>{0, 1, 1}, 2).has_value());
  EXPECT_FALSE(secagg::NeighbourGraph::create(std::vector<std::uint32_t>{0, 1, 3}, 2).has_value());
}

TEST(ShuffledPositions, IsAPermutationThatDependsOnTheBeaconOnly) {
  crypto::SeededRandom beacon(test::numbered_key(3));
  crypto::SeededRandom same(test::numbered_key(3));
  crypto::SeededRandom other(test::numbered_key(4));
  auto order = secagg::shuffled_positions(1000, beacon);
  EXPECT_EQ(order, secagg::shuffled_positions(1000, same));
  EXPECT_NE(order, secagg::shuffled_positions(1000, other));
  std::ranges::sort(order);
  EXPECT_EQ(order, in_order(1000));
}

// Each of the 6 orders of 3 sites: 6000 draws, 5 degrees of freedom, 30 is beyond the 0.99998 quantile.
TEST(ShuffledPositions, FavoursNoOrder) {
  crypto::SeededRandom random(test::numbered_key(5));
  std::array<int, 27> counts{};
  for (int draw = 0; draw < 6000; ++draw) {
    const auto order = secagg::shuffled_positions(3, random);
    ++counts[9 * order[0] + 3 * order[1] + order[2]];
  }
  double chi_square = 0;
  int seen = 0;
  for (const int count : counts) {
    if (count == 0) continue;
    ++seen;
    chi_square += (count - 1000.0) * (count - 1000.0) / 1000.0;
  }
  EXPECT_EQ(seen, 6);
  EXPECT_LT(chi_square, 30.0) << "seed 5";
}

}  // namespace
}  // namespace fovea::federation

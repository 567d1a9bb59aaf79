#include "federation/secagg/neighbour_graph.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "common/check.h"

namespace fovea::federation::secagg {

namespace {

constexpr std::uint32_t kSitesMax = 65536;
constexpr std::uint32_t kBitsMax = 128;
constexpr double kNever = -std::numeric_limits<double>::infinity();

double log2_sum(double a, double b) {
  const double high = std::max(a, b);
  return high == kNever ? kNever : high + std::log2(std::exp2(a - high) + std::exp2(b - high));
}

// log2 of tails of the hypergeometric distribution over a population of one size.
class Hypergeometric {
 public:
  explicit Hypergeometric(std::uint32_t population) : log2_factorial_(population + 1) {
    for (std::uint32_t i = 1; i <= population; ++i)
      log2_factorial_[i] = log2_factorial_[i - 1] + std::log2(static_cast<double>(i));
  }

  // P[at least `least` marked among `drawn`], `marked` of the population being marked.
  double tail(std::uint32_t marked, std::uint32_t drawn, std::uint32_t least) const {
    const auto population = static_cast<std::uint32_t>(log2_factorial_.size() - 1);
    const std::uint32_t impossible_below = drawn + marked > population ? drawn + marked - population : 0;
    double sum = kNever;
    for (std::uint32_t hit = std::max(least, impossible_below); hit <= std::min(marked, drawn); ++hit)
      sum = log2_sum(sum, choose(marked, hit) + choose(population - marked, drawn - hit));
    return sum == kNever ? kNever : sum - choose(population, drawn);
  }

 private:
  double choose(std::uint32_t n, std::uint32_t k) const {
    return log2_factorial_[n] - log2_factorial_[k] - log2_factorial_[n - k];
  }
  std::vector<double> log2_factorial_;
};

Result<void> check(const GraphAssumptions& a) {
  if (a.sites < 3 || a.sites > kSitesMax)
    return invalid_argument("sites: expected 3–" + std::to_string(kSitesMax) + ", found " + std::to_string(a.sites));
  if (a.corrupt_max >= a.sites || a.dropped_max >= a.sites - a.corrupt_max)
    return invalid_argument("corrupt and dropped sites: expected fewer than " + std::to_string(a.sites) +
                            " together, found " + std::to_string(a.corrupt_max) + " and " +
                            std::to_string(a.dropped_max));
  for (const std::uint32_t bits : {a.security_bits, a.correctness_bits})
    if (bits < 1 || bits > kBitsMax)
      return invalid_argument("failure bits: expected 1–" + std::to_string(kBitsMax) + ", found " +
                              std::to_string(bits));
  return {};
}

// The largest t for which enough of k neighbours survive at every site; 0 when there is none.
std::uint32_t largest_threshold(const GraphAssumptions& a, const Hypergeometric& others, std::uint32_t k) {
  const double allowed = -static_cast<double>(a.correctness_bits) - std::log2(static_cast<double>(a.sites));
  std::uint32_t threshold = 0;
  while (threshold < k && others.tail(a.dropped_max, k, k - threshold) <= allowed) ++threshold;
  return threshold;
}

bool secure(const GraphAssumptions& a, const Hypergeometric& others, const NeighbourCounts& counts) {
  if (2 * counts.threshold <= counts.neighbours) return false;
  const double allowed = -static_cast<double>(a.security_bits) - 1.0 - std::log2(static_cast<double>(a.sites));
  const double exposed = others.tail(a.corrupt_max, counts.neighbours, 2 * counts.threshold - counts.neighbours);
  const double lost = static_cast<double>(a.corrupt_max + a.dropped_max) / static_cast<double>(a.sites);
  const double disconnected = lost == 0.0 ? kNever : static_cast<double>(counts.neighbours / 2) * std::log2(lost);
  return exposed <= allowed && disconnected <= allowed;
}

}  // namespace

Result<NeighbourCounts> choose_neighbours(const GraphAssumptions& assumptions) {
  FOVEA_TRY(check(assumptions));
  const Hypergeometric others(assumptions.sites - 1);
  for (std::uint32_t k = 2; k < assumptions.sites - 1; k += 2) {
    const NeighbourCounts counts{.neighbours = k, .threshold = largest_threshold(assumptions, others, k)};
    if (secure(assumptions, others, counts)) return counts;
  }
  return failed_precondition("neighbour graph: no number of neighbours below " + std::to_string(assumptions.sites - 1) +
                             " meets these bounds; use the complete graph");
}

Result<void> check_neighbours(const GraphAssumptions& assumptions, const NeighbourCounts& counts) {
  FOVEA_TRY(check(assumptions));
  if (counts.neighbours >= assumptions.sites || counts.threshold > counts.neighbours ||
      !secure(assumptions, Hypergeometric(assumptions.sites - 1), counts))
    return permission_denied("neighbour graph: " + std::to_string(counts.neighbours) + " neighbours with threshold " +
                             std::to_string(counts.threshold) + " are too few for " +
                             std::to_string(assumptions.corrupt_max) + " corrupt and " +
                             std::to_string(assumptions.dropped_max) + " lost of " + std::to_string(assumptions.sites) +
                             " sites");
  return {};
}

std::vector<std::uint32_t> shuffled_positions(std::uint32_t sites, crypto::RandomSource& random) {
  std::vector<std::uint32_t> order(sites);
  std::iota(order.begin(), order.end(), 0U);
  for (std::uint32_t left = sites; left > 1; --left) {
    // The largest multiple of `left` that fits: draws above it would favour low positions.
    const std::uint64_t fair = ((std::uint64_t{1} << 32) / left) * left;
    std::uint64_t draw = fair;
    while (draw >= fair) {
      std::array<std::uint8_t, 4> bytes{};
      random.fill(bytes);
      draw = bytes[0] | std::uint64_t{bytes[1]} << 8 | std::uint64_t{bytes[2]} << 16 | std::uint64_t{bytes[3]} << 24;
    }
    std::swap(order[left - 1], order[draw % left]);
  }
  return order;
}

Result<NeighbourGraph> NeighbourGraph::create(std::span<const std::uint32_t> order, std::uint32_t neighbours) {
  const std::size_t sites = order.size();
  if (neighbours == 0 || neighbours % 2 != 0 || neighbours + std::size_t{1} > sites)
    return invalid_argument("neighbours: expected an even number below the " + std::to_string(sites) +
                            " sites, found " + std::to_string(neighbours));
  std::vector<std::uint32_t> position(sites, kSitesMax);
  for (std::uint32_t place = 0; place < sites; ++place) {
    if (order[place] >= sites || position[order[place]] != kSitesMax)
      return invalid_argument("positions: expected each site once; position " + std::to_string(place) +
                              " names no site or one named before");
    position[order[place]] = place;
  }
  return NeighbourGraph(std::vector<std::uint32_t>(order.begin(), order.end()), std::move(position), neighbours);
}

std::vector<std::uint32_t> NeighbourGraph::neighbours_of(std::uint32_t site) const {
  FOVEA_CHECK(site < position_.size());
  const auto sites = static_cast<std::uint32_t>(order_.size());
  std::vector<std::uint32_t> found;
  found.reserve(neighbours_);
  for (std::uint32_t step = 1; step <= neighbours_ / 2; ++step) {
    found.push_back(order_[(position_[site] + step) % sites]);
    found.push_back(order_[(position_[site] + sites - step) % sites]);
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool NeighbourGraph::are_neighbours(std::uint32_t a, std::uint32_t b) const {
  FOVEA_CHECK(a < position_.size() && b < position_.size());
  const auto sites = static_cast<std::uint32_t>(order_.size());
  const std::uint32_t ahead = (position_[b] + sites - position_[a]) % sites;
  return ahead != 0 && std::min(ahead, sites - ahead) <= neighbours_ / 2;
}

}  // namespace fovea::federation::secagg

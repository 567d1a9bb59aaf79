// Who masks with whom when there are too many sites for all pairs: a Harary graph over shuffled positions, and how
// many neighbours it needs. After Bell, Bonawitz, Gascón, Lepoint, Raykova: "Secure Single-Server Aggregation with
// (Poly)Logarithmic Overhead" (CCS 2020), for a malicious coordinator.
//
// Corrupt sites and drop-outs are fixed before the shuffle. A coordinator that picks drop-outs after it has seen the
// graph can cut a group off: the guaranteed anonymity set then falls to about the threshold less the colluders.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "common/result.h"
#include "crypto/random_source.h"

namespace fovea::federation::secagg {

// What a federation assumes and asks for; none of it has a default.
struct GraphAssumptions {
  std::uint32_t sites = 0;
  std::uint32_t corrupt_max = 0;       // colluding with the coordinator
  std::uint32_t dropped_max = 0;       // lost between R2 and R5
  std::uint32_t security_bits = 0;     // any honest site exposed: probability at most 2^-security_bits
  std::uint32_t correctness_bits = 0;  // the round has to be repeated: probability at most 2^-correctness_bits
};

struct NeighbourCounts {
  std::uint32_t neighbours = 0;  // k, even
  std::uint32_t threshold = 0;   // t, of the k shares of each secret
  bool operator==(const NeighbourCounts&) const = default;
};

// The fewest neighbours k, and for it the largest threshold t, with
//   correctness: n · P[more than k − t of k neighbours dropped] ≤ 2^-correctness_bits;
//   security, half of the allowance each:
//     n · P[X ≥ 2t − k] with X the corrupt among k neighbours: below that, a coordinator cannot get t shares of both
//     secrets of a site, nor t signatures on two statements, since each honest neighbour gives one of either;
//     n · ((corrupt + dropped) / n)^(k/2): k/2 consecutive positions lost would cut the ring of honest survivors.
// Tails are hypergeometric, drawn from the n − 1 other sites.
// (sites 1000, 40 and 20 bits) gives (52, 37) for 5 % corrupt and 5 % dropped, (96, 67) for 10 % and 10 %,
// (140, 104) for 20 % and 10 %.
// invalid_argument: fewer than 3 sites or more than 65536, corrupt + dropped not below sites, bits outside 1–128.
// failed_precondition: no k below sites − 1 is enough; use the complete graph.
Result<NeighbourCounts> choose_neighbours(const GraphAssumptions& assumptions);

// The security half of the above for a k and t that somebody else chose; `correctness_bits` is not looked at.
// invalid_argument: as above; permission_denied: k or t is too small for the sites assumed bad.
Result<void> check_neighbours(const GraphAssumptions& assumptions, const NeighbourCounts& counts);

// The site at each position, uniform among all orders (Fisher–Yates, drawn by rejection). Everybody computes it from
// the epoch's beacon: SeededRandom(beacon).
std::vector<std::uint32_t> shuffled_positions(std::uint32_t sites, crypto::RandomSource& random);

// The Harary graph H(k, n): each position is joined to the k/2 before and the k/2 behind it on the ring.
class NeighbourGraph {
 public:
  // invalid_argument: `order` is not a permutation of 0 … n−1, or k is odd, zero or above n − 1.
  static Result<NeighbourGraph> create(std::span<const std::uint32_t> order, std::uint32_t neighbours);

  // Ascending; the relation is symmetric and never includes the site itself.
  std::vector<std::uint32_t> neighbours_of(std::uint32_t site) const;
  bool are_neighbours(std::uint32_t a, std::uint32_t b) const;  // false for a site and itself

 private:
  NeighbourGraph(std::vector<std::uint32_t> order, std::vector<std::uint32_t> position, std::uint32_t neighbours)
      : order_(std::move(order)), position_(std::move(position)), neighbours_(neighbours) {}
  std::vector<std::uint32_t> order_;     // position → site
  std::vector<std::uint32_t> position_;  // site → position
  std::uint32_t neighbours_;
};

}  // namespace fovea::federation::secagg

// A linear hash: binds a site to its masked vector, and the published sum to the sites' vectors.
//
//   h(y) = sum over b of a_b * y_b   in Z_q[X] / (X^1024 + 1),   q = q1 * q2, two primes just below 2^50
//
// The y_b are the vector's words read as integers, 1024 a polynomial; the a_b are uniform and public, expanded from a
// key. h is linear over the integers: the hashes of n vectors add up to the hash of the vectors' integer sum, carries
// included. Two vectors of words below n * 2^32 with equal hashes would be a short vector of a lattice that nobody
// knows how to find (ring-SIS); docs/linear-hash.md has the estimate, the order of the words and the bytes of a tag.
//
// The hash hides nothing and needs no secret. Which path computes it changes no bit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/result.h"

namespace fovea::crypto {

inline constexpr std::size_t kLinearTagCoefficients = 2 * 1024;  // modulo q1, then modulo q2
inline constexpr std::size_t kLinearTagBytes = kLinearTagCoefficients * 50 / 8;

// The hash as bytes: each coefficient in 50 bits, little-endian. Public data: compare with ==.
using LinearTag = std::array<std::uint8_t, kLinearTagBytes>;

enum class LinearPath : std::uint8_t { avx512_ifma, avx2, portable };

std::string_view linear_path_name(LinearPath path) noexcept;
LinearPath linear_path() noexcept;                 // what this machine uses
std::vector<LinearPath> linear_paths_available();  // fastest first; portable is always last

// The hash of one vector whose words arrive in order, in pieces of any size.
// Using it after finish(), adding too many words, or finishing early aborts.
class LinearHash {
 public:
  // `key` is public, 32 bytes; `words` is the length of the vector. A path is named by tests and benchmarks only;
  // one that the machine lacks aborts.
  LinearHash(const Digest& key, std::size_t words);
  LinearHash(const Digest& key, std::size_t words, LinearPath path);
  LinearHash(LinearHash&&) noexcept;
  LinearHash& operator=(LinearHash&&) noexcept;
  ~LinearHash();

  void add(std::span<const std::uint32_t> words);  // a masked vector
  // The integers low + 2^32 * high: a sum and its carries. Sizes must be equal.
  void add(std::span<const std::uint32_t> low, std::span<const std::uint16_t> high);

  LinearTag finish();

 private:
  class State;
  std::unique_ptr<State> state_;
};

// The hash of a whole vector on up to `threads` threads. `high` may be empty.
LinearTag linear_hash(const Digest& key, std::span<const std::uint32_t> low, std::span<const std::uint16_t> high,
                      unsigned threads);

// Tags added up modulo q1 and q2. Without any tag: the tag of zeros.
class LinearTagSum {
 public:
  // invalid_argument: another length than kLinearTagBytes, or a coefficient that is not below its prime (a second
  // encoding of the same hash). The sum is then unchanged.
  Result<void> add(ByteView tag);
  bool equals(const LinearTag& tag) const;

 private:
  std::array<std::uint64_t, kLinearTagCoefficients> coefficients_{};
};

}  // namespace fovea::crypto

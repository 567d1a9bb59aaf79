// Floats to ring words and back. A site's vector is
//   x = [round(scale · w · Δ / w_max) for each trained float, w, metric sums…, 1]   mod 2^32, two's complement
// with |x| ≤ bound = ⌊(2^31 − 1) / n⌋ for n = RoundParameters::encoded_for(), which is |U0| or more, by construction:
// every word is clipped, so a sum of n sites cannot wrap; the canary, last, sums to the number of sites in the sum.
//
//   site:        ContributionEncoder::create(parameters, contribution) → fill(first_word, words) chunk by chunk
//   coordinator: decode_sum(parameters, sum, sites) → RoundSum
#pragma once

#include <array>
#include <span>
#include <vector>

#include "crypto/secret_bytes.h"
#include "federation/secagg/parameters.h"

namespace fovea::federation {

inline constexpr std::size_t kMetricCount = 4;                   // loss_sum, loss_count, hits, findings
inline constexpr std::size_t kTailWords = 1 + kMetricCount + 1;  // weight, metrics, canary

// The ring words of a vector for a delta of this many floats.
constexpr std::size_t vector_words(std::size_t delta_size) { return delta_size + kTailWords; }

// The largest |word| of one site among n.
constexpr std::int64_t word_bound(std::size_t sites) { return 0x7FFFFFFF / static_cast<std::int64_t>(sites); }

// The encoding a coordinator uses for n sites: the largest scale that the bound allows.
// invalid_argument: delta_max not positive and finite, weight_max 0 or above the bound.
Result<Encoding> make_encoding(std::size_t sites, double delta_max, std::uint32_t weight_max);

// What one site's training gave. Cleartext of the site: never sent, never logged.
struct Contribution {
  std::vector<float> delta;
  std::uint32_t weight = 0;  // studies used, ≥ 1
  std::array<double, kMetricCount> metric_sums{};
};

// Names the ring words that a contribution has under these parameters: equal for two attempts whose words are equal.
// The site keeps it to itself, and repeats a released sum with the same words only.
Digest update_digest(const RoundParameters& parameters, const Digest& contribution);
// Keyed with a secret of the site, since nobody else compares them: a MAC takes a fifth of the time of a hash.
Digest contribution_digest(const Contribution& contribution, const crypto::SecretKey& own);

// Encodes a contribution range by range. Holds views: `contribution` and `noise` must outlive it.
class ContributionEncoder {
 public:
  // invalid_argument: a wrong length, or weight 0 or above weight_max. Finite values are checked by check_finite.
  // `noise`: integers to add (differential privacy), one for each float, or empty; the sum is clipped to the bound.
  static Result<ContributionEncoder> create(const RoundParameters& parameters, const Contribution& contribution,
                                            std::span<const std::int32_t> noise = {});

  // Words [first, first + out.size()) of x.
  void fill(std::size_t first, std::span<std::uint32_t> out) const;

 private:
  ContributionEncoder() = default;
  const Contribution* contribution_ = nullptr;
  std::span<const std::int32_t> noise_;
  double factor_ = 0;  // scale · w / w_max
  double clip_ = 0;
  std::int64_t bound_ = 0;
  std::array<std::uint32_t, kTailWords> tail_{};
};

// A finished sum, in the shape federated averaging takes.
struct RoundSum {
  std::vector<std::uint32_t> words;  // trained floats only: Σ round(scale · w_i · Δ_i / w_max), two's complement
  double scale = 0;
  std::uint32_t weight_max = 0;
  std::uint64_t weight_sum = 0;
  std::array<double, kMetricCount> metric_sums{};
  std::uint32_t sites = 0;

  std::span<const std::int32_t> sums() const noexcept {
    return {reinterpret_cast<const std::int32_t*>(words.data()), words.size()};
  }
};

// Checks the canary (= `sites`), |word| ≤ sites · bound and 1 ≤ Σw ≤ sites · w_max, then takes the vector apart.
// corruption names the rule; `sum` is consumed.
Result<RoundSum> decode_sum(const RoundParameters& parameters, std::vector<std::uint32_t> sum, std::size_t sites);

}  // namespace fovea::federation

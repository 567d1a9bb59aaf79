// Floats to ring words and back. A site's vector is
//   x = [round(scale · w · Δ / w_max) for each trained float, w, metric sums…, 1]   mod 2^32, two's complement
// with |x| ≤ bound = ⌊(2^31 − 1) / n⌋ for n = RoundParameters::encoded_for(), which is |U0| or more, by construction:
// every word is clipped, so a sum of n sites cannot wrap; the canary, last, sums to the number of sites in the sum.
//
//   site:        UpdateEncoder::create(parameters, update) → fill(first_word, words) chunk by chunk
//   coordinator: decode_sum(parameters, sum, sites) → RoundSum
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/bytes.h"
#include "common/result.h"
#include "crypto/secret_bytes.h"
#include "federation/model/local_update.h"
#include "federation/model/round_sum.h"
#include "federation/secagg/parameters.h"

namespace fovea::federation::secagg {

inline constexpr std::size_t kTailWords = 1 + model::kMetricCount + 1;  // weight, metrics, canary

// The ring words of a vector for a delta of this many floats.
constexpr std::size_t vector_words(std::size_t delta_size) { return delta_size + kTailWords; }

// The largest |word| of one site among n.
constexpr std::int64_t word_bound(std::size_t sites) { return 0x7FFFFFFF / static_cast<std::int64_t>(sites); }

// The encoding a coordinator uses for n sites: the largest scale that the bound allows.
// invalid_argument: delta_max not positive and finite, weight_max 0 or above the bound.
Result<Encoding> make_encoding(std::size_t sites, double delta_max, std::uint32_t weight_max);

// Names the ring words that an update has under these parameters: equal for two attempts whose words are equal.
// The site keeps it to itself, and repeats a released sum with the same words only.
Digest vector_digest(const RoundParameters& parameters, const Digest& update);
// Keyed with a secret of the site, since nobody else compares them: a MAC takes a fifth of the time of a hash.
Digest update_digest(const model::LocalUpdate& update, const crypto::SecretKey& own);

// Encodes an update range by range. Holds views: `update` and `noise` must outlive it.
class UpdateEncoder {
 public:
  // invalid_argument: a wrong length, or weight 0 or above weight_max. Finite values are checked by check_finite.
  // `noise`: integers to add (differential privacy), one for each float, or empty; the sum is clipped to the bound.
  static Result<UpdateEncoder> create(const RoundParameters& parameters, const model::LocalUpdate& update,
                                      std::span<const std::int32_t> noise = {});

  // Words [first, first + out.size()) of x.
  void fill(std::size_t first, std::span<std::uint32_t> out) const;

 private:
  UpdateEncoder() = default;
  const model::LocalUpdate* update_ = nullptr;
  std::span<const std::int32_t> noise_;
  double factor_ = 0;  // scale · w / w_max
  double clip_ = 0;
  std::int64_t bound_ = 0;
  std::array<std::uint32_t, kTailWords> tail_{};
};

// Checks the canary (= `sites`), sites ≤ Σw ≤ sites · w_max, |word| ≤ scale · delta_max · Σw / w_max + sites for each
// float and |word| ≤ sites · bound for the metrics, which every sum of honest vectors keeps; then takes it apart.
// corruption names the rule; `sum` is consumed.
Result<model::RoundSum> decode_sum(const RoundParameters& parameters, std::vector<std::uint32_t> sum,
                                   std::size_t sites);

}  // namespace fovea::federation::secagg

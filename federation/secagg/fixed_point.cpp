#include "federation/secagg/fixed_point.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

#include "common/check.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/hkdf.h"
#include "federation/messages/attempt_ref.h"

namespace fovea::federation::secagg {
namespace {

constexpr double kMetricScale = 1024;

// 1.5 · 2^52: adding it rounds a double below 2^51 to the nearest integer, ties to even, whose two's complement then
// lies in the low bits. The compiler can do it on whole vectors; lrint it cannot.
constexpr double kRoundingShift = 6755399441055744.0;

std::uint32_t to_word(double value) noexcept {
  return static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(value + kRoundingShift));
}

double clamp_to(double value, double bound) noexcept { return std::min(std::max(value, -bound), bound); }

// Of two's complement words; reaches 2^31.
std::uint32_t largest_magnitude(std::span<const std::uint32_t> words) noexcept {
  std::uint32_t largest = 0;
  for (const std::uint32_t word : words) largest = std::max(largest, word > 0x7FFFFFFFU ? 0U - word : word);
  return largest;
}

}  // namespace

Result<Encoding> make_encoding(std::size_t sites, double delta_max, std::uint32_t weight_max) {
  if (sites < 2 || sites > messages::kCohortMax)
    return invalid_argument("encoding.sites: outside 2 to " + std::to_string(messages::kCohortMax));
  if (!std::isfinite(delta_max) || !(delta_max > 0))
    return invalid_argument("encoding.delta_max: must be finite and above 0");
  const auto bound = static_cast<double>(word_bound(sites));
  if (weight_max == 0 || static_cast<double>(weight_max) > bound)
    return invalid_argument("encoding.weight_max: outside 1 to (2^31 - 1) / sites");
  // Rounded down, so that scale · delta_max is within the bound whatever the quotient rounds to.
  double scale = bound / delta_max;
  while (scale * delta_max > bound) scale = std::nextafter(scale, 0.0);
  if (!std::isfinite(scale) || !(scale > 0)) return invalid_argument("encoding.delta_max: too small or too large");
  return Encoding{.scale = scale, .delta_max = delta_max, .metric_scale = kMetricScale, .weight_max = weight_max};
}

Digest update_digest(const model::LocalUpdate& update, const crypto::SecretKey& own) {
  const crypto::SecretKey key =
      crypto::hkdf_sha256({.secret = own.view(), .salt = {}, .info = as_bytes("FOVEA/1/contribution")});
  const std::span<const float> delta(update.delta);
  crypto::TaggedHash hash("FOVEA/1/contribution");
  hash.add(crypto::Gmac(key)
               .update(ByteView(reinterpret_cast<const std::uint8_t*>(delta.data()), delta.size_bytes()))
               .finish())
      .add_u64(delta.size())
      .add_u64(update.weight);
  for (const double metric : update.metric_sums) hash.add_u64(std::bit_cast<std::uint64_t>(metric));
  return hash.finish();
}

Digest vector_digest(const RoundParameters& parameters, const Digest& update) {
  const Encoding& encoding = parameters.encoding;
  crypto::TaggedHash hash("FOVEA/1/update");
  hash.add(update).add_u64(parameters.encoded_for()).add_u64(encoding.weight_max);
  for (const double value : {encoding.scale, encoding.delta_max, encoding.metric_scale})
    hash.add_u64(std::bit_cast<std::uint64_t>(value));
  return hash.finish();
}

Result<UpdateEncoder> UpdateEncoder::create(const RoundParameters& parameters, const model::LocalUpdate& update,
                                            std::span<const std::int32_t> noise) {
  const Encoding& encoding = parameters.encoding;
  if (vector_words(update.delta.size()) != parameters.dimension)
    return invalid_argument("update: " + std::to_string(update.delta.size()) + " values, the round has " +
                            std::to_string(parameters.dimension - kTailWords));
  if (update.weight == 0 || update.weight > encoding.weight_max)
    return invalid_argument("update.weight: outside 1 to " + std::to_string(encoding.weight_max));
  if (!noise.empty() && noise.size() != update.delta.size())
    return invalid_argument("update.noise: one integer for each value");
  UpdateEncoder out;
  out.update_ = &update;
  out.noise_ = noise;
  out.factor_ = encoding.scale * static_cast<double>(update.weight) / static_cast<double>(encoding.weight_max);
  out.clip_ = encoding.delta_max;
  out.bound_ = word_bound(parameters.encoded_for());
  out.tail_[0] = update.weight;
  for (std::size_t i = 0; i < model::kMetricCount; ++i) {
    const double metric = update.metric_sums[i];
    if (!std::isfinite(metric)) return invalid_argument("update.metric_sums: not finite");
    out.tail_[1 + i] = to_word(clamp_to(metric * encoding.metric_scale, static_cast<double>(out.bound_)));
  }
  out.tail_[kTailWords - 1] = 1;
  return out;
}

void UpdateEncoder::fill(std::size_t first, std::span<std::uint32_t> out) const {
  const std::span<const float> delta(update_->delta);
  FOVEA_CHECK(first + out.size() <= vector_words(delta.size()));
  const std::size_t floats = first < delta.size() ? std::min(out.size(), delta.size() - first) : 0;
  // |clip · factor| ≤ scale · delta_max ≤ bound, and rounding cannot pass an integer bound. The last clamp makes it
  // hold for any rounding of the product.
  const auto bound = static_cast<double>(bound_);
  for (std::size_t i = 0; i < floats; ++i)
    out[i] = to_word(clamp_to(clamp_to(static_cast<double>(delta[first + i]), clip_) * factor_, bound));
  if (!noise_.empty()) {
    for (std::size_t i = 0; i < floats; ++i) {
      const std::int64_t noisy = std::int64_t{std::bit_cast<std::int32_t>(out[i])} + noise_[first + i];
      out[i] = static_cast<std::uint32_t>(std::clamp(noisy, -bound_, bound_));
    }
  }
  for (std::size_t i = floats; i < out.size(); ++i) out[i] = tail_[first + i - delta.size()];
}

Result<model::RoundSum> decode_sum(const RoundParameters& parameters, std::vector<std::uint32_t> sum,
                                   std::size_t sites) {
  if (sum.size() != parameters.dimension || sum.size() <= kTailWords)
    return corruption("sum: " + std::to_string(sum.size()) + " words, the round has " +
                      std::to_string(parameters.dimension));
  if (sum.back() != sites)
    return corruption("sum: the canary is " + std::to_string(sum.back()) + " for " + std::to_string(sites) + " sites");
  const std::size_t floats = sum.size() - kTailWords;
  model::RoundSum out;
  out.scale = parameters.encoding.scale;
  out.weight_max = parameters.encoding.weight_max;
  out.weight_sum = sum[floats];
  if (out.weight_sum < sites || out.weight_sum > std::uint64_t{out.weight_max} * sites)
    return corruption("sum: the total weight " + std::to_string(out.weight_sum) + " is out of range");
  // A site's word is at most scale · delta_max · w / weight_max, plus a half from rounding. Without this bound a single
  // site that lies about its weight, and sends one large word, moves a coordinate of the mean by many times delta_max.
  const double share = static_cast<double>(out.weight_sum) / static_cast<double>(out.weight_max);
  const double delta_bound = out.scale * parameters.encoding.delta_max * share + static_cast<double>(sites);
  if (static_cast<double>(largest_magnitude(std::span(sum).first(floats))) > delta_bound)
    return corruption("sum: a word is out of range of the total weight " + std::to_string(out.weight_sum));
  const std::int64_t bound = word_bound(parameters.encoded_for()) * static_cast<std::int64_t>(sites);
  if (largest_magnitude(std::span(sum).subspan(floats)) > bound)
    return corruption("sum: a metric is out of range of " + std::to_string(sites) + " sites");
  for (std::size_t i = 0; i < model::kMetricCount; ++i)
    out.metric_sums[i] =
        static_cast<double>(std::bit_cast<std::int32_t>(sum[floats + 1 + i])) / parameters.encoding.metric_scale;
  out.sites = static_cast<std::uint32_t>(sites);
  sum.resize(floats);
  out.words = std::move(sum);
  return out;
}

}  // namespace fovea::federation::secagg

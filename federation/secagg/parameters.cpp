#include "federation/secagg/parameters.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/byte_fields.h"
#include "common/bytes.h"
#include "common/result.h"
#include "crypto/hash.h"
#include "federation/secagg/fixed_point.h"

namespace fovea::federation::secagg {
namespace {

constexpr std::uint32_t kDimensionMax = (std::uint32_t{1} << 26) + kTailWords;

Result<void> check_encoding(const Encoding& encoding, std::size_t sites) {
  const auto bound = static_cast<double>(word_bound(sites));
  if (encoding.weight_max == 0 || static_cast<double>(encoding.weight_max) > bound)
    return invalid_argument("parameters.weight_max: outside 1 to (2^31 - 1) / sites");
  if (!(encoding.scale * encoding.delta_max <= bound))
    return invalid_argument("parameters.scale: scale * delta_max exceeds (2^31 - 1) / sites, a sum could wrap");
  return {};
}

Result<void> check_graph(const RoundParameters& p) {
  const GraphParameters& graph = *p.graph;
  if (graph.roster_sites > messages::kCohortMax || p.candidates.back() >= graph.roster_sites)
    return invalid_argument("parameters.graph.roster_sites: at most " + std::to_string(messages::kCohortMax) +
                            ", and above every candidate");
  if (graph.neighbours < 2 || graph.neighbours % 2 != 0 || graph.neighbours >= graph.roster_sites)
    return invalid_argument("parameters.graph.neighbours: an even number from 2, below the roster's sites");
  if (p.thresholds.threshold > graph.neighbours || 2 * p.thresholds.threshold <= graph.neighbours)
    return invalid_argument("parameters.threshold: above half of the neighbours, and at most all");
  if (graph.survivors_min < 2 || graph.survivors_min > p.candidates.size())
    return invalid_argument("parameters.graph.survivors_min: from 2 to the number of candidates");
  return {};
}

Result<void> check_repeats(const RoundParameters& p) {
  const RepeatedSum& repeats = *p.repeats;
  if (repeats.released.round == 0 || repeats.released.round >= p.round || repeats.released.attempt == 0)
    return invalid_argument("parameters.repeats.released: an attempt of an earlier round");
  if (repeats.encoded_for <= p.candidates.size() || repeats.encoded_for > messages::kCohortMax)
    return invalid_argument("parameters.repeats.encoded_for: above the number of candidates, at most " +
                            std::to_string(messages::kCohortMax));
  return {};
}

Result<void> check_bounds(const RoundParameters& p) {
  const std::size_t sites = p.candidates.size();
  if (p.round == 0 || p.attempt == 0) return invalid_argument("parameters.round, attempt: count from 1");
  if (sites < 2) return invalid_argument("parameters.candidates: at least 2 sites");
  const Thresholds& t = p.thresholds;
  if (p.graph) FOVEA_TRY(check_graph(p));
  if (p.repeats) FOVEA_TRY(check_repeats(p));
  if (t.threshold < 2 || t.threshold > sites)
    return invalid_argument("parameters.threshold: outside 2 to the number of candidates");
  if (t.colluders_max >= p.signatures_min() || t.honest_min > p.signatures_min())
    return invalid_argument("parameters.colluders_max, honest_min: above the threshold");
  if (p.dimension <= kTailWords || p.dimension > kDimensionMax)
    return invalid_argument("parameters.dimension: out of bounds");
  FOVEA_TRY(check_encoding(p.encoding, p.encoded_for()));
  if (p.ring_bits != 32) return invalid_argument("parameters.ring_bits: expected 32");
  if (p.noise != 0 || p.noise_scale != 0) return invalid_argument("parameters.noise: unknown mechanism");
  if (p.phase_ms == 0) return invalid_argument("parameters.phase_ms: at least 1");
  return {};
}

}  // namespace

std::optional<messages::RefusalReason> check_thresholds(std::uint32_t sites, std::uint32_t threshold,
                                                        std::uint32_t colluders_max, std::uint32_t honest_min) {
  if (threshold > sites || threshold < threshold_min(sites, colluders_max))
    return messages::RefusalReason::threshold_too_low;
  if (threshold < colluders_max + honest_min) return messages::RefusalReason::honest_too_few;
  return std::nullopt;
}

template <class Fields>
void positive(Fields& f, std::string_view field, FieldsOf<Fields, double> value) {
  f.f64(field, value);
  f.require(std::isfinite(value) && value > 0, field, "must be finite and above 0");
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, RoundParameters> p) {
  f.array("parameters.run", p.run.bytes);
  f.u32("parameters.round", p.round);
  f.u32("parameters.attempt", p.attempt);
  f.array("parameters.previous_transcript", p.previous_transcript);
  f.array("parameters.plan_hash", p.plan_hash);
  f.array("parameters.model_hash", p.model_hash);
  f.array("parameters.roster_hash", p.roster_hash);
  messages::site_list(f, "parameters.candidates", p.candidates);
  f.require(p.candidates.size() >= 2, "parameters.candidates", "at least 2 sites");
  f.u16("parameters.colluders_max", p.thresholds.colluders_max);
  f.u16("parameters.threshold", p.thresholds.threshold);
  f.u16("parameters.honest_min", p.thresholds.honest_min);
  f.u32("parameters.dimension", p.dimension);
  f.u8("parameters.ring_bits", p.ring_bits);
  positive(f, "parameters.scale", p.encoding.scale);
  positive(f, "parameters.delta_max", p.encoding.delta_max);
  positive(f, "parameters.metric_scale", p.encoding.metric_scale);
  f.u32("parameters.weight_max", p.encoding.weight_max);
  f.u8("parameters.noise", p.noise);
  f.u64("parameters.noise_scale", p.noise_scale);
  f.u32("parameters.phase_ms", p.phase_ms);
  if (f.present(p.graph, p.candidates.size() > messages::kCompleteGraphMax)) {
    f.u16("parameters.graph.roster_sites", p.graph->roster_sites);
    f.u16("parameters.graph.neighbours", p.graph->neighbours);
    f.u16("parameters.graph.survivors_min", p.graph->survivors_min);
    f.array("parameters.graph.beacon", p.graph->beacon);
  }
  if (f.present(p.repeats, f.left() > 0)) {
    fields(f, p.repeats->released);
    f.u16("parameters.repeats.encoded_for", p.repeats->encoded_for);
  }
}

Bytes RoundParameters::encode() const { return encode_fields(*this); }

Result<RoundParameters> RoundParameters::decode(ByteView payload) {
  FOVEA_TRY_ASSIGN(RoundParameters out, decode_fields<RoundParameters>(payload, "parameters"));
  FOVEA_TRY(check_bounds(out));
  return out;
}

Digest RoundParameters::hash() const { return crypto::TaggedHash("FOVEA/1/parameters").add(encode()).finish(); }

}  // namespace fovea::federation::secagg

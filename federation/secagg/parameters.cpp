#include "federation/secagg/parameters.h"

#include <bit>
#include <cmath>

#include "crypto/hash.h"
#include "federation/secagg/fixed_point.h"

namespace fovea::federation {
namespace {

constexpr std::uint32_t kDimensionMax = (std::uint32_t{1} << 26) + kTailWords;

void write_double(ByteWriter& writer, double value) { writer.u64(std::bit_cast<std::uint64_t>(value)); }

Result<double> read_positive(ByteReader& reader, std::string_view field) {
  FOVEA_TRY_ASSIGN(const std::uint64_t bits, reader.u64(field));
  const double value = std::bit_cast<double>(bits);
  if (!std::isfinite(value) || !(value > 0))
    return invalid_argument(std::string(field) + ": must be finite and above 0");
  return value;
}

Result<Encoding> read_encoding(ByteReader& reader) {
  Encoding out;
  FOVEA_TRY_ASSIGN(out.scale, read_positive(reader, "parameters.scale"));
  FOVEA_TRY_ASSIGN(out.delta_max, read_positive(reader, "parameters.delta_max"));
  FOVEA_TRY_ASSIGN(out.metric_scale, read_positive(reader, "parameters.metric_scale"));
  FOVEA_TRY_ASSIGN(out.weight_max, reader.u32("parameters.weight_max"));
  return out;
}

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
  if (graph.roster_sites > kCohortMax || p.candidates.back() >= graph.roster_sites)
    return invalid_argument("parameters.graph.roster_sites: at most " + std::to_string(kCohortMax) +
                            ", and above every candidate");
  if (graph.neighbours < 2 || graph.neighbours % 2 != 0 || graph.neighbours >= graph.roster_sites)
    return invalid_argument("parameters.graph.neighbours: an even number from 2, below the roster's sites");
  if (p.thresholds.threshold > graph.neighbours || 2 * p.thresholds.threshold <= graph.neighbours)
    return invalid_argument("parameters.threshold: above half of the neighbours, and at most all");
  if (graph.survivors_min < 2 || graph.survivors_min > p.candidates.size())
    return invalid_argument("parameters.graph.survivors_min: from 2 to the number of candidates");
  return {};
}

Result<GraphParameters> read_graph(ByteReader& reader) {
  GraphParameters out;
  FOVEA_TRY_ASSIGN(out.roster_sites, reader.u16("parameters.graph.roster_sites"));
  FOVEA_TRY_ASSIGN(out.neighbours, reader.u16("parameters.graph.neighbours"));
  FOVEA_TRY_ASSIGN(out.survivors_min, reader.u16("parameters.graph.survivors_min"));
  FOVEA_TRY_ASSIGN(out.beacon, reader.array<32>("parameters.graph.beacon"));
  return out;
}

Result<RepeatedSum> read_repeats(ByteReader& reader) {
  RepeatedSum out;
  FOVEA_TRY_ASSIGN(out.released, read_attempt_ref(reader));
  FOVEA_TRY_ASSIGN(out.encoded_for, reader.u16("parameters.repeats.encoded_for"));
  return out;
}

Result<void> check_repeats(const RoundParameters& p) {
  const RepeatedSum& repeats = *p.repeats;
  if (repeats.released.round == 0 || repeats.released.round >= p.round || repeats.released.attempt == 0)
    return invalid_argument("parameters.repeats.released: an attempt of an earlier round");
  if (repeats.encoded_for <= p.candidates.size() || repeats.encoded_for > kCohortMax)
    return invalid_argument("parameters.repeats.encoded_for: above the number of candidates, at most " +
                            std::to_string(kCohortMax));
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

std::optional<RefusalReason> check_thresholds(std::uint32_t sites, std::uint32_t threshold, std::uint32_t colluders_max,
                                              std::uint32_t honest_min) {
  if (threshold > sites || threshold < threshold_min(sites, colluders_max)) return RefusalReason::threshold_too_low;
  if (threshold < colluders_max + honest_min) return RefusalReason::honest_too_few;
  return std::nullopt;
}

Bytes RoundParameters::encode() const {
  ByteWriter writer;
  writer.raw(run.bytes);
  writer.u32(round);
  writer.u32(attempt);
  writer.raw(previous_transcript);
  writer.raw(plan_hash);
  writer.raw(model_hash);
  writer.raw(roster_hash);
  write(writer, candidates);
  writer.u16(thresholds.colluders_max);
  writer.u16(thresholds.threshold);
  writer.u16(thresholds.honest_min);
  writer.u32(dimension);
  writer.u8(ring_bits);
  write_double(writer, encoding.scale);
  write_double(writer, encoding.delta_max);
  write_double(writer, encoding.metric_scale);
  writer.u32(encoding.weight_max);
  writer.u8(noise);
  writer.u64(noise_scale);
  writer.u32(phase_ms);
  if (graph) {
    writer.u16(graph->roster_sites);
    writer.u16(graph->neighbours);
    writer.u16(graph->survivors_min);
    writer.raw(graph->beacon);
  }
  if (repeats) {
    write(writer, repeats->released);
    writer.u16(repeats->encoded_for);
  }
  return std::move(writer).take();
}

Result<RoundParameters> RoundParameters::decode(ByteView payload) {
  ByteReader reader(payload);
  RoundParameters out;
  FOVEA_TRY_ASSIGN(out.run.bytes, reader.array<16>("parameters.run"));
  FOVEA_TRY_ASSIGN(out.round, reader.u32("parameters.round"));
  FOVEA_TRY_ASSIGN(out.attempt, reader.u32("parameters.attempt"));
  FOVEA_TRY_ASSIGN(out.previous_transcript, reader.array<32>("parameters.previous_transcript"));
  FOVEA_TRY_ASSIGN(out.plan_hash, reader.array<32>("parameters.plan_hash"));
  FOVEA_TRY_ASSIGN(out.model_hash, reader.array<32>("parameters.model_hash"));
  FOVEA_TRY_ASSIGN(out.roster_hash, reader.array<32>("parameters.roster_hash"));
  FOVEA_TRY_ASSIGN(out.candidates, read_sites(reader, "parameters.candidates"));
  if (out.candidates.size() < 2) return invalid_argument("parameters.candidates: at least 2 sites");
  FOVEA_TRY_ASSIGN(out.thresholds.colluders_max, reader.u16("parameters.colluders_max"));
  FOVEA_TRY_ASSIGN(out.thresholds.threshold, reader.u16("parameters.threshold"));
  FOVEA_TRY_ASSIGN(out.thresholds.honest_min, reader.u16("parameters.honest_min"));
  FOVEA_TRY_ASSIGN(out.dimension, reader.u32("parameters.dimension"));
  FOVEA_TRY_ASSIGN(out.ring_bits, reader.u8("parameters.ring_bits"));
  FOVEA_TRY_ASSIGN(out.encoding, read_encoding(reader));
  FOVEA_TRY_ASSIGN(out.noise, reader.u8("parameters.noise"));
  FOVEA_TRY_ASSIGN(out.noise_scale, reader.u64("parameters.noise_scale"));
  FOVEA_TRY_ASSIGN(out.phase_ms, reader.u32("parameters.phase_ms"));
  if (out.candidates.size() > kCompleteGraphMax) {
    FOVEA_TRY_ASSIGN(out.graph, read_graph(reader));
  }
  if (reader.left() > 0) {
    FOVEA_TRY_ASSIGN(out.repeats, read_repeats(reader));
  }
  FOVEA_TRY(reader.finish("parameters"));
  FOVEA_TRY(check_bounds(out));
  return out;
}

Digest RoundParameters::hash() const { return crypto::TaggedHash("FOVEA/1/parameters").add(encode()).finish(); }

}  // namespace fovea::federation

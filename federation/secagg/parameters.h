// R0: the public parameters P of one attempt, their hash H(P), and the rules every set of them must meet.
// H(P) is the salt of every key derivation and a field of every statement of the attempt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/bytes.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/messages/attempt_ref.h"
#include "federation/messages/refusal_reason.h"

namespace fovea::federation::secagg {

// Numbers of sites: how many may collude with the coordinator (m), how many must answer (t), and how many
// honest ones must be in every sum (h). Absolute, never shares of a cohort that the coordinator chooses.
struct Thresholds {
  std::uint16_t colluders_max = 0;  // m
  std::uint16_t threshold = 0;      // t
  std::uint16_t honest_min = 0;     // h
  bool operator==(const Thresholds&) const = default;
};

// The smallest t for n sites of which m collude: two sets of t sites share more than m.
constexpr std::uint32_t threshold_min(std::uint32_t sites, std::uint32_t colluders_max) {
  return (sites + colluders_max) / 2 + 1;
}

// The rules of one site: t ≥ threshold_min(n, m) and t ≤ n, t − m ≥ h. None when they hold.
std::optional<messages::RefusalReason> check_thresholds(std::uint32_t sites, std::uint32_t threshold,
                                                        std::uint32_t colluders_max, std::uint32_t honest_min);

// How floats become ring words (federation/secagg/fixed_point.h).
struct Encoding {
  double scale = 0;         // of w·Δ/w_max
  double delta_max = 0;     // clip bound of one coordinate
  double metric_scale = 0;  // of a metric sum
  std::uint32_t weight_max = 0;
  bool operator==(const Encoding&) const = default;
};

// Of a round with more than kCompleteGraphMax candidates: each site shares secrets and masks with its neighbours in the
// Harary graph over the whole roster, its positions shuffled by the roster's beacon. `thresholds.threshold` is then t
// of the k shares of each secret, and counts neighbours only.
struct GraphParameters {
  std::uint16_t roster_sites = 0;  // n, positions on the ring
  std::uint16_t neighbours = 0;    // k
  // s: the fewest sites in U1, U2 and U3, and that sign U3; at most n − s are assumed lost.
  std::uint16_t survivors_min = 0;
  Digest beacon{};  // federation/secagg/epoch_beacon.h
  bool operator==(const GraphParameters&) const = default;
};

// Of a round that repeats a sum: its shares were released, but a dealer whose fault is proven
// (federation/secagg/dealer_fault.h) kept it from being opened. The candidates are then exactly U3 of that attempt less
// such dealers, all of them have to be in U1, U2 and U3, and each sends the same ring words again: so what the two sums
// show together is what one of them shows.
struct RepeatedSum {
  messages::AttemptRef released;  // the attempt whose shares were released last
  // The sites that the encoding bounds a sum of: |U0| of the first attempt, more than the candidates.
  std::uint16_t encoded_for = 0;
  bool operator==(const RepeatedSum&) const = default;
};

// What a site asks of a graph that it did not choose: an honest site is exposed with probability at most 2^-40.
inline constexpr std::uint32_t kGraphSecurityBits = 40;
// A round has to be repeated with probability at most 2^-20.
inline constexpr std::uint32_t kGraphCorrectnessBits = 20;

inline constexpr std::size_t kParametersBytesMax = 4096;  // of an encoded P, where it lies in another record

struct RoundParameters {
  RunId run;
  RoundNumber round = 0;
  AttemptNumber attempt = 0;
  Digest previous_transcript{};  // zero in the first round
  Digest plan_hash{};
  Digest model_hash{};
  Digest roster_hash{};
  std::vector<RosterIndex> candidates;  // U0, strictly ascending
  Thresholds thresholds;
  std::uint32_t dimension = 0;  // ring words of a vector, canary included
  std::uint8_t ring_bits = 32;
  Encoding encoding;
  std::uint8_t noise = 0;                  // privacy mechanism: 0 none
  std::uint64_t noise_scale = 0;           // its parameter, 0 with none
  std::uint32_t phase_ms = 0;              // deadline of one phase
  std::optional<GraphParameters> graph{};  // none: the complete graph
  std::optional<RepeatedSum> repeats{};    // none: no shares were released on this model

  // The fewest sites in U1, U2 and U3; all candidates where a sum is repeated.
  std::uint32_t survivors_min() const noexcept {
    return repeats ? static_cast<std::uint32_t>(candidates.size()) : signatures_min();
  }
  // The fewest sites that sign the one statement over U3.
  std::uint32_t signatures_min() const noexcept { return graph ? graph->survivors_min : thresholds.threshold; }
  // n of the bound on each word (federation/secagg/fixed_point.h).
  std::size_t encoded_for() const noexcept { return repeats ? repeats->encoded_for : candidates.size(); }

  Bytes encode() const;
  // Strict; checks what holds for everybody: bounds, finite numbers, ascending candidates, ring_bits = 32,
  // scale · delta_max and weight_max within the bound of encoded_for() sites, a graph exactly above kCompleteGraphMax
  // candidates.
  static Result<RoundParameters> decode(ByteView payload);
  Digest hash() const;  // H(P)
  messages::AttemptRef ref() const { return {round, attempt, hash()}; }
  bool operator==(const RoundParameters&) const = default;
};

}  // namespace fovea::federation::secagg

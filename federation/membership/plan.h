// A plan: what is trained, how, and under which limits. Known by the SHA-256 of its exact bytes, which a person at each
// site approves; nothing is ever re-encoded. Example: configs/plan.json.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/ids.h"

namespace fovea::federation::membership {

inline constexpr std::size_t kPlanBytesMax = 64 * 1024;
inline constexpr std::uint32_t kPlanRoundsMax = 10'000;  // over all stages
inline constexpr std::uint32_t kPlanVersion = 2;         // 1 did not say how sites are weighted
// Below this many sites, whoever sees two sums soon sees two that differ by one site.
inline constexpr std::uint32_t kStudyWeightsCohortMin = 10;
// "One sum on a model" protects nobody where the next model is nearly the same one: a stage that moves weights by less
// in a sum is warned of.
inline constexpr double kStageMoveMin = 1e-5;

struct PlanFinding {
  std::string kind;      // a word of the federation's choice, for example "lesion"
  std::string modality;  // "MR", "CT" or "PET"
};

struct PlanLook {
  std::uint32_t regions = 0;  // K, at most 256
  double exploration = 0;     // share of the regions drawn at random, 0 to 1
  double nms_mm = 0;          // radius of non-maximum suppression
};

struct PlanStage {
  std::string name;
  std::uint32_t rounds = 0;
  std::vector<std::string> trains;  // prefixes of tensor names
  std::uint32_t local_steps = 0;
  double learning_rate = 0;
  double server_learning_rate = 0;  // the new model is old + this · the mean update

  // About how far one sum can move a weight: AdamW moves it by about learning_rate in a step.
  double largest_move(double delta_max) const noexcept;
};

// What a site counts for in a sum. Two sums over cohorts that differ by one site differ by its weight, which with
// `studies` is its exact number of studies (up to weight_max).
enum class SiteWeights { equal, studies };
std::string_view to_string(SiteWeights weights) noexcept;
// What each tells about one site, as people are shown it before they approve, and in the auditor's report.
std::string_view meaning(SiteWeights weights) noexcept;

struct PlanStrategy {
  std::string name;  // "fedavg"
  SiteWeights weights = SiteWeights::equal;
  std::uint32_t weight_max = 0;  // the most studies that count for one site in a round; 1 with equal weights
  double delta_max = 0;          // clip bound of one coordinate of an update
};

struct PlanCohort {
  std::uint32_t smallest = 0;  // sites that must be ready for a round to start
  std::uint32_t largest = 0;
};

struct PlanSecureAggregation {
  std::uint32_t colluders_max = 0;  // m
  std::uint32_t threshold = 0;      // t
  std::uint32_t honest_min = 0;     // h
};

// A site's masked vector is on its way while so much of it comes within `phase_s`, though no chunk of it is whole yet.
inline constexpr std::uint64_t kVectorProgressBytes = 128 * 1024;

struct PlanDeadlines {
  std::uint32_t progress_s = 0;  // a training site without progress for this long is left out
  std::uint32_t phase_s = 0;     // one phase of the secure aggregation without progress

  // In kbit/s, upwards: a site behind a slower one is left out of every sum.
  std::uint64_t slowest_link() const noexcept { return kVectorProgressBytes * 8 / 1000 / phase_s + 1; }
};

// "0.21 Mbit/s"
std::string link_text(std::uint64_t kbit_s);

// Where a round lies in the plan.
struct PlanPosition {
  std::size_t stage_index = 0;
  std::uint32_t stage_round = 0;  // from 1
};

struct Plan {
  Digest hash{};  // SHA-256 of the exact bytes
  std::string name;
  PlanFinding finding;
  std::string normalisation;  // "mr-foreground", "ct-soft-tissue", "ct-lung", "ct-brain" or "pet-suv"
  bool n4 = false;            // every site's MR is divided by its bias field at intake; else none is
  PlanLook look;
  std::string architecture;                 // "fovea-1" or "probe-N"
  std::optional<std::uint32_t> probe_size;  // N of "probe-N": one tensor of N floats and no learning
  std::uint64_t seed = 0;                   // at most 2^53 - 1: JSON numbers survive every reader
  std::vector<PlanStage> stages;
  PlanStrategy strategy;
  PlanCohort cohort;
  PlanSecureAggregation secure_aggregation;
  std::string privacy_mechanism;  // "none"; there is no default
  PlanDeadlines deadlines;

  // invalid_argument names the field, its bounds and what to do. Rules that span fields are checked too:
  // cohort.smallest ≥ t, t − m ≥ h, t ≥ ⌊(cohort.smallest + m) / 2⌋ + 1.
  static Result<Plan> parse(ByteView exact_bytes);

  std::uint32_t rounds_total() const noexcept;
  // What whoever approves the plan should know beforehand; empty where there is nothing.
  std::string warning() const;
  // not_found outside 1..rounds_total().
  Result<PlanPosition> position(RoundNumber round) const;
};

// The seed of the training towards a plan's `sum`-th sum, from 1. A function of the plan, so that a coordinator cannot
// look for a seed that serves it; and of the position, so that a round that is tried again needs no new training.
std::uint64_t training_seed(const Digest& plan, std::uint32_t sum);

}  // namespace fovea::federation::membership

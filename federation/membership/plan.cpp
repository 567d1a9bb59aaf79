#include "federation/membership/plan.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/json_fields.h"
#include "common/numbers.h"
#include "crypto/hash.h"

namespace fovea::federation::membership {
namespace {

constexpr std::uint64_t kSeedMax = (std::uint64_t{1} << 53U) - 1;
constexpr std::uint32_t kSitesMax = 1024;  // of a roster
constexpr std::uint32_t kProbeSizeMax = 1U << 26U;
constexpr std::string_view kProbePrefix = "probe-";

std::string short_text(double value) {
  std::array<char, 32> buffer{};
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::general, 3).ptr;
  return std::string(buffer.data(), end);
}

Result<PlanFinding> read_finding(JsonFields fields) {
  PlanFinding out;
  FOVEA_TRY_ASSIGN(out.kind, fields.line("kind", 1, 64));
  FOVEA_TRY_ASSIGN(out.modality, fields.choice("modality", {"MR", "CT", "PET"}));
  FOVEA_TRY(fields.finish());
  return out;
}

Result<PlanLook> read_look(JsonFields fields) {
  PlanLook out;
  FOVEA_TRY_ASSIGN(out.regions, fields.integer32("regions", 1, 256));
  FOVEA_TRY_ASSIGN(out.exploration, fields.number("exploration", 0, 1));
  FOVEA_TRY_ASSIGN(out.nms_mm, fields.number("nms_mm", 0, 200));
  FOVEA_TRY(fields.finish());
  return out;
}

Result<PlanStage> read_stage(JsonFields fields) {
  PlanStage out;
  FOVEA_TRY_ASSIGN(out.name, fields.line("name", 1, 40));
  FOVEA_TRY_ASSIGN(out.rounds, fields.integer32("rounds", 1, kPlanRoundsMax));
  FOVEA_TRY_ASSIGN(out.trains, fields.texts("trains", 1, 32, 120));
  FOVEA_TRY_ASSIGN(out.local_steps, fields.integer32("local_steps", 1, 1'000'000));
  FOVEA_TRY_ASSIGN(out.learning_rate, fields.number("learning_rate", 1e-9, 100));
  FOVEA_TRY_ASSIGN(out.server_learning_rate, fields.number("server_learning_rate", 1e-3, 10));
  FOVEA_TRY(fields.finish());
  return out;
}

Result<std::vector<PlanStage>> read_stages(JsonFields& plan) {
  FOVEA_TRY_ASSIGN(std::vector<JsonFields> objects, plan.objects("stages", 1, 32));
  std::vector<PlanStage> out;
  std::set<std::string> names;
  std::uint64_t rounds = 0;
  for (JsonFields& object : objects) {
    const std::string path = object.path_of("name");
    FOVEA_TRY_ASSIGN(PlanStage stage, read_stage(std::move(object)));
    if (!names.insert(stage.name).second)
      return invalid_argument(path + ": occurs twice; give each stage its own name");
    rounds += stage.rounds;
    out.push_back(std::move(stage));
  }
  if (rounds > kPlanRoundsMax)
    return invalid_argument(plan.path_of("stages") + ": " + std::to_string(rounds) + " rounds together are above " +
                            std::to_string(kPlanRoundsMax));
  return out;
}

Result<PlanStrategy> read_strategy(JsonFields fields) {
  PlanStrategy out;
  FOVEA_TRY_ASSIGN(out.name, fields.choice("name", {"fedavg"}));
  FOVEA_TRY_ASSIGN(const std::string weights, fields.choice("weights", {"equal", "studies"}));
  if (weights == "equal") {
    if (fields.has("weight_max"))
      return invalid_argument(
          fields.path_of("weight_max") +
          ": is for \"weights\": \"studies\"; with \"equal\" every site's weight is 1: leave it out");
    out.weights = SiteWeights::equal;
    out.weight_max = 1;
  } else {
    out.weights = SiteWeights::studies;
    FOVEA_TRY_ASSIGN(out.weight_max, fields.integer32("weight_max", 1, 1'000'000));
  }
  FOVEA_TRY_ASSIGN(out.delta_max, fields.number("delta_max", 1e-6, 1000));
  FOVEA_TRY(fields.finish());
  return out;
}

Result<PlanCohort> read_cohort(JsonFields fields) {
  PlanCohort out;
  FOVEA_TRY_ASSIGN(out.smallest, fields.integer32("smallest", 2, kSitesMax));
  FOVEA_TRY_ASSIGN(out.largest, fields.integer32("largest", 2, kSitesMax));
  if (out.largest < out.smallest)
    return invalid_argument(fields.path_of("largest") + ": expected at least cohort.smallest = " +
                            std::to_string(out.smallest) + ", found " + std::to_string(out.largest));
  FOVEA_TRY(fields.finish());
  return out;
}

Result<PlanSecureAggregation> read_secure_aggregation(JsonFields fields, const PlanCohort& cohort) {
  PlanSecureAggregation out;
  FOVEA_TRY_ASSIGN(out.colluders_max, fields.integer32("colluders_max", 0, kSitesMax - 1));
  FOVEA_TRY_ASSIGN(out.threshold, fields.integer32("threshold", 2, kSitesMax));
  FOVEA_TRY_ASSIGN(out.honest_min, fields.integer32("honest_min", 1, kSitesMax));
  FOVEA_TRY(fields.finish());
  // Bonawitz et al. 2017, section 6: two different survivor sets must not both reach t.
  const std::uint32_t threshold_min = (cohort.smallest + out.colluders_max) / 2 + 1;
  if (out.threshold < threshold_min || out.threshold > cohort.smallest)
    return invalid_argument(fields.path_of("threshold") + ": expected " + std::to_string(threshold_min) + " to " +
                            std::to_string(cohort.smallest) +
                            " (more than half of cohort.smallest plus colluders_max, "
                            "and at most cohort.smallest), found " +
                            std::to_string(out.threshold));
  if (out.threshold < out.colluders_max + out.honest_min)
    return invalid_argument(fields.path_of("honest_min") + ": threshold - colluders_max = " +
                            std::to_string(static_cast<std::int64_t>(out.threshold) - out.colluders_max) +
                            " honest sites are fewer than honest_min = " + std::to_string(out.honest_min) +
                            "; raise threshold or lower honest_min");
  return out;
}

Result<PlanDeadlines> read_deadlines(JsonFields fields) {
  PlanDeadlines out;
  FOVEA_TRY_ASSIGN(out.progress_s, fields.integer32("progress_s", 1, 86'400));
  FOVEA_TRY_ASSIGN(out.phase_s, fields.integer32("phase_s", 1, 3'600));
  FOVEA_TRY(fields.finish());
  return out;
}

Result<void> read_architecture(JsonFields& fields, Plan& plan) {
  FOVEA_TRY_ASSIGN(plan.architecture, fields.line("architecture", 1, 40));
  if (plan.architecture == "fovea-1") return {};
  std::string_view digits = plan.architecture;
  if (digits.starts_with(kProbePrefix)) {
    digits.remove_prefix(kProbePrefix.size());
    const auto size = read_whole<std::uint32_t>(digits);
    if (size && digits.front() != '0' && *size <= kProbeSizeMax) {
      plan.probe_size = *size;
      return {};
    }
  }
  return invalid_argument(fields.path_of("architecture") + ": expected \"fovea-1\" or \"probe-N\" with N from 1 to " +
                          std::to_string(kProbeSizeMax));
}

// The stage "intensity" measures and trains nothing: its mean is right only if the stage comes first, runs once, trains
// no other tensor and is not scaled.
Result<void> check_intensity_stage(const JsonFields& fields, const Plan& plan) {
  constexpr std::string_view kTensors = "intensity.";
  for (std::size_t s = 0; s < plan.stages.size(); ++s) {
    const PlanStage& stage = plan.stages[s];
    const std::string path = fields.path_of("stages") + "[" + std::to_string(s) + "]";
    const bool touches = std::any_of(stage.trains.begin(), stage.trains.end(), [&](const std::string& prefix) {
      return kTensors.starts_with(prefix) || prefix.starts_with(kTensors);
    });
    if (stage.name != "intensity") {
      if (touches)
        return invalid_argument(path +
                                ".trains: \"intensity.\" is not trained but measured, by a stage named \"intensity\"");
      continue;
    }
    if (stage.trains != std::vector<std::string>{std::string(kTensors)})
      return invalid_argument(path + ".trains: expected [\"intensity.\"] for the stage \"intensity\"");
    if (s != 0 || stage.rounds != 1)
      return invalid_argument(path + ": the stage \"intensity\" comes first and has 1 round");
    if (stage.server_learning_rate != 1)
      return invalid_argument(
          path + ".server_learning_rate: expected 1 for the stage \"intensity\", whose mean is not scaled");
    if (plan.strategy.delta_max < 0.5)
      return invalid_argument(
          fields.path_of("strategy") +
          ".delta_max: expected at least 0.5 with a stage \"intensity\", whose values can be as large");
    if (!plan.normalisation.starts_with("ct-"))
      return invalid_argument(path + ": the stage \"intensity\" is for CT; " + plan.normalisation +
                              " has a scale of its own in each scan or unit");
  }
  return {};
}

Result<void> check_version(JsonFields& fields) {
  FOVEA_TRY_ASSIGN(const std::uint64_t version, fields.integer("fovea_plan", 1, kSeedMax));
  if (version == kPlanVersion) return {};
  return invalid_argument(fields.path_of("fovea_plan") + ": expected " + std::to_string(kPlanVersion) + ", found " +
                          std::to_string(version) +
                          (version < kPlanVersion ? "; plans of that format did not say how sites are weighted: write "
                                                    "a new one with fovea-coordinator plan new"
                                                  : "; this program is older than the plan: update it"));
}

Result<void> read_fields(JsonFields& fields, Plan& plan) {
  FOVEA_TRY(check_version(fields));
  FOVEA_TRY_ASSIGN(plan.name, fields.line("name", 1, 80));
  FOVEA_TRY_ASSIGN(JsonFields finding, fields.object("finding"));
  FOVEA_TRY_ASSIGN(plan.finding, read_finding(std::move(finding)));
  FOVEA_TRY_ASSIGN(JsonFields intake, fields.object("intake"));
  FOVEA_TRY_ASSIGN(plan.normalisation, intake.choice("normalisation", {"mr-foreground", "ct-soft-tissue", "ct-lung",
                                                                       "ct-brain", "pet-suv"}));
  FOVEA_TRY_ASSIGN(plan.n4, intake.boolean("n4"));
  if (plan.n4 && plan.normalisation != "mr-foreground")
    return invalid_argument(
        intake.path_of("n4") +
        ": true is for MR (intake.normalisation \"mr-foreground\"); CT and PET have no bias field, say false");
  FOVEA_TRY(intake.finish());
  FOVEA_TRY_ASSIGN(JsonFields look, fields.object("look"));
  FOVEA_TRY_ASSIGN(plan.look, read_look(std::move(look)));
  FOVEA_TRY(read_architecture(fields, plan));
  FOVEA_TRY_ASSIGN(plan.seed, fields.integer("seed", 0, kSeedMax));
  FOVEA_TRY_ASSIGN(plan.stages, read_stages(fields));
  FOVEA_TRY_ASSIGN(JsonFields strategy, fields.object("strategy"));
  FOVEA_TRY_ASSIGN(plan.strategy, read_strategy(std::move(strategy)));
  FOVEA_TRY_ASSIGN(JsonFields cohort, fields.object("cohort"));
  FOVEA_TRY_ASSIGN(plan.cohort, read_cohort(std::move(cohort)));
  FOVEA_TRY_ASSIGN(JsonFields secure_aggregation, fields.object("secure_aggregation"));
  FOVEA_TRY_ASSIGN(plan.secure_aggregation, read_secure_aggregation(std::move(secure_aggregation), plan.cohort));
  FOVEA_TRY_ASSIGN(JsonFields privacy, fields.object("privacy"));
  FOVEA_TRY_ASSIGN(plan.privacy_mechanism, privacy.choice("mechanism", {"none"}));
  FOVEA_TRY(privacy.finish());
  FOVEA_TRY_ASSIGN(JsonFields deadlines, fields.object("deadlines"));
  FOVEA_TRY_ASSIGN(plan.deadlines, read_deadlines(std::move(deadlines)));
  FOVEA_TRY(check_intensity_stage(fields, plan));
  return fields.finish();
}

}  // namespace

Result<Plan> Plan::parse(ByteView exact_bytes) {
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(exact_bytes, "plan", kPlanBytesMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, "plan"));
  Plan plan;
  FOVEA_TRY(read_fields(fields, plan));
  plan.hash = crypto::sha256(exact_bytes);
  return plan;
}

std::string link_text(std::uint64_t kbit_s) {
  const std::uint64_t hundredths = kbit_s / 10 % 100;
  return std::to_string(kbit_s / 1000) + (hundredths < 10 ? ".0" : ".") + std::to_string(hundredths) + " Mbit/s";
}

std::string_view to_string(SiteWeights weights) noexcept {
  switch (weights) {
    case SiteWeights::equal: return "equal";
    case SiteWeights::studies: return "studies";
  }
  return "unknown";
}

std::string_view meaning(SiteWeights weights) noexcept {
  switch (weights) {
    case SiteWeights::equal: return "every site counts the same, and no number of studies or findings is in a sum";
    case SiteWeights::studies:
      return "a site counts by its number of studies: two sums over cohorts that differ by one site show that site's "
             "exact number of studies, and how many findings its held-back studies have";
  }
  return "unknown";
}

std::string Plan::warning() const {
  std::string out;
  if (strategy.weights == SiteWeights::studies && cohort.smallest < kStudyWeightsCohortMin)
    out = "strategy.weights: \"studies\" with cohort.smallest = " + std::to_string(cohort.smallest) + ", below " +
          std::to_string(kStudyWeightsCohortMin) + ": " + std::string(meaning(strategy.weights)) +
          "; \"equal\" shows neither";
  std::string still;
  for (std::size_t s = 0; s < stages.size(); ++s)
    if (const double move = stages[s].largest_move(strategy.delta_max); move < kStageMoveMin)
      still += (still.empty() ? "stages[" : ", stages[") + std::to_string(s) + "] (" + short_text(move) + ")";
  if (still.empty()) return out;
  return out + (out.empty() ? "" : "; ") + still +
         ": a sum moves no weight by more than about that (server_learning_rate times the smaller of "
         "strategy.delta_max and local_steps times learning_rate), below " +
         short_text(kStageMoveMin) +
         ": two sums on models that hardly differ, over cohorts that differ by one site, show nearly that site's own "
         "update; raise the rates";
}

double PlanStage::largest_move(double delta_max) const noexcept {
  return server_learning_rate * std::min(delta_max, local_steps * learning_rate);
}

std::uint32_t Plan::rounds_total() const noexcept {
  std::uint32_t total = 0;
  for (const PlanStage& stage : stages) total += stage.rounds;
  return total;
}

Result<PlanPosition> Plan::position(RoundNumber round) const {
  std::uint32_t left = round;
  for (std::size_t i = 0; i < stages.size() && left > 0; ++i) {
    if (left <= stages[i].rounds) return PlanPosition{i, left};
    left -= stages[i].rounds;
  }
  return not_found("round " + std::to_string(round) + ": the plan has rounds 1 to " + std::to_string(rounds_total()));
}

std::uint64_t training_seed(const Digest& plan, std::uint32_t sum) {
  const Digest digest = crypto::TaggedHash("FOVEA/2/training-seed").add(plan).add_u64(sum).finish();
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < 8; ++i) out |= static_cast<std::uint64_t>(digest[i]) << (8 * i);
  return out;
}

}  // namespace fovea::federation::membership

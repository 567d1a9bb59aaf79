#include "federation/model/model_use.h"

#include <array>
#include <charconv>
#include <optional>
#include <string_view>
#include <type_traits>

#include "common/bytes.h"
#include "common/check.h"
#include "common/numbers.h"
#include "common/result.h"

namespace fovea::federation::model {
namespace {

constexpr std::string_view kFinding = "fovea.finding", kModality = "fovea.modality",
                           kNormalisation = "fovea.normalisation", kN4 = "fovea.n4", kRegions = "fovea.look.regions",
                           kExploration = "fovea.look.exploration", kNms = "fovea.look.nms_mm", kSeed = "fovea.seed",
                           kPlan = "fovea.plan";

template <class Number>
std::string written(Number number) {
  std::array<char, 64> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), number);
  FOVEA_CHECK(error == std::errc{});
  return {text.data(), end};
}

Result<std::string> text_of(const ModelMetadata& metadata, std::string_view key) {
  const auto found = metadata.find(std::string(key));
  if (found == metadata.end())
    return invalid_argument("model metadata: " + std::string(key) +
                            " is missing; export the model with fovea-coordinator model export");
  return found->second;
}

template <class Number>
Result<Number> number_of(const ModelMetadata& metadata, std::string_view key, Number low, Number high) {
  FOVEA_TRY_ASSIGN(const std::string text, text_of(metadata, key));
  std::optional<Number> number;
  if constexpr (std::is_integral_v<Number>) number = read_whole<Number>(text);
  else number = read_decimal(text);
  if (!number || !(*number >= low && *number <= high))
    return invalid_argument("model metadata: " + std::string(key) + " must be a number from " + written(low) + " to " +
                            written(high));
  return *number;
}

}  // namespace

ModelUse model_use_of(const membership::Plan& plan) {
  return {.finding_kind = plan.finding.kind,
          .modality = plan.finding.modality,
          .normalisation = plan.normalisation,
          .n4 = plan.n4,
          .regions = plan.look.regions,
          .exploration = plan.look.exploration,
          .nms_mm = plan.look.nms_mm,
          .seed = plan.seed,
          .plan_hash = to_hex(plan.hash)};
}

ModelMetadata to_metadata(const ModelUse& use) {
  return {{std::string(kFinding), use.finding_kind},
          {std::string(kModality), use.modality},
          {std::string(kNormalisation), use.normalisation},
          {std::string(kN4), use.n4 ? "true" : "false"},
          {std::string(kRegions), written(use.regions)},
          {std::string(kExploration), written(use.exploration)},
          {std::string(kNms), written(use.nms_mm)},
          {std::string(kSeed), written(use.seed)},
          {std::string(kPlan), use.plan_hash}};
}

Result<ModelUse> read_model_use(const ModelMetadata& metadata) {
  ModelUse use;
  FOVEA_TRY_ASSIGN(use.finding_kind, text_of(metadata, kFinding));
  FOVEA_TRY_ASSIGN(use.modality, text_of(metadata, kModality));
  FOVEA_TRY_ASSIGN(use.normalisation, text_of(metadata, kNormalisation));
  FOVEA_TRY_ASSIGN(const std::string n4, text_of(metadata, kN4));
  if (n4 != "true" && n4 != "false")
    return invalid_argument("model metadata: " + std::string(kN4) + " must be true or false");
  use.n4 = n4 == "true";
  FOVEA_TRY_ASSIGN(use.regions, number_of<std::uint32_t>(metadata, kRegions, 1, 256));
  FOVEA_TRY_ASSIGN(use.exploration, number_of<double>(metadata, kExploration, 0, 1));
  FOVEA_TRY_ASSIGN(use.nms_mm, number_of<double>(metadata, kNms, 0.1, 1000));
  FOVEA_TRY_ASSIGN(use.seed, number_of<std::uint64_t>(metadata, kSeed, 0, ~std::uint64_t{0}));
  FOVEA_TRY_ASSIGN(use.plan_hash, text_of(metadata, kPlan));
  return use;
}

}  // namespace fovea::federation::model

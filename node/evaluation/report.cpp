#include "node/evaluation/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace fovea::node::evaluation {
namespace {

using nlohmann::json;

constexpr std::uint32_t kDraws = 1000;
constexpr std::array kGroups{SizeGroup::under_6_mm, SizeGroup::from_6_to_10_mm, SizeGroup::above_10_mm};

json number(const std::optional<double>& value) { return value ? json(std::round(*value * 1e4) / 1e4) : json(nullptr); }

json interval_of(std::span<const StudyResult> studies, const Figure& figure, std::uint64_t seed) {
  const std::optional<Interval> interval = patient_interval(studies, figure, kDraws, seed);
  return interval ? json{{"low", number(interval->low)}, {"high", number(interval->high)}} : json(nullptr);
}

std::optional<double> recall_at_32(std::span<const StudyResult> studies) { return recall_at(studies, 32).value(); }

double mean_of(std::span<const StudyResult> studies, double StudyResult::*member) {
  double sum = 0;
  for (const StudyResult& study : studies) sum += study.*member;
  return studies.empty() ? 0 : sum / static_cast<double>(studies.size());
}

json notes_of(std::span<const StudyResult> studies) {
  json notes = json::array();
  if (!study_auc(studies)) notes.push_back("no study AUC: all labelled studies have the same label, or none has one");
  const auto unknown =
      std::count_if(studies.begin(), studies.end(), [](const StudyResult& study) { return !study.findings_known; });
  if (unknown > 0)
    notes.push_back(std::to_string(unknown) + " studies have no mask: their findings are unknown and not counted");
  return notes;
}

json row_of(const StudyResult& study) {
  json findings = json::array();
  for (const FindingResult& finding : study.findings)
    findings.push_back({{"diameter_mm", std::round(finding.diameter_mm * 10) / 10},
                        {"rank", finding.rank ? json(*finding.rank) : json(nullptr)},
                        {"rank_reordered", finding.rank_reordered ? json(*finding.rank_reordered) : json(nullptr)}});
  json regions = json::array();
  for (const RegionResult& region : study.regions) regions.push_back({number(region.logit), region.finding});
  return {{"study", study.code},
          {"patient", study.patient_code},
          {"label", study.label ? json(*study.label) : json(nullptr)},
          {"score", number(1 / (1 + std::exp(-study.logit)))},
          {"logit", number(study.logit)},
          {"findings_known", study.findings_known},
          {"findings", std::move(findings)},
          {"regions", std::move(regions)},
          {"voxels_read_fraction", number(study.fraction_read)},
          {"seconds", number(study.seconds)}};
}

std::string shown(const std::optional<double>& value) {
  if (!value) return "–";
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", *value);
  return text;
}

}  // namespace

json summary_json(std::span<const StudyResult> studies, std::uint64_t seed) {
  json out;
  out["studies"] = studies.size();
  out["labelled"] =
      std::count_if(studies.begin(), studies.end(), [](const StudyResult& study) { return study.label.has_value(); });
  out["auc"] = number(study_auc(studies));
  out["auc_interval"] = interval_of(studies, study_auc, seed);
  out["region_auc"] = number(region_auc(studies));
  out["region_auc_interval"] = interval_of(studies, region_auc, seed);
  json at = json::object(), reordered = json::object(), by_size = json::object();
  for (const std::uint32_t rank : kRecallRanks) {
    at[std::to_string(rank)] = number(recall_at(studies, rank).value());
    reordered[std::to_string(rank)] = number(reordered_recall_at(studies, rank).value());
  }
  for (const SizeGroup group : kGroups) {
    const RecallCount count = recall_at(studies, 32, group);
    by_size[std::string(to_string(group))] = {{"recall", number(count.value())}, {"findings", count.findings}};
  }
  out["recall_at"] = std::move(at);
  out["recall_at_32_interval"] = interval_of(studies, recall_at_32, seed);
  out["recall_at_32_by_size"] = std::move(by_size);
  out["recall_reordered_at"] = std::move(reordered);
  out["voxels_read_fraction"] = number(mean_of(studies, &StudyResult::fraction_read));
  out["seconds_a_study"] = number(mean_of(studies, &StudyResult::seconds));
  out["notes"] = notes_of(studies);
  return out;
}

json report_json(std::span<const StudyResult> studies, std::uint64_t seed) {
  json out = summary_json(studies, seed);
  out["rows"] = json::array();
  for (const StudyResult& study : studies) out["rows"].push_back(row_of(study));
  return out;
}

std::string summary_text(std::span<const StudyResult> studies, std::uint64_t seed) {
  std::string out = std::to_string(studies.size()) + " studies\n";
  out += "  study AUC                ";
  if (const auto auc = study_auc(studies)) {
    const auto interval = patient_interval(studies, study_auc, kDraws, seed);
    out += shown(auc);
    if (interval) out += "  (95 %: " + shown(interval->low) + "–" + shown(interval->high) + ", patients resampled)";
  } else {
    out += "– (every labelled study has the same label, or none has one)";
  }
  out += "\n  region score AUC         " + shown(region_auc(studies));
  out += "\n  recall at 8 / 16 / 32    ";
  for (const std::uint32_t rank : kRecallRanks)
    out += shown(recall_at(studies, rank).value()) + (rank == 32 ? "" : " / ");
  out += "\n  at 32, < 6 / 6–10 / > 10 mm  ";
  for (const SizeGroup group : kGroups) {
    const RecallCount count = recall_at(studies, 32, group);
    out +=
        shown(count.value()) + " of " + std::to_string(count.findings) + (group == SizeGroup::above_10_mm ? "" : " / ");
  }
  out += "\n  full-resolution voxels read  " + shown(mean_of(studies, &StudyResult::fraction_read)) + "\n";
  return out;
}

}  // namespace fovea::node::evaluation

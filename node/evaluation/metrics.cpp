#include "node/evaluation/metrics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "node/network/random_draws.h"

namespace fovea::node::evaluation {

std::optional<double> area_under_curve(std::span<const ScoredLabel> items) {
  std::vector<ScoredLabel> sorted(items.begin(), items.end());
  std::sort(sorted.begin(), sorted.end(), [](const ScoredLabel& a, const ScoredLabel& b) { return a.score < b.score; });
  double rank_sum = 0;  // of the positives; ties share their mean rank
  std::size_t positives = 0;
  for (std::size_t begin = 0; begin < sorted.size();) {
    std::size_t end = begin;
    while (end < sorted.size() && !(sorted[begin].score < sorted[end].score)) ++end;
    const double mean_rank = static_cast<double>(begin + end + 1) / 2;
    for (std::size_t i = begin; i < end; ++i) {
      if (sorted[i].label == 0) continue;
      rank_sum += mean_rank;
      ++positives;
    }
    begin = end;
  }
  const std::size_t negatives = sorted.size() - positives;
  if (positives == 0 || negatives == 0) return std::nullopt;
  const auto count = static_cast<double>(positives);
  return (rank_sum - count * (count + 1) / 2) / (count * static_cast<double>(negatives));
}

SizeGroup size_group(double diameter_mm) noexcept {
  if (diameter_mm < 6) return SizeGroup::under_6_mm;
  return diameter_mm <= 10 ? SizeGroup::from_6_to_10_mm : SizeGroup::above_10_mm;
}

std::string_view to_string(SizeGroup group) noexcept {
  switch (group) {
    case SizeGroup::under_6_mm: return "under_6_mm";
    case SizeGroup::from_6_to_10_mm: return "from_6_to_10_mm";
    case SizeGroup::above_10_mm: return "above_10_mm";
  }
  return "";
}

namespace {

using Rank = std::optional<std::uint32_t>;

RecallCount count_hits(std::span<const StudyResult> studies, std::uint32_t rank, Rank FindingResult::*order,
                       std::optional<SizeGroup> group) {
  RecallCount count;
  for (const StudyResult& study : studies)
    for (const FindingResult& finding : study.findings) {
      if (group && size_group(finding.diameter_mm) != *group) continue;
      ++count.findings;
      if (finding.*order && *(finding.*order) <= rank) ++count.hits;
    }
  return count;
}

}  // namespace

RecallCount recall_at(std::span<const StudyResult> studies, std::uint32_t rank, std::optional<SizeGroup> group) {
  return count_hits(studies, rank, &FindingResult::rank, group);
}

RecallCount reordered_recall_at(std::span<const StudyResult> studies, std::uint32_t rank) {
  return count_hits(studies, rank, &FindingResult::rank_reordered, std::nullopt);
}

std::optional<double> study_auc(std::span<const StudyResult> studies) {
  std::vector<ScoredLabel> items;
  for (const StudyResult& study : studies)
    if (study.label) items.push_back({study.logit, *study.label});
  return area_under_curve(items);
}

std::optional<double> region_auc(std::span<const StudyResult> studies) {
  std::vector<ScoredLabel> items;
  for (const StudyResult& study : studies)
    for (const RegionResult& region : study.regions) items.push_back({region.logit, region.finding ? 1 : 0});
  return area_under_curve(items);
}

std::optional<Interval> patient_interval(std::span<const StudyResult> studies, const Figure& figure,
                                         std::uint32_t draws, std::uint64_t seed) {
  std::map<std::string, std::vector<const StudyResult*>> by_patient;
  for (const StudyResult& study : studies) by_patient[study.patient_code].push_back(&study);
  std::vector<const std::vector<const StudyResult*>*> patients;
  for (const auto& [code, own] : by_patient) patients.push_back(&own);
  if (patients.empty() || draws == 0) return std::nullopt;

  network::RandomDraws random(seed);
  std::vector<double> values;
  std::vector<StudyResult> sample;
  for (std::uint32_t draw = 0; draw < draws; ++draw) {
    sample.clear();
    for (std::size_t n = 0; n < patients.size(); ++n)
      for (const StudyResult* study : *patients[random.below(patients.size())]) sample.push_back(*study);
    if (const auto value = figure(sample)) values.push_back(*value);
  }
  if (2 * values.size() < draws) return std::nullopt;
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<std::size_t>(std::lround(share * static_cast<double>(values.size() - 1)))];
  };
  return Interval{at(0.025), at(0.975)};
}

}  // namespace fovea::node::evaluation

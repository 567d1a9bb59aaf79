// Figures of merit, without torch: area under the ROC curve, finding recall by rank and size, and intervals
// by resampling patients.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fovea::node::evaluation {

inline constexpr std::array<std::uint32_t, 3> kRecallRanks{8, 16, 32};

// Whether, and how early, a finding was hit.
struct FindingResult {
  double diameter_mm = 0;
  std::optional<std::uint32_t> rank;            // of the first region looked at that hit it, from 1
  std::optional<std::uint32_t> rank_reordered;  // the same after the region head ordered the regions
};

// A region that was looked at.
struct RegionResult {
  double logit = 0;      // the region head's
  bool finding = false;  // it hits one
};

struct StudyResult {
  std::string code;  // this and the next: codes under the site's key, no names
  std::string patient_code;
  std::optional<int> label;
  double logit = 0;  // the study score is its logistic
  bool findings_known = false;
  std::vector<FindingResult> findings;
  std::vector<RegionResult> regions;  // empty where findings are unknown
  double fraction_read = 0;
  double seconds = 0;
};

struct ScoredLabel {
  double score = 0;
  int label = 0;
};

// The chance that a positive scores above a negative, ties counting half (Mann and Whitney 1947).
// Nothing if a class is missing.
std::optional<double> area_under_curve(std::span<const ScoredLabel> items);

enum class SizeGroup : std::size_t { under_6_mm = 0, from_6_to_10_mm = 1, above_10_mm = 2 };
SizeGroup size_group(double diameter_mm) noexcept;
std::string_view to_string(SizeGroup group) noexcept;

struct RecallCount {
  std::uint64_t findings = 0;
  std::uint64_t hits = 0;
  std::optional<double> value() const noexcept {
    return findings == 0 ? std::nullopt : std::optional(static_cast<double>(hits) / static_cast<double>(findings));
  }
};

// Findings whose first hit came within the first `rank` regions, in one size group or all.
RecallCount recall_at(std::span<const StudyResult> studies, std::uint32_t rank,
                      std::optional<SizeGroup> group = std::nullopt);
// The same in the region head's order.
RecallCount reordered_recall_at(std::span<const StudyResult> studies, std::uint32_t rank);

struct Interval {
  double low = 0, high = 0;  // 95 %
};

// Percentiles 2.5 and 97.5 of a figure over `draws` resamplings of whole patients. Nothing where the figure
// was undefined in more than half of them. The same seed gives the same interval.
using Figure = std::function<std::optional<double>(std::span<const StudyResult>)>;
std::optional<Interval> patient_interval(std::span<const StudyResult> studies, const Figure& figure,
                                         std::uint32_t draws, std::uint64_t seed);

std::optional<double> study_auc(std::span<const StudyResult> studies);

// Over all regions of studies whose findings are known: the chance that one with a finding scores above one without.
std::optional<double> region_auc(std::span<const StudyResult> studies);

}  // namespace fovea::node::evaluation

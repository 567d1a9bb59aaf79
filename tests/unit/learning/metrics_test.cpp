#include "node/evaluation/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "node/evaluation/report.h"
#include "node/network/random_draws.h"

namespace fovea::node {
namespace {

std::optional<double> naive_auc(std::span<const evaluation::ScoredLabel> items) {
  double wins = 0, pairs = 0;
  for (const evaluation::ScoredLabel& a : items)
    for (const evaluation::ScoredLabel& b : items) {
      if (a.label != 1 || b.label != 0) continue;
      pairs += 1;
      wins += a.score > b.score ? 1 : a.score == b.score ? 0.5 : 0;
    }
  return pairs == 0 ? std::nullopt : std::optional(wins / pairs);
}

evaluation::StudyResult study(std::string code, std::optional<int> label, double logit,
                              std::vector<evaluation::FindingResult> findings) {
  evaluation::StudyResult result;
  result.patient_code = "p-" + code;
  result.code = std::move(code);
  result.label = label;
  result.logit = logit;
  result.findings_known = true;
  result.findings = std::move(findings);
  result.fraction_read = 0.1;
  return result;
}

TEST(AreaUnderCurve, EqualsThePairwiseDefinition) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    network::RandomDraws random(seed);
    std::vector<evaluation::ScoredLabel> items(random.below(40));
    for (evaluation::ScoredLabel& item : items)
      item = {std::floor(random.uniform(0, 8)), random.chance(0.4) ? 1 : 0};  // many ties
    const auto expected = naive_auc(items), found = evaluation::area_under_curve(items);
    ASSERT_EQ(found.has_value(), expected.has_value()) << "seed " << seed;
    if (found) {
      ASSERT_NEAR(*found, *expected, 1e-12) << "seed " << seed;
    }
  }
}

TEST(AreaUnderCurve, IsUndefinedWithoutBothClasses) {
  EXPECT_FALSE(evaluation::area_under_curve({}));
  const std::vector<evaluation::ScoredLabel> positives{{1, 1}, {2, 1}}, negatives{{1, 0}};
  EXPECT_FALSE(evaluation::area_under_curve(positives));
  EXPECT_FALSE(evaluation::area_under_curve(negatives));
}

TEST(RegionAuc, ComparesRegionsOfAllStudiesAndIsUndefinedWithoutHits) {
  std::vector<evaluation::StudyResult> studies{study("a", 1, 1, {{5, 1, 1}}), study("b", 1, 1, {{5, 1, 1}})};
  studies[0].regions = {{2, true}, {1, false}};
  studies[1].regions = {{0, true}, {-1, false}};
  EXPECT_EQ(evaluation::region_auc(studies), 0.75);  // 0 is below 1, the other three pairs are in order
  const nlohmann::json report = evaluation::report_json(studies, 1);
  EXPECT_EQ(report["region_auc"], 0.75);
  EXPECT_EQ(report["rows"][0]["regions"], nlohmann::json::parse("[[2.0,true],[1.0,false]]"));
  for (evaluation::StudyResult& each : studies)
    for (evaluation::RegionResult& region : each.regions) region.finding = false;
  EXPECT_FALSE(evaluation::region_auc(studies));
  EXPECT_TRUE(evaluation::report_json(studies, 1)["region_auc"].is_null());
}

TEST(Recall, CountsByRankAndSize) {
  const std::vector<evaluation::StudyResult> studies{
      study("a", 1, 1, {{5.9, 3, 1}, {6.0, 9, 2}, {10.0, 33, 33}}),
      study("b", 1, 1, {{10.1, 32, 1}, {14, std::nullopt, std::nullopt}}), study("c", 0, -1, {})};
  EXPECT_EQ(evaluation::recall_at(studies, 8).hits, 1U);
  EXPECT_EQ(evaluation::recall_at(studies, 32).hits, 3U);
  EXPECT_EQ(evaluation::recall_at(studies, 32).findings, 5U);
  EXPECT_EQ(evaluation::recall_at(studies, 32, evaluation::SizeGroup::under_6_mm).findings, 1U);
  EXPECT_EQ(evaluation::recall_at(studies, 32, evaluation::SizeGroup::from_6_to_10_mm).findings, 2U);
  EXPECT_EQ(evaluation::recall_at(studies, 32, evaluation::SizeGroup::above_10_mm).hits, 1U);
  EXPECT_FALSE(evaluation::recall_at(std::span(studies).last(1), 32).value());
}

TEST(PatientInterval, KeepsAPatientsStudiesTogether) {
  std::vector<evaluation::StudyResult> studies{study("a", 1, 1, {{5, 1, 1}}),
                                               study("b", 1, 1, {{5, std::nullopt, std::nullopt}})};
  studies[1].patient_code = studies[0].patient_code;
  const auto interval = evaluation::patient_interval(
      studies, [](auto all) { return evaluation::recall_at(all, 32).value(); }, 200, 1);
  ASSERT_TRUE(interval);
  EXPECT_EQ(interval->low, 0.5);  // one patient: every resampling is the same
  EXPECT_EQ(interval->high, 0.5);
}

TEST(PatientInterval, CoversTheValueAndNarrowsWithMorePatients) {
  const auto width = [](std::size_t patients) {
    std::vector<evaluation::StudyResult> studies;
    for (std::size_t n = 0; n < patients; ++n)
      studies.push_back(
          study(std::to_string(n), 1, 0, {{5, n % 4 == 0 ? std::nullopt : std::optional<std::uint32_t>(1), 1}}));
    const auto interval = evaluation::patient_interval(
                              studies, [](auto all) { return evaluation::recall_at(all, 32).value(); }, 500, 3)
                              .value();
    EXPECT_LT(interval.low, 0.75);
    EXPECT_GT(interval.high, 0.75);
    return interval.high - interval.low;
  };
  EXPECT_LT(width(400), width(40));
  EXPECT_FALSE(evaluation::patient_interval({}, evaluation::study_auc, 100, 1));
}

TEST(Report, ExplainsAMissingAuc) {
  const std::vector<evaluation::StudyResult> studies{study("a", 1, 1, {{5, 1, 1}}), study("b", 1, 2, {})};
  const nlohmann::json report = evaluation::report_json(studies, 1);
  EXPECT_TRUE(report["auc"].is_null());
  EXPECT_TRUE(report["auc_interval"].is_null());
  EXPECT_EQ(report["notes"].size(), 1U);
  EXPECT_EQ(report["recall_at"]["32"], 1.0);
  EXPECT_EQ(report["rows"].size(), 2U);
  EXPECT_NE(evaluation::summary_text(studies, 1).find("study AUC"), std::string::npos);
}

TEST(Report, HasFiguresAndTheirIntervals) {
  const std::vector<evaluation::StudyResult> studies{study("a", 1, 2, {{5, 1, 1}}), study("b", 0, 1, {}),
                                                     study("c", 1, 3, {{7, 40, 1}}), study("d", 0, 0, {})};
  const nlohmann::json report = evaluation::report_json(studies, 1);
  EXPECT_EQ(report["auc"], 1.0);
  EXPECT_EQ(report["auc_interval"]["high"], 1.0);
  EXPECT_EQ(report["recall_at"]["32"], 0.5);
  EXPECT_LE(report["recall_at_32_interval"]["low"], 0.5);
}

TEST(Report, OfNoStudiesIsEmpty) {
  const nlohmann::json report = evaluation::report_json({}, 1);
  EXPECT_EQ(report["studies"], 0);
  EXPECT_TRUE(report["recall_at"]["8"].is_null());
}

}  // namespace
}  // namespace fovea::node

#include "node/evaluation/evaluate.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <optional>
#include <utility>

#include "node/saliency/hit_rule.h"

namespace fovea::node::evaluation {
namespace {

std::optional<std::uint32_t> first_hit(const embedding::StudyLook& look, std::span<const std::size_t> order,
                                       const store::Finding& finding) {
  for (std::size_t place = 0; place < order.size(); ++place)
    if (saliency::is_hit(look.regions[order[place]].centre_mm, finding)) return static_cast<std::uint32_t>(place + 1);
  return std::nullopt;
}

std::vector<RegionResult> match_regions(const embedding::StudyLook& look, std::span<const store::Finding> findings) {
  std::vector<RegionResult> out;
  for (std::size_t r = 0; r < look.regions.size(); ++r) {
    const bool hits = std::any_of(findings.begin(), findings.end(), [&](const store::Finding& finding) {
      return saliency::is_hit(look.regions[r].centre_mm, finding);
    });
    out.push_back({look.assessments[r].logit, hits});
  }
  return out;
}

}  // namespace

std::vector<FindingResult> match_findings(const embedding::StudyLook& look, std::span<const store::Finding> findings) {
  std::vector<std::size_t> chosen(look.regions.size());
  std::iota(chosen.begin(), chosen.end(), std::size_t{0});
  std::vector<std::size_t> reordered = chosen;
  std::stable_sort(reordered.begin(), reordered.end(),
                   [&](std::size_t a, std::size_t b) { return look.assessments[a].logit > look.assessments[b].logit; });
  std::vector<FindingResult> out;
  for (const store::Finding& finding : findings)
    out.push_back({finding.diameter_mm, first_hit(look, chosen, finding), first_hit(look, reordered, finding)});
  return out;
}

Result<StudyResult> evaluate_study(const network::NetworkParameters& parameters, training::LearningStudy& study,
                                   std::string patient_code, const saliency::LookSettings& settings,
                                   std::uint64_t seed) {
  const auto begin = std::chrono::steady_clock::now();
  FOVEA_TRY_ASSIGN(const embedding::StudyLook look, embedding::look_at(parameters, *study.scan, study.prior, settings,
                                                                       embedding::look_seed(seed, study.code)));
  StudyResult result;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  result.code = study.code;
  result.patient_code = std::move(patient_code);
  result.label = study.label;
  result.logit = look.logit;
  result.findings_known = study.findings_known;
  result.findings = match_findings(look, study.findings);
  if (study.findings_known) result.regions = match_regions(look, study.findings);
  result.fraction_read = look.fraction_read;
  return result;
}

Result<Evaluation> evaluate_studies(const network::NetworkParameters& parameters,
                                    std::span<const store::StudyRecord> records, const EvaluationSettings& settings,
                                    const EvaluationProgress& progress) {
  if (std::string mismatch = store::bias_mismatch(records, settings.voxels.n4); !mismatch.empty())
    return failed_precondition(std::move(mismatch));
  Evaluation out;
  for (std::size_t n = 0; n < records.size(); ++n) {
    FOVEA_TRY_ASSIGN(training::LearningSet set, training::open_learning_set(records.subspan(n, 1), settings.voxels));
    if (set.studies.empty()) {
      ++out.skipped;
    } else {
      FOVEA_TRY_ASSIGN(StudyResult result, evaluate_study(parameters, set.studies.front(), records[n].patient_code,
                                                          settings.look, settings.seed));
      out.studies.push_back(std::move(result));
    }
    if (progress) progress(n + 1);
  }
  return out;
}

}  // namespace fovea::node::evaluation

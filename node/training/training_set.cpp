#include "node/training/training_set.h"

#include <utility>

#include "node/scan_view/brick_scan.h"

namespace fovea::node::training {

LearningStudy make_learning_study(std::string code, std::unique_ptr<scan_view::ScanSource> scan,
                                  std::optional<int> label, bool findings_known, std::vector<store::Finding> findings) {
  LearningStudy study;
  study.code = std::move(code);
  study.prior = saliency::body_prior(scan->coarse(), scan->levels());
  study.scan = std::move(scan);
  study.label = label;
  study.findings_known = findings_known;
  study.findings = std::move(findings);
  return study;
}

Result<LearningSet> open_learning_set(std::span<const store::StudyRecord> records, const VoxelRule& rule) {
  if (std::string mismatch = store::bias_mismatch(records, rule.n4); !mismatch.empty())
    return failed_precondition(std::move(mismatch));
  LearningSet set;
  for (const store::StudyRecord& record : records) {
    if (!record.usable) continue;
    auto scan = scan_view::BrickScan::open(record, rule.normalisation);
    if (!scan) {
      ++set.skipped;
      continue;
    }
    set.studies.push_back(make_learning_study(record.code,
                                              std::make_unique<scan_view::BrickScan>(std::move(scan).value()),
                                              record.label, record.has_mask, record.findings));
  }
  return set;
}

}  // namespace fovea::node::training

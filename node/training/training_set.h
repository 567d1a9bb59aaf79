// What a site trains on: its studies with what is known of them, held open, their coarse views in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/result.h"
#include "node/saliency/prior.h"
#include "node/scan_view/scan_source.h"
#include "node/store/findings.h"
#include "node/store/study_catalogue.h"
#include "node/volume/intensity.h"

namespace fovea::node::training {

struct LearningStudy {
  std::string code;
  std::unique_ptr<scan_view::ScanSource> scan;
  saliency::Prior prior;
  std::optional<int> label;
  bool findings_known = false;
  std::vector<store::Finding> findings;
};

struct LearningSet {
  std::vector<LearningStudy> studies;
  std::uint32_t skipped = 0;  // studies that could not be opened
};

// A study with its prior. A study labelled 0 has no findings, with or without a mask.
LearningStudy make_learning_study(std::string code, std::unique_ptr<scan_view::ScanSource> scan,
                                  std::optional<int> label, bool findings_known, std::vector<store::Finding> findings);

// A plan's demands on the voxels that its model sees.
struct VoxelRule {
  volume::Normalisation normalisation;
  bool n4;  // ingested with the bias field divided out
};

// The usable studies of these records; one that fails to open is counted and left out. failed_precondition: some were
// ingested with N4 and the rule asks for none, or the reverse; the message says what to do.
Result<LearningSet> open_learning_set(std::span<const store::StudyRecord> records, const VoxelRule& rule);

}  // namespace fovea::node::training

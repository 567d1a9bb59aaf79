// The Trainer that a plan asks for, over a site's catalogued studies.
#pragma once

#include <filesystem>
#include <memory>

#include "common/clock.h"
#include "federation/membership/plan.h"
#include "node/training/probe_trainer.h"
#include "node/training/trainer.h"

namespace fovea::node {

struct TrainerSource {
  std::filesystem::path data_folder;  // the catalogue's folder; embeddings go into data_folder/embeddings
  ProbeSettings probe;                // for plans of the architecture "probe-N", which need no data
};

// Opens the usable studies of the splits train and validation and holds them open; one that fails to open is
// counted as skipped. not_found: no catalogue yet; failed_precondition: no usable training study, or a program
// built without the learning parts; invalid_argument: the plan asks for what this program does not know.
// The clock must outlive the trainer.
Result<std::unique_ptr<Trainer>> open_trainer(const federation::Plan& plan, const TrainerSource& source, const Clock& clock);

}  // namespace fovea::node

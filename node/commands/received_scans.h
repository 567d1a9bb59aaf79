// What `data listen` does with batches of received scans: each object goes to the kept objects of its series, and each
// series of which something came is ingested anew with all of them.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"
#include "node/commands/data_commands.h"
#include "node/receive/kept_series.h"
#include "node/store/study_catalogue.h"

namespace fovea::node::commands {

class ReceivedScans {
 public:
  ReceivedScans(const Console& console, std::filesystem::path data_folder, IngestRequest request,
                store::StudyCatalogue catalogue, receive::KeptSeries kept)
      : console_(console),
        data_folder_(std::move(data_folder)),
        request_(std::move(request)),
        catalogue_(std::move(catalogue)),
        kept_(std::move(kept)) {}

  // A batch that is complete: its folder is removed once its ingest has ended.
  void take(const std::filesystem::path& batch);
  // Ingests what waits, unless another program changes the studies, and drops what was kept for long enough. Returns
  // when it wants to be called again.
  std::chrono::milliseconds tend();

 private:
  Result<void> sort(const std::filesystem::path& batch);
  std::chrono::milliseconds ingest();

  const Console& console_;
  std::filesystem::path data_folder_;
  IngestRequest request_;
  store::StudyCatalogue catalogue_;
  receive::KeptSeries kept_;
  std::vector<std::filesystem::path> batches_;  // whose ingest has not ended
  bool has_said_busy_ = false;
};

}  // namespace fovea::node::commands

// The words of `fovea-node data …` that tests call without a program around them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/console.h"
#include "node/intake/ingest.h"
#include "node/store/study_catalogue.h"

namespace fovea::node {

struct IngestRequest {
  std::vector<std::filesystem::path> paths;  // folders and files
  std::filesystem::path manifest;            // or a table
  std::string finding_labels;                // "3,4"; empty: all
  std::string split = "train";               // of what comes without a table
  std::filesystem::path labels, points;      // CSV tables of study labels and of points (label_tables.h), or none
  double intensity_offset = 0;
  bool correct_bias = false;                   // N4, of MR
  unsigned workers = 0;                        // 0: one a core
  std::uint64_t memory_bytes = 8'000'000'000;  // of all workers and their parsers
  std::shared_ptr<const crypto::AgreementKey>
      received_for;  // opens what `data listen` received; none: files of other origin
};

struct CommandContext;
// intake.memory_megabytes of the site's settings, or the default where there are none.
Result<std::uint64_t> memory_allowance(CommandContext& context);

// Each runs in the site's data folder, prints through the console and returns the error to show.
Result<void> run_data_ingest(const Console& console, const std::filesystem::path& data_folder,
                             const IngestRequest& request);
// `with_identity` also prints what is sealed.
Result<void> run_data_list(const Console& console, const std::filesystem::path& data_folder,
                           bool with_identity = false);
Result<void> run_data_check(const Console& console, const std::filesystem::path& data_folder, bool deep);
struct ShowRequest {
  std::string code;
  std::filesystem::path picture;  // empty: none
  bool with_identity = false;     // also print what is sealed
};
Result<void> run_data_show(const Console& console, const std::filesystem::path& data_folder,
                           const ShowRequest& request);
// Writes stored volumes as NRRD for a person to look at with other tools: one to the file `out` (.nrrd), or each to
// `out`/CODE.nrrd. Nothing is overwritten; a refused study is an error.
Result<void> run_data_export(const Console& console, const std::filesystem::path& data_folder,
                             const std::vector<std::string>& codes, const std::filesystem::path& out);
Result<void> run_data_forget(const Console& console, const std::filesystem::path& data_folder, const std::string& code,
                             std::int64_t unix_ms);

}  // namespace fovea::node

// What `fovea-node data …` does, without the command line: tests call it too. Each function prints through the console
// and returns the error to show; nothing is changed by a request that is refused for a mistake in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/console.h"
#include "common/file_lock.h"
#include "common/result.h"
#include "crypto/key_agreement.h"

namespace fovea::node::intake {
struct IngestSettings;
}

namespace fovea::node::commands {

struct CommandContext;

struct IngestRequest {
  std::vector<std::filesystem::path> paths;  // folders and files
  std::filesystem::path manifest;            // or a table
  std::string finding_labels;                // "3,4"; empty: all
  std::string split = "train";               // of what comes without a table
  bool split_is_stated = false;              // else what was ingested earlier keeps its own
  std::filesystem::path labels, points;      // CSV tables of study labels and of points (label_tables.h), or none
  double intensity_offset = 0;
  bool correct_bias = false;                   // N4, of MR
  unsigned workers = 0;                        // 0: one per core
  std::uint64_t memory_bytes = 8'000'000'000;  // of all workers and their parsers
  bool data_is_locked = false;                 // by the caller (store::data_lock); else it is waited for
  // Opens what `data listen` received; none: files of other origin.
  std::shared_ptr<const crypto::AgreementKey> received_for;
};

// store::data_lock, as `program`; says on the console for whom it waits.
Result<FileLock> wait_for_data(const Console& console, const std::filesystem::path& data_folder,
                               std::string_view program);
// intake.memory_megabytes of the site's settings, or the default where there are none.
Result<std::uint64_t> memory_allowance(CommandContext& context);
// invalid_argument names the option.
Result<intake::IngestSettings> ingest_settings(const IngestRequest& request);
// Exits with some_refused when some studies were taken and others refused; invalid_argument: none was taken.
Result<void> run_data_ingest(const Console& console, const std::filesystem::path& data_folder,
                             const IngestRequest& request);

// Receives scans by DICOM and ingests them into `split`, until SIGINT or SIGTERM.
Result<void> run_data_listen(CommandContext& context, const std::string& split);

// `with_identity` also prints what is sealed.
Result<void> run_data_list(const Console& console, const std::filesystem::path& data_folder,
                           bool with_identity = false);
// corruption: a study is damaged on disk. `deep` reads every voxel. Deletes what an ingest that was killed left behind.
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

// Deletes the study and keeps its code and `unix_ms` in the catalogue.
Result<void> run_data_forget(const Console& console, const std::filesystem::path& data_folder, const std::string& code,
                             std::int64_t unix_ms);
// The same, asked for at a terminal unless `agreed`, and recorded in the ledger of a site that has joined a federation.
Result<void> forget_on_record(CommandContext& context, const std::string& code, bool agreed);

}  // namespace fovea::node::commands

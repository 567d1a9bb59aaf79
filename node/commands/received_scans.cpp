#include "node/commands/received_scans.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdint>
#include <system_error>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "common/file_lock.h"
#include "node/intake/formats/scan_facts.h"
#include "node/intake/ingest.h"
#include "node/intake/parser/scan_parser.h"
#include "node/receive/sealed_scan.h"

namespace fovea::node::commands {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDescribeFilesMax = 200;
constexpr std::uintmax_t kDescribeBytesMax = 256u << 20;
constexpr std::chrono::milliseconds kBusyPause{500}, kFaultPause{60'000}, kRest{60'000};

std::vector<fs::path> sealed_in(const fs::path& batch) {
  std::vector<fs::path> out;
  std::error_code failed;
  for (fs::directory_iterator at(batch, failed), end; !failed && at != end; at.increment(failed))
    if (at->path().extension() == receive::kSealedScanEnding) out.push_back(at->path());
  std::sort(out.begin(), out.end());
  return out;
}

// The next files from `next` on, which moves: they are described together, and opened in memory for it.
std::vector<fs::path> next_files(const std::vector<fs::path>& files, std::size_t& next) {
  std::vector<fs::path> out;
  std::uintmax_t bytes = 0;
  while (next < files.size() && out.size() < kDescribeFilesMax && bytes < kDescribeBytesMax) {
    std::error_code gone;
    if (const std::uintmax_t size = fs::file_size(files[next], gone); !gone) bytes += size;
    out.push_back(files[next++]);
  }
  return out;
}

std::string code(const store::StudyCatalogue& catalogue, const std::string& text) {
  return catalogue.study_code(as_bytes(text));
}

}  // namespace

// What is no object of a series stays in the batch, whose ingest says why it is left alone.
Result<void> ReceivedScans::sort(const fs::path& batch) {
  FOVEA_TRY_ASSIGN(const intake::IngestSettings settings, ingest_settings(request_));
  FOVEA_TRY_ASSIGN(intake::ScanParser parser,
                   intake::ScanParser::start(settings.parser_program, settings.limits, settings.scan_files));
  const std::vector<fs::path> files = sealed_in(batch);
  for (std::size_t next = 0; next < files.size();) {
    const std::vector<fs::path> some = next_files(files, next);
    const Result<std::vector<intake::DicomFile>> described = parser.describe(some);
    for (std::size_t f = 0; f < some.size(); ++f) {
      // One file that ends the parser's child does not hide the others.
      const Result<std::vector<intake::DicomFile>> single = described ? std::vector<intake::DicomFile>{(*described)[f]}
                                                                      : parser.describe({&some[f], 1});
      if (!single) continue;
      const intake::DicomFile& file = single->front();
      if ((!file.is_image && !file.is_label) || file.series.empty()) continue;
      // One instance of two patients is two objects, as damaged anonymisers make them: neither replaces the other.
      const std::string instance = file.instance.empty() ? batch.filename().string() + some[f].filename().string()
                                                         : file.instance + '\n' + file.patient;
      FOVEA_TRY(kept_.add(some[f], code(catalogue_, "received series\n" + file.series),
                          code(catalogue_, "received object\n" + file.series + '\n' + instance)));
    }
  }
  return sync_filesystem(data_folder_);
}

void ReceivedScans::take(const fs::path& batch) {
  batches_.push_back(batch);
  if (const Result<void> sorted = sort(batch); !sorted)
    spdlog::warn("dicom: a batch could not be sorted by series and is ingested by itself: {}", sorted.error().message);
}

std::chrono::milliseconds ReceivedScans::ingest() {
  const std::vector<fs::path> due = kept_.due();
  if (batches_.empty() && due.empty()) return kRest;
  const auto lock = FileLock::take_as(store::data_lock(data_folder_), "fovea-node data listen", data_folder_.string());
  if (!lock) {
    if (!std::exchange(has_said_busy_, true)) spdlog::warn("dicom: what was received waits: {}", lock.error().message);
    return kBusyPause;
  }
  has_said_busy_ = false;
  IngestRequest request = request_;
  request.data_is_locked = true;
  request.paths = due;
  for (const fs::path& batch : batches_)
    if (!sealed_in(batch).empty()) request.paths.push_back(batch);
  if (!request.paths.empty()) {
    const Result<void> ingested = run_data_ingest(console_, data_folder_, request);
    if (!ingested) spdlog::warn("dicom: not everything was ingested: {}", ingested.error().message);
    // After a fault of the site (its disk), not of what came, it waits.
    if (!ingested && ingested.error().code != ErrorCode::invalid_argument) return kFaultPause;
  }
  for (const fs::path& series : due)
    if (const Result<void> done = kept_.set_ingested(series); !done) spdlog::error("dicom: {}", done.error().message);
  for (const fs::path& batch : std::exchange(batches_, {})) {
    std::error_code failed;
    fs::remove_all(batch, failed);
    if (failed) spdlog::error("dicom: received files could not be deleted: {}", failed.message());
  }
  return kRest;
}

std::chrono::milliseconds ReceivedScans::tend() {
  const std::chrono::milliseconds pause = ingest();
  const receive::KeptSeries::Dropped dropped = kept_.drop(fs::file_time_type::clock::now());
  if (dropped.aged > 0)
    spdlog::debug("dicom: {} received series kept for dicom.keep_hours are dropped; what comes for them now is alone",
                  dropped.aged);
  if (dropped.crowded > 0)
    spdlog::warn(
        "dicom: {} received series are dropped before dicom.keep_hours, for want of room; slices or contours that come "
        "for them now are alone: have those series sent again",
        dropped.crowded);
  return pause;
}

}  // namespace fovea::node::commands

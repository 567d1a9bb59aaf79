// fovea-node data listen: receive scans by DICOM and ingest them.
#include <spdlog/spdlog.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "common/descriptor.h"
#include "common/durable_file.h"
#include "common/file_lock.h"
#include "common/stop_signals.h"
#include "crypto/key_agreement.h"
#include "node/commands/command.h"
#include "node/commands/data_commands.h"
#include "node/commands/received_scans.h"
#include "node/intake/parser/scan_parser.h"
#include "node/io/dicom_listener.h"
#include "node/receive/kept_series.h"
#include "node/store/study_catalogue.h"

namespace fovea::node::commands {
namespace {

struct ListenCounts {
  std::size_t stored = 0, refused = 0, batches = 0;
};

void log_event(io::DicomEvent event, const std::string& detail, ListenCounts& counts) {
  if (event == io::DicomEvent::stored) {
    ++counts.stored;
    spdlog::debug("dicom: stored, {}", detail);
  } else if (event == io::DicomEvent::echo || event == io::DicomEvent::partly_refused) {
    spdlog::info("dicom: {}, {}", io::to_string(event), detail);
  } else {
    if (event == io::DicomEvent::refused) ++counts.refused;
    spdlog::warn("dicom: {}, {}", io::to_string(event), detail);
  }
}

}  // namespace

Result<void> run_data_listen(CommandContext& context, const std::string& split) {
  FOVEA_TRY_ASSIGN(const io::NodeConfig config, context.config());
  if (config.dicom.peers.empty())
    return invalid_argument(
        context.folder().config().string() +
        "  dicom.allow\n  expected who may send, found nobody\n  fix: allow = [\"PACS1@10.0.0.5\"]");
  context.set_up_log(config);
  block_signals({SIGINT, SIGTERM});
  FOVEA_TRY_ASSIGN(const Descriptor stop, open_signals({SIGINT, SIGTERM}));
  const std::filesystem::path data = context.folder().data();
  FOVEA_TRY(create_directories_durably(data));
  FOVEA_TRY_ASSIGN(const FileLock lock, FileLock::take_as(data / "listen.lock", "fovea-node data listen",
                                                          data.string() + ": received scans"));
  IngestRequest request;
  request.split = split;
  request.memory_bytes = config.intake.memory_bytes;
  FOVEA_TRY_ASSIGN(store::StudyCatalogue catalogue, store::StudyCatalogue::open(data, true));
  request.received_for = std::make_shared<const crypto::AgreementKey>(catalogue.receiving_key());
  const crypto::AgreementPublicKey seal_for = request.received_for->public_key();
  constexpr std::uint64_t kFreeBytesMin = 2ull << 30;  // above what a receiver wants free for a file
  FOVEA_TRY_ASSIGN(receive::KeptSeries kept,
                   receive::KeptSeries::open(receive::kept_folder(data),
                                             {.age = std::chrono::hours(config.dicom.keep_hours),
                                              .bytes = config.dicom.incoming_bytes_max,
                                              .free_bytes_min = kFreeBytesMin + config.dicom.file_bytes_max}));
  ReceivedScans received(context.console, data, std::move(request), std::move(catalogue), std::move(kept));
  ListenCounts counts;
  const std::filesystem::path receiver = intake::default_parser_program().parent_path() / "fovea-dicom-receiver";
  FOVEA_TRY_ASSIGN(
      io::DicomListener listener,
      io::DicomListener::open(
          config.dicom, {.receiver_program = receiver, .incoming = data / "incoming", .seal_for = seal_for},
          {.log = [&](io::DicomEvent event, const std::string& detail) { log_event(event, detail, counts); },
           .batch_ready =
               [&](const std::filesystem::path& batch) {
                 ++counts.batches;
                 received.take(batch);
               },
           .tend = [&] { return received.tend(); }}));
  spdlog::info("dicom: listening as {} on {} port {}", config.dicom.ae_title, config.dicom.bind, listener.port());
  FOVEA_TRY(listener.run(stop.number()));
  context.console.data(
      "data listen", {{"stored", counts.stored}, {"refused", counts.refused}, {"batches", counts.batches}},
      std::to_string(counts.stored) + " files received, " + std::to_string(counts.refused) + " connections refused");
  return {};
}

}  // namespace fovea::node::commands

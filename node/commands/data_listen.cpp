// fovea-node data listen: receive scans by DICOM and ingest them.
#include <spdlog/spdlog.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>

#include "common/descriptor.h"
#include "common/stop_signals.h"
#include "crypto/key_agreement.h"
#include "node/commands/command.h"
#include "node/commands/data_commands.h"
#include "node/intake/parser/scan_parser.h"
#include "node/io/dicom_listener.h"
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
  } else if (event == io::DicomEvent::echo) {
    spdlog::info("dicom: echo, {}", detail);
  } else {
    if (event == io::DicomEvent::refused) ++counts.refused;
    spdlog::warn("dicom: {}, {}", io::to_string(event), detail);
  }
}

// What was received is ingested like any folder, then deleted: it can be sent again.
void ingest_batch(CommandContext& context, const IngestRequest& request, const std::filesystem::path& batch,
                  ListenCounts& counts) {
  IngestRequest one = request;
  one.paths = {batch};
  ++counts.batches;
  const Result<void> ingested = run_data_ingest(context.console, context.folder().data(), one);
  if (!ingested) spdlog::warn("dicom: a batch was not fully ingested: {}", ingested.error().message);
  std::error_code failed;
  // After a fault of the site (its disk), not of the batch, the batch waits for the next start.
  if (ingested || ingested.error().code == ErrorCode::invalid_argument) std::filesystem::remove_all(batch, failed);
  if (failed) spdlog::error("dicom: received files could not be deleted: {}", failed.message());
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
  IngestRequest request;
  request.split = split;
  request.memory_bytes = config.intake.memory_bytes;
  {
    FOVEA_TRY_ASSIGN(const store::StudyCatalogue catalogue, store::StudyCatalogue::open(context.folder().data(), true));
    request.received_for = std::make_shared<const crypto::AgreementKey>(catalogue.receiving_key());
  }
  ListenCounts counts;
  const std::filesystem::path receiver = intake::default_parser_program().parent_path() / "fovea-dicom-receiver";
  FOVEA_TRY_ASSIGN(
      io::DicomListener listener,
      io::DicomListener::open(
          config.dicom,
          {.receiver_program = receiver,
           .incoming = context.folder().data() / "incoming",
           .seal_for = request.received_for->public_key()},
          {.log = [&](io::DicomEvent event, const std::string& detail) { log_event(event, detail, counts); },
           .batch_ready = [&](const std::filesystem::path& batch) { ingest_batch(context, request, batch, counts); }}));
  spdlog::info("dicom: listening as {} on {} port {}", config.dicom.ae_title, config.dicom.bind, listener.port());
  FOVEA_TRY(listener.run(stop.number()));
  context.console.data(
      "data listen", {{"stored", counts.stored}, {"refused", counts.refused}, {"batches", counts.batches}},
      std::to_string(counts.stored) + " files received, " + std::to_string(counts.refused) + " connections refused");
  return {};
}

}  // namespace fovea::node::commands

// fovea-node data listen: receive scans by DICOM and take them in.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <nlohmann/json.hpp>

#include "common/stop_signals.h"
#include "node/commands/command.h"
#include "node/commands/data_commands.h"
#include "node/intake/parser/scan_parser.h"

namespace fovea::node {
namespace {

struct ListenCounts {
  std::size_t stored = 0, refused = 0, batches = 0;
};

void log_event(DicomEvent event, const std::string& detail, ListenCounts& counts) {
  if (event == DicomEvent::stored) {
    ++counts.stored;
    spdlog::debug("dicom: stored, {}", detail);
  } else if (event == DicomEvent::echo) {
    spdlog::info("dicom: echo, {}", detail);
  } else {
    if (event == DicomEvent::refused) ++counts.refused;
    spdlog::warn("dicom: {}, {}", to_string(event), detail);
  }
}

// What was received is taken in like any folder, then deleted: it can be sent again.
void take_batch(CommandContext& context, const IngestRequest& request, const std::filesystem::path& batch,
                ListenCounts& counts) {
  IngestRequest one = request;
  one.paths = {batch};
  ++counts.batches;
  const Result<void> taken = run_data_ingest(context.console, context.folder().data(), one);
  if (!taken) spdlog::warn("dicom: a batch was not taken in whole: {}", taken.error().message);
  std::error_code failed;
  // A fault of the site (its disk) is not the batch's: that one waits for the next start.
  if (taken || taken.error().code == ErrorCode::invalid_argument) std::filesystem::remove_all(batch, failed);
  if (failed) spdlog::error("dicom: received files could not be deleted: {}", failed.message());
}

Result<void> run_listen(CommandContext& context, const std::string& split) {
  FOVEA_TRY_ASSIGN(const NodeConfig config, context.config());
  if (config.dicom.peers.empty())
    return invalid_argument(
        context.folder().config().string() +
        "  dicom.allow\n  expected who may send, found nobody\n  fix: allow = [\"PACS1@10.0.0.5\"]");
  auto logger = spdlog::stderr_logger_mt("fovea-node");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
  logger->set_level(spdlog::level::from_str(context.console.quiet ? "error" : config.log_level));
  spdlog::set_default_logger(std::move(logger));
  block_signals({SIGINT, SIGTERM});
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGINT);
  sigaddset(&stops, SIGTERM);
  const Descriptor signals(::signalfd(-1, &stops, SFD_CLOEXEC));
  IngestRequest request;
  request.split = split;
  request.memory_bytes = config.intake.memory_bytes;
  {
    FOVEA_TRY_ASSIGN(const StudyCatalogue catalogue, StudyCatalogue::open(context.folder().data(), true));
    request.received_for = std::make_shared<const crypto::AgreementKey>(catalogue.receiving_key());
  }
  ListenCounts counts;
  const std::filesystem::path receiver = default_parser_program().parent_path() / "fovea-dicom-receiver";
  FOVEA_TRY_ASSIGN(
      DicomListener listener,
      DicomListener::open(
          config.dicom,
          {.receiver_program = receiver,
           .incoming = context.folder().data() / "incoming",
           .seal_for = request.received_for->public_key()},
          {.log = [&](DicomEvent event, const std::string& detail) { log_event(event, detail, counts); },
           .batch_ready = [&](const std::filesystem::path& batch) { take_batch(context, request, batch, counts); }}));
  spdlog::info("dicom: listening as {} on {} port {}", config.dicom.ae_title, config.dicom.bind, listener.port());
  FOVEA_TRY(listener.run(signals.number()));
  context.console.data(
      "data listen", {{"stored", counts.stored}, {"refused", counts.refused}, {"batches", counts.batches}},
      std::to_string(counts.stored) + " files received, " + std::to_string(counts.refused) + " connections refused");
  return {};
}

}  // namespace

void add_listen_command(CLI::App& data, CommandContext& context) {
  CLI::App* listen = data.add_subcommand(
      "listen", "Receive scans from the hospital's archive by DICOM, until SIGTERM ([dicom] in node.toml)");
  auto split = std::make_shared<std::string>("train");
  listen->add_option("--split", *split, "For what is received: train, validation or test")->capture_default_str();
  listen->callback(
      [&context, split] { context.console.run("data listen", [&] { return run_listen(context, *split); }); });
}

}  // namespace fovea::node

// fovea-node data ingest: from folders, files or a table of scans to studies in the catalogue.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/durable_file.h"
#include "common/file_lock.h"
#include "crypto/key_agreement.h"
#include "node/commands/command.h"
#include "node/commands/data_commands.h"
#include "node/commands/study_text.h"
#include "node/intake/csv_reader.h"
#include "node/intake/files_at_rest.h"
#include "node/intake/ingest.h"
#include "node/intake/label_tables.h"
#include "node/intake/manifest.h"
#include "node/intake/parser/scan_parser.h"
#include "node/intake/scan_walk.h"
#include "node/receive/sealed_scan.h"

namespace fovea::node::commands {
namespace {

using Json = nlohmann::ordered_json;
using SteadyClock = std::chrono::steady_clock;

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

std::string minutes_and_seconds(double seconds) {
  char text[48];
  const auto whole = static_cast<long>(std::ceil(seconds));
  std::snprintf(text, sizeof text, "%02ld:%02ld", whole / 60, whole % 60);
  return text;
}

// One line on stderr during an ingest: rate and time left.
class ProgressLine {
 public:
  explicit ProgressLine(const Console& console)
      : console_(console), started_(SteadyClock::now()), terminal_(::isatty(STDERR_FILENO) != 0) {}

  void operator()(const intake::IngestProgress& progress) {
    const double elapsed = seconds_since(started_);
    const double pause = terminal_ ? 0.2 : 5;
    if (progress.done < progress.total && elapsed - shown_ < pause) return;
    shown_ = elapsed;
    const double rate = static_cast<double>(progress.done) / std::max(elapsed, 1e-3);
    // By bytes: the largest come first.
    const double bytes_rate = static_cast<double>(progress.bytes) / std::max(elapsed, 1e-3);
    const double left = static_cast<double>(progress.total_bytes - progress.bytes) / std::max(bytes_rate, 1e-9);
    console_.progress_in_place("ingest " + std::to_string(progress.done) + "/" + std::to_string(progress.total) +
                               " studies · " + number(rate, "%.1f") + " studies/s · " +
                               number(bytes_rate / 1e6, "%.0f") + " MB/s · " + minutes_and_seconds(left) + " left");
    if (progress.done == progress.total && terminal_) console_.progress("");
  }

 private:
  const Console& console_;
  SteadyClock::time_point started_;
  bool terminal_;
  double shown_ = -1e9;
};

void warn_unmatched_rows(const Console& console, const std::filesystem::path& table, std::size_t rows,
                         std::size_t first_line) {
  if (rows == 0) return;
  console.progress("warning: " + table.string() + ": " + std::to_string(rows) +
                   (rows == 1 ? " row names" : " rows name") + " no scan of this ingest (the first is in line " +
                   std::to_string(first_line) + ")");
}

// Study labels and points that came as tables of their own.
Result<void> add_labels(const Console& console, const IngestRequest& request,
                        std::vector<intake::StudySource>& sources) {
  const auto warn = [&](const std::filesystem::path& table, const auto& rows,
                        const std::vector<std::size_t>& unmatched) {
    warn_unmatched_rows(console, table, unmatched.size(), unmatched.empty() ? 0 : rows[unmatched.front()].line);
  };
  if (!request.labels.empty()) {
    FOVEA_TRY_ASSIGN(const std::vector<intake::StudyLabelRow> rows, intake::read_study_labels(request.labels));
    FOVEA_TRY_ASSIGN(const std::vector<std::size_t> unmatched, intake::apply_study_labels(rows, sources));
    warn(request.labels, rows, unmatched);
  }
  if (!request.points.empty()) {
    if (!intake::is_table_name(request.points)) return invalid_argument("--points: expected a file ending in .csv");
    FOVEA_TRY_ASSIGN(const std::vector<intake::PointRow> rows, intake::read_points(request.points));
    FOVEA_TRY_ASSIGN(const std::vector<std::size_t> unmatched, intake::apply_points(rows, request.points, sources));
    warn(request.points, rows, unmatched);
  }
  return {};
}

// What copies in progress would change: the folders, files and tables named, and what a table names.
std::vector<std::filesystem::path> files_to_watch(const IngestRequest& request,
                                                  const std::vector<std::filesystem::path>& tables,
                                                  const std::vector<intake::StudySource>& rows) {
  std::vector<std::filesystem::path> out = tables;
  if (rows.empty()) out.insert(out.end(), request.paths.begin(), request.paths.end());
  for (const intake::StudySource& row : rows) {
    out.insert(out.end(), row.images.begin(), row.images.end());
    if (row.mask) out.push_back(*row.mask);
  }
  return out;
}

// What still changes after a while; an error when half a table would be read. Received files came whole.
Result<std::set<std::filesystem::path>> wait_for_copies(const Console& console, const IngestRequest& request) {
  if (request.received_for) return std::set<std::filesystem::path>();
  std::vector<std::filesystem::path> tables{request.manifest, request.labels, request.points};
  std::erase(tables, std::filesystem::path());
  std::vector<intake::StudySource> rows;
  if (!request.manifest.empty()) {
    FOVEA_TRY_ASSIGN(rows, intake::read_manifest(request.manifest));
  }
  const std::vector<std::filesystem::path> watched = files_to_watch(request, tables, rows);
  const SystemClock clock;
  const auto tell = [&](std::size_t files) {
    console.progress("waiting: " + std::to_string(files) + (files == 1 ? " file was" : " files were") +
                     " changed in the last seconds (a copy in progress?)");
  };
  std::set<std::filesystem::path> out = intake::wait_for_rest(
      [&] { return intake::stamps_below(watched); },
      {.clock = clock,
       .wait = [](std::int64_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); },
       .tell = tell});
  for (const std::filesystem::path& table : tables)
    if (out.contains(table)) return intake::still_written().with_context(table.string());
  return out;
}

Result<intake::FoundStudies> find_sources(const Console& console, const IngestRequest& request,
                                          const intake::IngestSettings& settings) {
  if (request.paths.empty() && request.manifest.empty())
    return invalid_argument("data ingest: nothing to ingest; give folders, files, or --manifest studies.csv");
  if (!request.paths.empty() && !request.manifest.empty())
    return invalid_argument("data ingest: --manifest " + request.manifest.string() + " and the path " +
                            request.paths.front().string() +
                            ": the table says what is ingested; give one of them, and the other in an ingest of its "
                            "own");
  FOVEA_TRY_ASSIGN(const store::Split split, store::parse_split(request.split));
  FOVEA_TRY_ASSIGN(intake::ScanParser parser,
                   intake::ScanParser::start(settings.parser_program, settings.limits, settings.scan_files));
  intake::FoundStudies out;
  if (request.manifest.empty()) {
    FOVEA_TRY_ASSIGN(out, intake::find_studies(request.paths, split, parser));
    for (const std::filesystem::path& table : out.tables) {
      if (settings.still_changing.contains(table)) return intake::still_written().with_context(table.string());
      console.progress("using the table " + table.string());
    }
  } else {
    FOVEA_TRY_ASSIGN(out.sources, intake::read_manifest(request.manifest));
    FOVEA_TRY(intake::expand_rows(out.sources, parser, out.not_scans));
    out.tables.push_back(request.manifest);
  }
  if (request.split_is_stated && !out.tables.empty())
    return invalid_argument("--split: the table " + out.tables.front().string() +
                            " says the split of each study; leave --split out, or ingest the rest without the table");
  if (request.split_is_stated)
    for (intake::StudySource& source : out.sources) source.split_is_stated = true;
  return out;
}

Result<intake::FoundStudies> find_labelled_sources(const Console& console, const IngestRequest& request,
                                                   const intake::IngestSettings& settings) {
  FOVEA_TRY_ASSIGN(intake::FoundStudies out, find_sources(console, request, settings));
  FOVEA_TRY(add_labels(console, request, out.sources));
  return out;
}

// Files that an earlier version received are not sealed.
intake::ScanFiles received_files(const std::shared_ptr<const crypto::AgreementKey>& key, std::uint64_t bytes_max) {
  return {.open =
              [key, bytes_max](const std::filesystem::path& file) {
                return file.extension() == receive::kSealedScanEnding ? receive::open_sealed_scan(file, bytes_max, *key)
                                                                      : intake::open_scan_file(file);
              },
          .memory = std::make_shared<intake::MemoryBudget>(bytes_max)};
}

// Which files, for the terminal alone: names may be those of patients.
constexpr std::size_t kNamesShown = 10;
std::string left_alone_names(const std::vector<intake::NotAScan>& files, const std::string& reason) {
  std::string out;
  std::size_t count = 0;
  for (const intake::NotAScan& file : files) {
    if (file.reason != reason) continue;
    if (++count <= kNamesShown) out += "\n    " + printable(file.file.string());
  }
  if (count > kNamesShown) out += "\n    … and " + std::to_string(count - kNamesShown) + " more";
  return out;
}

void print_report(const Console& console, const intake::IngestReport& report, const intake::FoundStudies& found,
                  double seconds) {
  Json refused = Json::array();
  std::string human = std::to_string(report.ingested) + " studies ingested, " + std::to_string(report.already_there) +
                      " already there, " + std::to_string(report.refused.size()) + " refused, in " +
                      number(seconds, "%.1f") + " s";
  std::map<std::string, std::size_t> skipped;
  for (const intake::NotAScan& file : found.not_scans) ++skipped[file.reason];
  Json others = Json::array();
  for (const auto& [reason, count] : skipped) {
    others.push_back({{"files", count}, {"reason", reason}});
    human += "\n  left alone " + std::to_string(count) + (count == 1 ? " file: " : " files: ") + reason +
             left_alone_names(found.not_scans, reason);
  }
  for (const intake::Refusal& refusal : report.refused) {
    refused.push_back({{"code", refusal.code}, {"reason", refusal.reason}});
    human += "\n  refused " + refusal.code + " (" + refusal.name + "): " + refusal.reason;
  }
  Json remarks = Json::array();
  for (const intake::Remark& remark : report.remarks) {
    remarks.push_back({{"code", remark.code}, {"text", remark.text}});
    human += "\n  " + (remark.code.empty() ? "" : remark.code + " ") + "(" + remark.name + "): " + remark.text;
  }
  console.data("data ingest",
               {{"taken", report.ingested},
                {"already_there", report.already_there},
                {"refused", refused},
                {"left_alone", others},
                {"remarks", remarks},
                {"bytes", report.bytes},
                {"seconds", seconds}},
               human);
}

}  // namespace

Result<intake::IngestSettings> ingest_settings(const IngestRequest& request) {
  intake::IngestSettings out;
  FOVEA_TRY_ASSIGN(out.finding_labels, store::parse_finding_labels(request.finding_labels));
  if (!(std::abs(request.intensity_offset) <= 1e6))
    return invalid_argument("--intensity-offset: expected a number within ±1e6");
  out.intensity_offset = static_cast<float>(request.intensity_offset);
  out.correct_bias = request.correct_bias;
  // Half of a worker's share is for its parser, half for what the node makes of the volume.
  constexpr std::uint64_t kWorkerBytesMin = 1ull << 30;
  const std::uint64_t for_received = request.received_for ? request.memory_bytes / 3 : 0;  // they are opened in memory
  const std::uint64_t for_work = request.memory_bytes - for_received;
  const auto affordable = static_cast<unsigned>(std::max<std::uint64_t>(1, for_work / kWorkerBytesMin));
  out.workers =
      std::min(affordable, request.workers > 0 ? request.workers : std::max(1u, std::thread::hardware_concurrency()));
  out.limits.memory_bytes = for_work / out.workers / 2;
  if (request.received_for) out.scan_files = received_files(request.received_for, for_received);
  out.parser_program = intake::default_parser_program();
  return out;
}

Result<void> run_data_ingest(const Console& console, const std::filesystem::path& data_folder,
                             const IngestRequest& request) {
  FOVEA_TRY_ASSIGN(intake::IngestSettings settings, ingest_settings(request));
  FOVEA_TRY_ASSIGN(settings.still_changing, wait_for_copies(console, request));
  const SteadyClock::time_point started = SteadyClock::now();
  std::optional<FileLock> lock;
  if (!request.data_is_locked) {
    FOVEA_TRY(create_directories_durably(data_folder));
    FOVEA_TRY_ASSIGN(lock, wait_for_data(console, data_folder, "fovea-node data ingest"));
  }
  FOVEA_TRY_ASSIGN(const intake::FoundStudies found, find_labelled_sources(console, request, settings));
  FOVEA_TRY_ASSIGN(store::StudyCatalogue catalogue, store::StudyCatalogue::open(data_folder, true));
  ProgressLine line(console);
  FOVEA_TRY_ASSIGN(
      const intake::IngestReport report,
      intake::ingest(catalogue, found.sources, settings, [&line](const intake::IngestProgress& p) { line(p); }));
  print_report(console, report, found, seconds_since(started));
  if (report.ingested + report.already_there == 0)
    return invalid_argument(found.sources.empty()
                                ? "data ingest: no scans found (expected .nii, .nii.gz, .nrrd, .mha or DICOM series)"
                                : "data ingest: every study was refused; the reasons are above");
  if (!report.refused.empty()) console.finish_with(ExitCode::some_refused);
  return {};
}

Result<FileLock> wait_for_data(const Console& console, const std::filesystem::path& data_folder,
                               std::string_view program) {
  return FileLock::wait_as(store::data_lock(data_folder), program, [&](const std::string& holder) {
    console.progress("waiting for " + holder + ", which changes the studies in " + data_folder.string());
  });
}

Result<std::uint64_t> memory_allowance(CommandContext& context) {
  std::error_code failed;
  if (!std::filesystem::exists(context.folder().config(), failed)) return io::IntakeConfig{}.memory_bytes;
  FOVEA_TRY_ASSIGN(const io::NodeConfig config, context.config());
  return config.intake.memory_bytes;
}

}  // namespace fovea::node::commands

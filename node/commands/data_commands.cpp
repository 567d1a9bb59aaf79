#include "node/commands/data_commands.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <thread>

#include "federation/ledger/entry.h"
#include "federation/ledger/ledger.h"
#include "node/commands/command.h"
#include "node/intake/label_tables.h"
#include "node/intake/scan_walk.h"
#include "node/picture/montage.h"
#include "node/receive/sealed_scan.h"
#include "node/store/brick_volume.h"
#include "node/volume_files/nrrd_writer.h"

namespace fovea::node {
namespace {

using Json = nlohmann::ordered_json;

std::string number(double value, const char* format = "%.3g") {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string triple(const Index3& size) {
  return std::to_string(size[0]) + "×" + std::to_string(size[1]) + "×" + std::to_string(size[2]);
}
std::string triple(const Point3& mm) { return number(mm[0]) + "×" + number(mm[1]) + "×" + number(mm[2]); }

std::string duration(double seconds) {
  char text[48];
  const auto whole = static_cast<long>(std::ceil(seconds));
  std::snprintf(text, sizeof text, "%02ld:%02ld", whole / 60, whole % 60);
  return text;
}

Json record_json(const StudyRecord& record) {
  Json out{{"code", record.code},
           {"patient", record.patient_code},
           {"split", to_string(record.split)},
           {"usable", record.usable}};
  out["label"] = record.label ? Json(*record.label) : Json(nullptr);
  if (!record.usable) {
    out["reason"] = record.reason;
    return out;
  }
  out["modality"] = record.modality;
  out["n4"] = record.bias_corrected;
  out["size"] = record.geometry.size;
  out["spacing_mm"] = record.geometry.spacing_mm;
  out["origin_mm"] = record.geometry.origin_mm;
  out["direction"] = record.geometry.direction;
  out["findings"] = record.has_mask ? Json(Json::array()) : Json(nullptr);
  for (const Finding& finding : record.findings)
    out["findings"].push_back({{"center_mm", finding.center_mm},
                               {"diameter_mm", finding.diameter_mm},
                               {"label", finding.label},
                               {"voxels", finding.voxels}});
  return out;
}

Json identity_json(const StudyIdentity& identity) {
  return {{"study", identity.study}, {"patient", identity.patient}, {"image", identity.image}, {"mask", identity.mask}};
}

// One line on stderr while studies are taken in: rate and time left.
class ProgressLine {
 public:
  explicit ProgressLine(const Console& console)
      : console_(console), started_(std::chrono::steady_clock::now()), terminal_(::isatty(STDERR_FILENO) != 0) {}

  void operator()(const IngestProgress& progress) {
    const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
    const double pause = terminal_ ? 0.2 : 5;
    if (progress.done < progress.total && elapsed - shown_ < pause) return;
    shown_ = elapsed;
    const double rate = static_cast<double>(progress.done) / std::max(elapsed, 1e-3);
    // By bytes: the largest come first.
    const double bytes_rate = static_cast<double>(progress.bytes) / std::max(elapsed, 1e-3);
    const double left = static_cast<double>(progress.total_bytes - progress.bytes) / std::max(bytes_rate, 1e-9);
    console_.progress_in_place("ingest " + std::to_string(progress.done) + "/" + std::to_string(progress.total) +
                               " studies · " + number(rate, "%.1f") + " a second · " +
                               number(bytes_rate / 1e6, "%.0f") + " MB/s · " + duration(left) + " left");
    if (progress.done == progress.total && terminal_) console_.progress("");
  }

 private:
  const Console& console_;
  std::chrono::steady_clock::time_point started_;
  bool terminal_;
  double shown_ = -1e9;
};

// A folder with a studies.csv in it is meant as that table.
std::filesystem::path implied_manifest(const IngestRequest& request) {
  if (!request.manifest.empty() || request.paths.size() != 1) return request.manifest;
  const std::filesystem::path table = request.paths.front() / "studies.csv";
  std::error_code failed;
  return std::filesystem::is_regular_file(table, failed) ? table : std::filesystem::path();
}

void warn_of_nowhere(const Console& console, const std::filesystem::path& table, std::size_t rows,
                     std::size_t first_line) {
  console.progress("warning: " + table.string() + ": " + std::to_string(rows) +
                   " rows name no scan that is being taken in (the first in line " + std::to_string(first_line) + ")");
}

// Study labels and points that came as tables of their own.
Result<void> add_labels(const Console& console, const IngestRequest& request, std::vector<StudySource>& sources) {
  if (!request.labels.empty()) {
    FOVEA_TRY_ASSIGN(const std::vector<StudyLabelRow> rows, read_study_labels(request.labels));
    FOVEA_TRY_ASSIGN(const std::vector<std::size_t> nowhere, apply_study_labels(rows, sources));
    if (!nowhere.empty()) warn_of_nowhere(console, request.labels, nowhere.size(), rows[nowhere.front()].line);
  }
  if (!request.points.empty()) {
    if (request.points.extension() != ".csv") return invalid_argument("--points: expected a file ending in .csv");
    FOVEA_TRY_ASSIGN(const std::vector<PointRow> rows, read_points(request.points));
    FOVEA_TRY_ASSIGN(const std::vector<std::size_t> nowhere, apply_points(rows, request.points, sources));
    if (!nowhere.empty()) warn_of_nowhere(console, request.points, nowhere.size(), rows[nowhere.front()].line);
  }
  return {};
}

Result<FoundStudies> find_sources(const Console& console, const IngestRequest& request,
                                  const IngestSettings& settings) {
  const std::filesystem::path manifest = implied_manifest(request);
  FoundStudies out;
  if (!manifest.empty()) {
    if (request.manifest.empty()) console.progress("taking the table " + manifest.string());
    FOVEA_TRY_ASSIGN(out.sources, read_manifest(manifest));
    FOVEA_TRY(expand_folders(out.sources));
    return out;
  }
  if (request.paths.empty())
    return invalid_argument("data ingest: nothing to take in; give folders, files, or --manifest studies.csv");
  FOVEA_TRY_ASSIGN(const Split split, parse_split(request.split));
  FOVEA_TRY_ASSIGN(ScanParser parser, ScanParser::start(settings.parser_program, settings.limits, settings.scan_files));
  return find_studies(request.paths, split, parser);
}

Result<FoundStudies> gather(const Console& console, const IngestRequest& request, const IngestSettings& settings) {
  FOVEA_TRY_ASSIGN(FoundStudies out, find_sources(console, request, settings));
  FOVEA_TRY(add_labels(console, request, out.sources));
  return out;
}

// What an earlier version received lies in clear.
ScanFiles received_files(const std::shared_ptr<const crypto::AgreementKey>& key, std::uint64_t bytes_max) {
  return {.open =
              [key, bytes_max](const std::filesystem::path& file) {
                return file.extension() == kSealedScanEnding ? open_sealed_scan(file, bytes_max, *key)
                                                             : open_scan_file(file);
              },
          .memory = std::make_shared<MemoryBudget>(bytes_max)};
}

Result<IngestSettings> settings_of(const IngestRequest& request) {
  IngestSettings out;
  FOVEA_TRY_ASSIGN(out.finding_labels, parse_finding_labels(request.finding_labels));
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
  out.parser_program = default_parser_program();
  return out;
}

void print_report(const Console& console, const IngestReport& report, const FoundStudies& found, double seconds) {
  Json refused = Json::array();
  std::string human = std::to_string(report.taken) + " studies taken in, " + std::to_string(report.already_there) +
                      " were there already, " + std::to_string(report.refused.size()) + " refused, in " +
                      number(seconds, "%.1f") + " s";
  std::map<std::string, std::size_t> left_alone;
  for (const NotAScan& file : found.not_scans) ++left_alone[file.reason];
  Json others = Json::array();
  for (const auto& [reason, count] : left_alone) {
    others.push_back({{"files", count}, {"reason", reason}});
    human += "\n  left alone " + std::to_string(count) + (count == 1 ? " file: " : " files: ") + reason;
  }
  for (const Refusal& refusal : report.refused) {
    refused.push_back({{"code", refusal.code}, {"reason", refusal.reason}});
    human += "\n  refused " + refusal.code + " (" + refusal.name + "): " + refusal.reason;
  }
  console.data("data ingest",
               {{"taken", report.taken},
                {"already_there", report.already_there},
                {"refused", refused},
                {"left_alone", others},
                {"bytes", report.bytes},
                {"seconds", seconds}},
               human);
}

std::string label_text(const StudyRecord& record) { return record.label ? std::to_string(*record.label) : "-"; }

// What a person should know about a usable study, though it is no reason to refuse it.
std::string remark_on(const StudyRecord& record) {
  if (record.modality == "CT" && record.statistics.minimum >= 0)
    return "a CT without negative values: probably stored as HU + 1024; ingest with --intensity-offset -1024";
  if (record.statistics.foreground_fraction < 0.005f) return "nearly everything is background";
  return "";
}

Result<std::string> examine(const StudyRecord& record, bool deep) {
  if (!record.usable) return record.reason;
  FOVEA_TRY_ASSIGN(BrickVolume bricks, BrickVolume::open(record.bricks, record.volume_key));
  if (deep) {
    FOVEA_TRY_ASSIGN(const Volume whole, bricks.read_all());
    if (whole.geometry != record.geometry)
      return corruption("the stored volume is not the one in the catalogue (ingest the study again)");
  }
  FOVEA_TRY_ASSIGN(BrickVolume coarse, BrickVolume::open(record.level_2mm, record.volume_key));
  if (deep) FOVEA_TRY(coarse.read_all());
  return remark_on(record);
}

// Patients whose studies lie in more than one split: what is learned from one is tested on the other.
std::size_t patients_across_splits(const std::vector<StudyRecord>& records) {
  std::map<std::string, std::set<Split>> splits;
  for (const StudyRecord& record : records)
    if (record.usable) splits[record.patient_code].insert(record.split);
  return static_cast<std::size_t>(
      std::count_if(splits.begin(), splits.end(), [](const auto& entry) { return entry.second.size() > 1; }));
}

std::vector<MarkedBox> finding_boxes(const StudyRecord& record) {
  std::vector<MarkedBox> out;
  for (const Finding& finding : record.findings)
    out.push_back({finding.center_mm,
                   std::max(16.0, 1.5 * finding.diameter_mm),
                   {255, 96, 0},
                   number(finding.diameter_mm, "%.0f") + " MM"});
  return out;
}

}  // namespace

Result<void> run_data_ingest(const Console& console, const std::filesystem::path& data_folder,
                             const IngestRequest& request) {
  const auto started = std::chrono::steady_clock::now();
  FOVEA_TRY_ASSIGN(const IngestSettings settings, settings_of(request));
  FOVEA_TRY_ASSIGN(const FoundStudies found, gather(console, request, settings));
  FOVEA_TRY_ASSIGN(StudyCatalogue catalogue, StudyCatalogue::open(data_folder, true));
  ProgressLine line(console);
  FOVEA_TRY_ASSIGN(const IngestReport report,
                   ingest(catalogue, found.sources, settings, [&line](const IngestProgress& p) { line(p); }));
  print_report(console, report, found,
               std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count());
  if (report.taken + report.already_there == 0)
    return invalid_argument(found.sources.empty()
                                ? "data ingest: no scans found (expected .nii, .nii.gz, .nrrd, .mha or DICOM series)"
                                : "data ingest: every study was refused; the reasons are above");
  return {};
}

Result<void> run_data_list(const Console& console, const std::filesystem::path& data_folder, bool with_identity) {
  FOVEA_TRY_ASSIGN(const StudyCatalogue catalogue, StudyCatalogue::open(data_folder, false));
  FOVEA_TRY_ASSIGN(const std::vector<StudyRecord> records, catalogue.list());
  Json studies = Json::array();
  std::vector<std::vector<std::string>> table{
      {"study", "patient", "split", "label", "findings", "modality", "size", "spacing mm", "state"}};
  for (const StudyRecord& record : records) {
    studies.push_back(record_json(record));
    if (with_identity) {
      FOVEA_TRY_ASSIGN(const StudyIdentity identity, catalogue.identity(record.code));
      studies.back()["identity"] = identity_json(identity);
    }
    const std::string findings = record.has_mask ? std::to_string(record.findings.size()) : "-";
    const std::string modality = record.modality.empty() ? "-" : record.modality;
    if (record.usable)
      table.push_back({record.code, record.patient_code, std::string(to_string(record.split)), label_text(record),
                       findings, modality, triple(record.geometry.size), triple(record.geometry.spacing_mm), "usable"});
    else
      table.push_back({record.code, record.patient_code, std::string(to_string(record.split)), label_text(record), "-",
                       "-", "-", "-", "refused"});
  }
  FOVEA_TRY_ASSIGN(const CatalogueCounts counts, catalogue.counts());
  console.data("data list", {{"studies", studies}, {"usable", counts.usable}, {"refused", counts.refused}},
               text_table(table) + "\n" + std::to_string(counts.usable) + " usable, " + std::to_string(counts.refused) +
                   " refused");
  return {};
}

Result<void> run_data_check(const Console& console, const std::filesystem::path& data_folder, bool deep) {
  FOVEA_TRY_ASSIGN(const StudyCatalogue catalogue, StudyCatalogue::open(data_folder, false));
  FOVEA_TRY_ASSIGN(const std::vector<StudyRecord> records, catalogue.list());
  Json studies = Json::array();
  std::vector<std::vector<std::string>> table{{"study", "state", "remark"}};
  std::size_t damaged = 0;
  for (const StudyRecord& record : records) {
    const Result<std::string> remark = examine(record, deep);
    const std::string state = !remark ? "damaged" : record.usable ? "usable" : "refused";
    const std::string text = remark ? *remark : remark.error().message;
    damaged += remark ? 0u : 1u;
    studies.push_back({{"code", record.code}, {"state", state}, {"remark", text}});
    if (state != "usable" || !text.empty()) table.push_back({record.code, state, text});
  }
  const std::size_t leaking = patients_across_splits(records);
  std::string human = table.size() > 1 ? text_table(table) + "\n" : "";
  human += std::to_string(records.size()) + " studies checked, " + std::to_string(damaged) + " damaged";
  if (leaking > 0)
    human += "\nwarning: " + std::to_string(leaking) +
             " patients have studies in more than one split; their test results mean little";
  console.data("data check", {{"studies", studies}, {"damaged", damaged}, {"patients_in_several_splits", leaking}},
               human);
  if (damaged > 0)
    return corruption("data check: " + std::to_string(damaged) + " studies are damaged on disk; ingest them again");
  return {};
}

Result<void> run_data_show(const Console& console, const std::filesystem::path& data_folder,
                           const ShowRequest& request) {
  FOVEA_TRY_ASSIGN(const StudyCatalogue catalogue, StudyCatalogue::open(data_folder, false));
  FOVEA_TRY_ASSIGN(const StudyRecord record, catalogue.find(request.code));
  Json json = record_json(record);
  std::string human = record.code + " · " + record.patient_code + " · " + std::string(to_string(record.split)) +
                      " · label " + label_text(record);
  if (record.usable) {
    human += "\n" + triple(record.geometry.size) + " voxels of " + triple(record.geometry.spacing_mm) + " mm" +
             (record.modality.empty() ? "" : ", " + record.modality);
    human += "\nintensities " + number(record.statistics.minimum, "%g") + " … " +
             number(record.statistics.maximum, "%g") + ", foreground median " + number(record.statistics.median, "%g") +
             " (16–84 %: " + number(record.statistics.p16, "%g") + " – " + number(record.statistics.p84, "%g") + ")";
    for (const Finding& finding : record.findings)
      human += "\nfinding of label " + std::to_string(finding.label) + " at " + number(finding.center_mm[0], "%.1f") +
               ", " + number(finding.center_mm[1], "%.1f") + ", " + number(finding.center_mm[2], "%.1f") +
               " mm, diameter " + number(finding.diameter_mm, "%.1f") + " mm";
  } else {
    human += "\nrefused: " + record.reason;
  }
  if (request.with_identity) {
    FOVEA_TRY_ASSIGN(const StudyIdentity identity, catalogue.identity(record.code));
    json["identity"] = identity_json(identity);
    human += "\nstudy " + identity.study + ", patient " + identity.patient + ", image " + identity.image +
             (identity.mask.empty() ? "" : ", mask " + identity.mask);
  }
  if (!request.picture.empty()) {
    if (!record.usable) return failed_precondition("data show: a refused study has no picture");
    FOVEA_TRY_ASSIGN(BrickVolume volume, BrickVolume::open(record.bricks, record.volume_key));
    FOVEA_TRY_ASSIGN(const Picture picture, draw_montage(volume, finding_boxes(record), {}));
    FOVEA_TRY(write_png(request.picture, picture));
    json["picture"] = request.picture.string();
    human += "\npicture in " + request.picture.string();
  }
  console.data("data show", json, human);
  return {};
}

Result<void> run_data_export(const Console& console, const std::filesystem::path& data_folder,
                             const std::vector<std::string>& codes, const std::filesystem::path& out) {
  FOVEA_TRY_ASSIGN(const StudyCatalogue catalogue, StudyCatalogue::open(data_folder, false));
  std::error_code ignored;
  const bool into_folder = std::filesystem::is_directory(out, ignored);
  if (codes.size() > 1 && !into_folder) return invalid_argument("--out: expected a folder for several studies");
  Json files = Json::array();
  std::string human;
  for (const std::string& code : codes) {
    FOVEA_TRY_ASSIGN(const StudyRecord record, catalogue.find(code));
    if (!record.usable)
      return failed_precondition("data export: " + code + " was refused and has no volume: " + record.reason);
    FOVEA_TRY_ASSIGN(BrickVolume bricks, BrickVolume::open(record.bricks, record.volume_key));
    FOVEA_TRY_ASSIGN(const Volume volume, bricks.read_all());
    const std::filesystem::path file = into_folder ? out / (code + ".nrrd") : out;
    FOVEA_TRY(write_nrrd(file, volume));
    files.push_back({{"code", code}, {"file", file.string()}});
    human += code + ": " + triple(volume.geometry.size) + " voxels in " + file.string() + "\n";
  }
  console.data("data export", {{"files", files}},
               human + "these are a patient's scans: data forget does not find them");
  return {};
}

Result<void> run_data_forget(const Console& console, const std::filesystem::path& data_folder, const std::string& code,
                             std::int64_t unix_ms) {
  FOVEA_TRY_ASSIGN(StudyCatalogue catalogue, StudyCatalogue::open(data_folder, false));
  FOVEA_TRY(catalogue.forget(code, unix_ms));
  console.data("data forget", {{"code", code}, {"forgotten", true}},
               code + " forgotten: volumes, findings and identity are deleted; the erasure is on record");
  return {};
}

Result<std::uint64_t> memory_allowance(CommandContext& context) {
  std::error_code failed;
  if (!std::filesystem::exists(context.folder().config(), failed)) return IntakeConfig{}.memory_bytes;
  FOVEA_TRY_ASSIGN(const NodeConfig config, context.config());
  return config.intake.memory_bytes;
}

namespace {

// Opened before anything is deleted: an erasure that cannot be recorded does not begin. None where no federation was
// joined.
Result<std::optional<federation::Ledger>> erasure_ledger(const SiteFolder& folder) {
  const Result<federation::Invite> invite = folder.invite();
  const Result<federation::RosterSite> site = folder.site();
  if (!invite || !site) return std::optional<federation::Ledger>{};
  FOVEA_TRY_ASSIGN(SiteKeys keys, folder.keys());
  Result<federation::Ledger> ledger =
      federation::Ledger::open({.folder = folder.ledger(),
                                .origin = federation::ledger_origin(invite->federation, site->id.text()),
                                .key = std::move(keys.log)});
  if (!ledger && ledger.error().code == ErrorCode::failed_precondition)
    return failed_precondition("data forget: the running node has the ledger open; stop it, forget, start it again (" +
                               ledger.error().message + ")");
  if (!ledger) return ledger.error();
  return std::optional<federation::Ledger>(std::move(ledger).value());
}

Result<void> record_erasure(std::optional<federation::Ledger>& ledger, const std::string& what, UnixMs now) {
  if (!ledger) return {};
  const federation::LedgerEntry entry = federation::Incident{"erasure", what};
  FOVEA_TRY(ledger->append(now, {&entry, 1}));
  return ledger->publish();
}

// On record before anything is deleted and again when all is: a crash between leaves the first entry, and a study that
// is still in the list can be forgotten once more.
Result<void> forget_study(CommandContext& context, const std::string& code, bool agreed) {
  const std::filesystem::path data = context.folder().data();
  {
    FOVEA_TRY_ASSIGN(const StudyCatalogue catalogue, StudyCatalogue::open(data, false));
    FOVEA_TRY_ASSIGN(const StudyRecord record, catalogue.find(code));
    const std::string what = code + " (" + (record.modality.empty() ? "" : record.modality + ", ") +
                             triple(record.geometry.size) + " voxels)";
    if (!agreed && !context.console.confirmed("delete the volumes, embeddings and identity of " + what + " for good?"))
      return failed_precondition("data forget: not confirmed; nothing was deleted");
  }
  FOVEA_TRY_ASSIGN(std::optional<federation::Ledger> ledger, erasure_ledger(context.folder()));
  FOVEA_TRY(record_erasure(ledger, "study " + code + ": is being deleted", context.clock.wall()));
  FOVEA_TRY(run_data_forget(context.console, data, code, context.clock.wall().value));
  return record_erasure(ledger, "study " + code + ": volumes, embeddings and identity were deleted",
                        context.clock.wall());
}

void add_ingest_command(CLI::App& data, CommandContext& context) {
  CLI::App* take = data.add_subcommand("ingest", "Take in scans: NIfTI, NRRD, MHA, DICOM series");
  auto request = std::make_shared<IngestRequest>();
  take->add_option("paths", request->paths, "Folders and files; a folder with a studies.csv is taken by that table");
  take->add_option("--manifest", request->manifest,
                   "CSV table: study,patient,image,mask,split,label; paths relative to it");
  take->add_option("--finding", request->finding_labels,
                   "Labels of the masks that are findings, e.g. 3,4 (all when not given)");
  take->add_option("--labels", request->labels, "CSV table of study labels: study,label[,split]");
  take->add_option("--points", request->points,
                   "CSV table of findings: study,x_mm,y_mm,z_mm,radius_mm[,label], patient coordinates (LPS)");
  take->add_option("--split", request->split, "For scans without a table: train, validation or test")
      ->capture_default_str();
  take->add_option("--intensity-offset", request->intensity_offset,
                   "Added to every voxel, e.g. -1024 for a CT stored as HU + 1024");
  take->add_flag("--n4", request->correct_bias,
                 "Divide MR by its bias field (N4): for plans that say intake.n4 = true");
  take->add_option("--workers", request->workers, "Scans taken in at once (one a core when not given)");
  take->callback([&context, request] {
    context.console.run("data ingest", [&]() -> Result<void> {
      FOVEA_TRY_ASSIGN(request->memory_bytes, memory_allowance(context));
      return run_data_ingest(context.console, context.folder().data(), *request);
    });
  });
}

}  // namespace

void add_data_commands(CLI::App& app, CommandContext& context) {
  CLI::App* data = app.add_subcommand("data", "Scans of this site: take in, list, check, show, export, forget");
  data->require_subcommand(1);

  add_ingest_command(*data, context);
  add_listen_command(*data, context);

  CLI::App* list = data->add_subcommand("list", "Studies in the catalogue");
  auto named = std::make_shared<bool>(false);
  list->add_flag("--identity", *named, "With --json, also what is sealed: names and files. For this terminal only");
  list->callback([&context, named] {
    context.console.run("data list", [&] { return run_data_list(context.console, context.folder().data(), *named); });
  });

  CLI::App* check = data->add_subcommand("check", "Which studies are usable, and why others are not");
  auto deep = std::make_shared<bool>(false);
  check->add_flag("--deep", *deep, "Also read every stored voxel and compare checksums");
  check->callback([&context, deep] {
    context.console.run("data check", [&] { return run_data_check(context.console, context.folder().data(), *deep); });
  });

  CLI::App* show = data->add_subcommand("show", "One study: its facts, and a picture of its findings");
  auto shown = std::make_shared<ShowRequest>();
  show->add_option("code", shown->code, "The study's code, from data list")->required();
  show->add_option("--out", shown->picture, "Write a PNG of slices with the findings' boxes");
  show->add_flag("--identity", shown->with_identity,
                 "Also print what is sealed: names and files. For this terminal only");
  show->callback([&context, shown] {
    context.console.run("data show", [&] { return run_data_show(context.console, context.folder().data(), *shown); });
  });

  CLI::App* written = data->add_subcommand("export", "Write stored volumes as NRRD, to be looked at with other tools");
  struct Export {
    std::vector<std::string> codes;
    std::filesystem::path out;
  };
  auto exported = std::make_shared<Export>();
  written->add_option("codes", exported->codes, "The studies' codes, from data list")->required();
  written
      ->add_option("--out", exported->out,
                   "The file to write (.nrrd), or a folder for CODE.nrrd; nothing is overwritten")
      ->required();
  written->callback([&context, exported] {
    context.console.run("data export", [&] {
      return run_data_export(context.console, context.folder().data(), exported->codes, exported->out);
    });
  });

  CLI::App* forget = data->add_subcommand("forget", "Delete a study's volumes and identity, and record the erasure");
  auto code = std::make_shared<std::string>();
  forget->add_option("code", *code, "The study's code, from data list")->required();
  auto agreed = std::make_shared<bool>(false);
  forget->add_flag("--yes", *agreed, "Do not ask first (nobody is asked without a terminal)");
  forget->callback([&context, code, agreed] {
    context.console.run("data forget", [&] { return forget_study(context, *code, *agreed); });
  });
}

}  // namespace fovea::node

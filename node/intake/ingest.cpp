#include "node/intake/ingest.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "common/durable_file.h"
#include "crypto/hash.h"
#include "crypto/secret_bytes.h"
#include "node/intake/files_at_rest.h"
#include "node/intake/study_intake.h"
#include "node/intake/work_list.h"

namespace fovea::node::intake {
namespace {

// Raised when bricks, levels, statistics or findings come out differently, so that studies are ingested again.
constexpr std::uint64_t kIntakeVersion = 5;

// Rows are kept in batches, so that one wait for the disk serves many studies. A crash costs at most one batch.
constexpr std::size_t kBatchStudies = 64;
constexpr std::uint64_t kBatchBytes = 512u << 20;  // of files read

std::vector<std::filesystem::path> files_of(const StudySource& source) {
  std::vector<std::filesystem::path> out = source.images;
  if (source.mask) out.push_back(*source.mask);
  return out;
}

// What the workers share.
class IngestRun {
 public:
  IngestRun(store::StudyCatalogue& catalogue, const std::vector<StudySource>& sources, const IngestSettings& settings,
            const std::function<void(const IngestProgress&)>& progress)
      : catalogue_(catalogue),
        sources_(sources),
        settings_(settings),
        progress_(progress),
        work_list_(sources),
        content_key_(catalogue.content_key()) {}

  // Before the workers: what the catalogue holds, so that a new study need not be looked up.
  Result<void> begin() {
    FOVEA_TRY_ASSIGN(known_, catalogue_.codes());
    return {};
  }

  // A worker's whole life.
  void work(unsigned worker) {
    Result<ScanParser> parser = ScanParser::start(settings_.parser_program, settings_.limits, settings_.scan_files);
    if (!parser) return stop(parser.error());
    while (!stopped_) {
      const std::optional<std::size_t> next = work_list_.next(worker);
      if (!next) break;
      if (Result<void> done = process(*parser, *next); !done) return stop(done.error());
    }
    if (Result<void> done = keep_waiting_rows(); !done) stop(done.error());
  }

  Result<IngestReport> report() {
    if (failure_) return *failure_;
    for (auto& [number, refusal] : refused_) report_.refused.push_back(std::move(refusal));
    return std::move(report_);
  }

 private:
  void stop(Error error) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(error);
    stopped_ = true;
  }

  std::string fingerprint(const StudySource& source, const ContentTags& contents) const {
    crypto::TaggedHash hash("FOVEA/1/intake fingerprint");
    hash.add_u64(kIntakeVersion).add(contents.image).add(contents.mask).add(source.identity.patient);
    hash.add_u64(source.mask ? 1 : 0)
        .add_u64(static_cast<std::uint64_t>(source.split))
        .add_u64(source.label ? static_cast<std::uint64_t>(*source.label) : 2);
    hash.add(std::to_string(settings_.intensity_offset));
    hash.add_u64(settings_.correct_bias ? 1 : 0);
    for (const std::int32_t label : settings_.finding_labels) hash.add_u64(static_cast<std::uint64_t>(label));
    // Salted: an unsalted hash would let anyone who has the scan recognise it.
    return catalogue_.study_code(hash.finish());
  }

  std::string code_of(const StudySource& source, const Result<ContentTags>& contents) const {
    if (contents) return catalogue_.study_code(contents->image);
    crypto::TaggedHash hash("FOVEA/1/unreadable study");
    hash.add(source.identity.study).add(source.images.front().string());
    return catalogue_.study_code(hash.finish());
  }

  // Whether this study still has to be ingested; claims its code if so. The row of an earlier ingest with other
  // settings is withdrawn before its files are replaced: a crash must not leave a row that describes half-replaced
  // files.
  Result<bool> claim(const std::string& code, const std::string& print) {
    const std::lock_guard lock(mutex_);
    if (!claimed_.insert(code).second) return false;
    if (!known_.contains(code)) return true;
    FOVEA_TRY_ASSIGN(const auto known, catalogue_.fingerprint(code));
    if (!known) return true;
    FOVEA_TRY_ASSIGN(store::StudyRecord record, catalogue_.find(code));
    if (!record.usable) return true;
    if (*known == print && std::filesystem::exists(record.bricks) && std::filesystem::exists(record.level_2mm))
      return false;
    FOVEA_TRY_ASSIGN(const store::StudyIdentity identity, catalogue_.identity(code));
    record.usable = false;
    record.reason = "a repeated ingest of it was interrupted (ingest it again)";
    const store::CatalogueEntry withdrawn{std::move(record), identity, ""};
    FOVEA_TRY(catalogue_.add({&withdrawn, 1}));
    return true;
  }

  // Files before rows: a study is in the catalogue only when its volumes are on the disk.
  Result<void> keep_waiting_rows() {
    std::vector<store::CatalogueEntry> rows;
    {
      const std::lock_guard lock(mutex_);
      rows.swap(waiting_);
      waiting_bytes_ = 0;
    }
    if (rows.empty()) return {};
    FOVEA_TRY(sync_filesystem(catalogue_.volumes_folder()));
    const std::lock_guard lock(mutex_);
    return catalogue_.add(rows);
  }

  // With the lock held: whether it is time to keep the rows that wait.
  bool enough_waiting(std::uint64_t bytes) {
    waiting_bytes_ += bytes;
    return waiting_.size() >= kBatchStudies || waiting_bytes_ >= kBatchBytes;
  }

  bool is_still_changing(const FileStamps& files) const {
    return std::any_of(files.begin(), files.end(), [&](const auto& file) {
      return settings_.still_changing.contains(file.first) ||
             settings_.still_changing.contains(file.first.parent_path());
    });
  }

  Result<void> process(ScanParser& parser, std::size_t number) {
    const StudySource& source = sources_[number];
    const FileStamps stamps = stamps_of(files_of(source));
    Result<ContentTags> contents = tag_contents(source, settings_.scan_files, content_key_);
    if (is_still_changing(stamps)) contents = still_written();
    if (!contents && is_site_failure(contents.error())) return contents.error();
    const std::string code = code_of(source, contents);
    if (!contents) return refuse(number, code, contents.error(), "");
    const std::string print = fingerprint(source, *contents);
    FOVEA_TRY_ASSIGN(const bool fresh, claim(code, print));
    if (!fresh) {
      const std::lock_guard lock(mutex_);
      ++report_.already_there;
      tell(number, contents->bytes);
      return {};
    }
    Result<store::StudyRecord> record = ingest_study(parser, catalogue_, source, code, settings_);
    if (stamps_of(files_of(source)) != stamps) record = still_written();
    if (!record && is_site_failure(record.error())) return record.error();
    if (!record) return refuse(number, code, record.error(), print);
    bool flush = false;
    {
      const std::lock_guard lock(mutex_);
      record->patient_code = catalogue_.patient_code(source.identity.patient);
      waiting_.push_back({std::move(record).value(), source.identity, print});
      ++report_.ingested;
      tell(number, contents->bytes);
      flush = enough_waiting(contents->bytes);
    }
    return flush ? keep_waiting_rows() : Result<void>();
  }

  Result<void> refuse(std::size_t number, const std::string& code, const Error& why, const std::string& print) {
    const StudySource& source = sources_[number];
    store::StudyRecord record;
    record.code = code;
    record.split = source.split;
    record.label = source.label;
    record.reason = why.message;
    // An earlier, readable copy may have left volumes under this code; the catalogue no longer says that they are
    // there.
    const auto [bricks, level_2mm] = store::stored_files(catalogue_.volumes_folder(), code);
    for (const std::filesystem::path* const stale : {&bricks, &level_2mm}) {
      std::error_code ignored;
      std::filesystem::remove(*stale, ignored);
    }
    bool flush = false;
    {
      const std::lock_guard lock(mutex_);
      record.patient_code = catalogue_.patient_code(source.identity.patient);
      waiting_.push_back({std::move(record), source.identity, print});
      refused_[number] = {source.name, code, why.message};
      tell(number, 0);
      flush = enough_waiting(0);
    }
    return flush ? keep_waiting_rows() : Result<void>();
  }

  void tell(std::size_t number, std::uint64_t bytes_read) {  // with the lock held
    report_.bytes += bytes_read;
    done_bytes_ += work_list_.bytes(number);
    ++done_;
    if (progress_) progress_({done_, sources_.size(), done_bytes_, work_list_.total_bytes()});
  }

  store::StudyCatalogue& catalogue_;  // used with the lock held, but for its codes and paths, which never change
  const std::vector<StudySource>& sources_;
  const IngestSettings& settings_;
  const std::function<void(const IngestProgress&)>& progress_;
  WorkList work_list_;
  crypto::SecretKey content_key_;
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;  // guards what follows
  std::set<std::string> claimed_, known_;
  std::map<std::size_t, Refusal> refused_;
  std::vector<store::CatalogueEntry> waiting_;
  std::uint64_t waiting_bytes_ = 0;
  IngestReport report_;
  std::size_t done_ = 0;
  std::uint64_t done_bytes_ = 0;
  std::optional<Error> failure_;
};

}  // namespace

Result<IngestReport> ingest(store::StudyCatalogue& catalogue, const std::vector<StudySource>& sources,
                            const IngestSettings& settings,
                            const std::function<void(const IngestProgress&)>& progress) {
  IngestRun run(catalogue, sources, settings, progress);
  FOVEA_TRY(run.begin());
  const auto workers =
      static_cast<unsigned>(std::clamp<std::size_t>(settings.workers, 1, std::max<std::size_t>(1, sources.size())));
  {
    std::vector<std::jthread> threads;
    for (unsigned w = 0; w < workers; ++w) threads.emplace_back([&run, w] { run.work(w); });
  }
  return run.report();
}

}  // namespace fovea::node::intake

#include "node/intake/ingest.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "common/durable_file.h"
#include "crypto/hash.h"
#include "crypto/secret_bytes.h"
#include "node/intake/files_at_rest.h"
#include "node/intake/same_scan.h"
#include "node/intake/study_intake.h"
#include "node/intake/work_list.h"

namespace fovea::node::intake {
namespace {

// Raised when bricks, levels, statistics or findings come out differently, so that studies are ingested again.
constexpr std::uint64_t kIntakeVersion = 6;

// Rows are kept in batches, so that one wait for the disk serves many studies. A crash costs at most one batch.
constexpr std::size_t kBatchStudies = 64;
constexpr std::uint64_t kBatchBytes = 512u << 20;  // of files read

std::vector<std::filesystem::path> files_of(const StudySource& source) {
  std::vector<std::filesystem::path> out = source.images;
  if (source.mask) out.push_back(*source.mask);
  return out;
}

std::string label_text(std::optional<int> label) { return label ? std::to_string(*label) : "none"; }

// What a repeated ingest changed of what is said of a study; empty: nothing.
std::string changes(const store::StudyRecord& before, const store::StudyRecord& now) {
  std::string out;
  const auto add = [&out](std::string_view what, const std::string& from, const std::string& to) {
    if (from != to) out += (out.empty() ? "" : ", ") + std::string(what) + " " + from + " to " + to;
  };
  add("split", std::string(to_string(before.split)), std::string(to_string(now.split)));
  add("label", label_text(before.label), label_text(now.label));
  if (before.has_mask || now.has_mask)
    add("findings", before.has_mask ? std::to_string(before.findings.size()) : "not known",
        now.has_mask ? std::to_string(now.findings.size()) : "not known");
  if (before.patient_code != now.patient_code) out += std::string(out.empty() ? "" : ", ") + "another patient";
  return out;
}

// What to do about a source, as far as the catalogue tells.
struct Judgement {
  bool is_there = false;  // as a study that stays as it is
  std::string refusal;    // why it cannot be ingested; empty when it can
  std::string remark;
  StudySource source;  // with what is known of it from earlier
  std::string print;
  std::vector<std::string> replaces;
  std::optional<store::StudyRecord> before;  // what the catalogue said of it
};

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
    FOVEA_TRY_ASSIGN(first_, first_of_same_scan(sources_, settings_.scan_files, content_key_));
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
    for (auto& [number, remark] : remarks_) report_.remarks.push_back(std::move(remark));
    return std::move(report_);
  }

 private:
  void stop(Error error) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(error);
    stopped_ = true;
  }

  // From what and how the volume is made, then what is said of it.
  std::string volume_print(const ContentTags& contents) const {
    crypto::TaggedHash hash("FOVEA/1/intake fingerprint");
    hash.add_u64(kIntakeVersion).add(contents.image).add(std::to_string(settings_.intensity_offset));
    hash.add_u64(settings_.correct_bias ? 1 : 0);
    return catalogue_.study_code(hash.finish());
  }
  std::string fingerprint(const StudySource& source, const ContentTags& contents) const {
    crypto::TaggedHash hash("FOVEA/1/intake labels");
    hash.add(contents.mask).add(source.identity.patient).add_u64(source.mask ? 1 : 0);
    hash.add_u64(static_cast<std::uint64_t>(source.split))
        .add_u64(source.label ? static_cast<std::uint64_t>(*source.label) : 2);
    for (const std::int32_t label : settings_.finding_labels) hash.add_u64(static_cast<std::uint64_t>(label));
    // Salted: an unsalted hash would let anyone who has the scan recognise it.
    return volume_print(contents) + ' ' + catalogue_.study_code(hash.finish());
  }

  std::string code_of(const StudySource& source, const Result<ContentTags>& contents) const {
    if (contents && source.fault.empty()) return catalogue_.study_code(contents->image);
    crypto::TaggedHash hash("FOVEA/1/unreadable study");
    hash.add(source.identity.study);
    hash.add(source.origin.series.empty() ? source.images.front().string() : source.origin.series);
    return catalogue_.study_code(hash.finish());
  }

  static bool is_unlabelled(const StudySource& source) { return !source.is_of_table && !source.label && !source.mask; }

  // What nobody said of the source now is as it was.
  Result<void> inherit(const store::StudyRecord& record, StudySource& source) const {
    if (!source.split_is_stated) source.split = record.split;
    if (source.patient_is_guessed) {
      FOVEA_TRY_ASSIGN(store::StudyIdentity identity, catalogue_.identity(record.code));
      source.identity.patient = std::move(identity.patient);
    }
    return {};
  }

  // With the lock held: how the source stands to the studies of its series under other codes.
  Result<void> judge_series(const std::string& code, Judgement& out) {
    const StudySource& source = out.source;
    if (source.origin.series.empty()) return {};
    FOVEA_TRY_ASSIGN(const std::vector<store::SeriesStudy> studies, catalogue_.studies_of_series(source.origin.series));
    for (const store::SeriesStudy& study : studies) {
      if (study.record.code == code) continue;
      const SeriesRelation relation = relation_to(study.origin, source.origin);
      const bool is_sibling = relation == SeriesRelation::beside ||
                              (relation == SeriesRelation::same && study.origin.part != source.part);
      if (is_sibling) continue;
      if (relation == SeriesRelation::same || relation == SeriesRelation::larger) {
        out.replaces.push_back(study.record.code);
        if (!study.record.usable) continue;
        out.remark = "replaces " + study.record.code +
                     (relation == SeriesRelation::larger ? ", which was a part of its series"
                                                         : ", the same slices in other files");
        out.before = study.record;
      } else if (study.record.usable && relation == SeriesRelation::smaller) {
        out.is_there = true;
        out.remark = "a part of the series that is here as " + study.record.code;
      } else if (study.record.usable) {
        out.refusal = "another part of this series is here as " + study.record.code +
                      ", and neither holds the other's slices: ingest all files of the series together";
      }
    }
    if (!out.before) return {};
    FOVEA_TRY(inherit(*out.before, out.source));
    if (is_unlabelled(out.source)) out.source.label = out.before->label;
    return {};
  }

  // With the lock held: claims the code, and says whether this study still has to be ingested. The row of an earlier
  // ingest with other settings is withdrawn before its files are replaced: a crash must not leave a row that describes
  // half-replaced files.
  Result<Judgement> judge(std::size_t number, const std::string& code, const ContentTags& contents) {
    Judgement out;
    out.source = sources_[number];
    out.source.origin.part = out.source.part;
    if (!claimed_.insert(code).second) {
      out.is_there = true;
      out.remark = "the same contents as another file of this ingest";
      return out;
    }
    FOVEA_TRY(judge_series(code, out));
    out.print = fingerprint(out.source, contents);
    if (out.is_there || !out.refusal.empty() || !known_.contains(code)) return out;
    FOVEA_TRY_ASSIGN(const auto known, catalogue_.fingerprint(code));
    if (!known) return out;
    FOVEA_TRY_ASSIGN(store::StudyRecord record, catalogue_.find(code));
    if (!record.usable) return out;
    FOVEA_TRY(inherit(record, out.source));
    out.print = fingerprint(out.source, contents);
    const bool is_whole = std::filesystem::exists(record.bricks) && std::filesystem::exists(record.level_2mm);
    const bool is_labelled = record.label || record.has_mask;
    if (is_whole && is_unlabelled(out.source) && is_labelled && known->starts_with(volume_print(contents))) {
      out.is_there = true;
      out.remark = "is here with a label or mask, and both stay: nothing was said of them now";
      return out;
    }
    out.is_there = is_whole && *known == out.print;
    if (out.is_there) return out;
    out.before = record;
    FOVEA_TRY_ASSIGN(const store::StudyIdentity identity, catalogue_.identity(code));
    record.usable = false;
    record.reason = "a repeated ingest of it was interrupted (ingest it again)";
    const store::CatalogueEntry withdrawn{std::move(record), identity, ""};
    FOVEA_TRY(catalogue_.add({&withdrawn, 1}));
    return out;
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
    if (!source.fault.empty())
      return refuse(number, code_of(source, ContentTags{}), invalid_argument(source.fault), "");
    if (first_[number] != number) {
      const std::lock_guard lock(mutex_);
      remarks_[number] = {source.name, "", "the same scan as another file of this ingest: it counts once"};
      ++report_.already_there;
      tell(number, 0);
      return {};
    }
    const FileStamps stamps = stamps_of(files_of(source));
    Result<ContentTags> contents = tag_contents(source, settings_.scan_files, content_key_);
    if (!source.damage.empty())
      contents = invalid_argument(source.damage).with_context("a damaged or unreadable file of this series");
    if (is_still_changing(stamps)) contents = still_written();
    if (!contents && is_site_failure(contents.error())) return contents.error();
    const std::string code = code_of(source, contents);
    if (!contents) return refuse(number, code, contents.error(), "");
    FOVEA_TRY_ASSIGN(Judgement judgement, judge_and_tell(number, code, *contents));
    if (judgement.is_there) return {};
    if (!judgement.refusal.empty()) return refuse(number, code, invalid_argument(judgement.refusal), judgement.print);
    Result<IngestedStudy> study = ingest_study(parser, catalogue_, judgement.source, code, settings_);
    if (stamps_of(files_of(source)) != stamps) study = still_written();
    if (!study && is_site_failure(study.error())) return study.error();
    if (!study) return refuse(number, code, study.error(), judgement.print);
    FOVEA_TRY_ASSIGN(const Kept kept,
                     keep(number, judgement, std::move(study->record), {study->volume, contents->bytes, study->note}));
    if (!kept.refusal.empty()) return refuse(number, code, invalid_argument(kept.refusal), judgement.print);
    return kept.is_time ? keep_waiting_rows() : Result<void>();
  }

  Result<Judgement> judge_and_tell(std::size_t number, const std::string& code, const ContentTags& contents) {
    const std::lock_guard lock(mutex_);
    FOVEA_TRY_ASSIGN(Judgement out, judge(number, code, contents));
    if (!out.is_there) return out;
    if (!out.remark.empty()) remarks_[number] = {out.source.name, code, out.remark};
    ++report_.already_there;
    tell(number, contents.bytes);
    return out;
  }

  // What a source that is about to be kept says differently of the scan than a study of the same voxels.
  std::string contradictions(const StudySource& source, const store::StudyRecord& now,
                             const store::StudyRecord& there) const {
    std::string out;
    const auto add = [&out](bool differ, std::string_view what) {
      if (differ) out += (out.empty() ? "" : ", ") + std::string(what);
    };
    add(!source.patient_is_guessed && now.patient_code != there.patient_code, "patient");
    add(source.split_is_stated && now.split != there.split, "split");
    add(now.label && now.label != there.label, "label");
    add(source.mask && now.findings.size() != there.findings.size(), "mask");
    return out;
  }

  // With the lock held: another study of the same voxels, kept or about to be.
  Result<std::optional<store::StudyRecord>> same_volume(const std::string& code, const Judgement& judgement,
                                                        const crypto::GmacTag& volume) const {
    const auto is_other = [&](const store::StudyRecord& record) {
      return record.code != code &&
             std::find(judgement.replaces.begin(), judgement.replaces.end(), record.code) == judgement.replaces.end();
    };
    if (const auto found = volumes_.find(volume); found != volumes_.end() && is_other(found->second))
      return std::optional(found->second);
    FOVEA_TRY_ASSIGN(const std::vector<store::StudyRecord> studies, catalogue_.studies_of_volume(volume));
    for (const store::StudyRecord& record : studies)
      if (is_other(record)) return std::optional(record);
    return std::optional<store::StudyRecord>();
  }

  struct Kept {
    bool is_time = false;  // to keep the rows that wait
    std::string refusal;   // why the study was not kept after all
  };
  struct Read {
    crypto::GmacTag volume;
    std::uint64_t bytes = 0;
    std::string note;
  };
  Result<Kept> keep(std::size_t number, Judgement& judgement, store::StudyRecord record, const Read& read) {
    const std::lock_guard lock(mutex_);
    StudySource& source = judgement.source;
    record.patient_code = catalogue_.patient_code(source.identity.patient);
    FOVEA_TRY_ASSIGN(const auto twin, same_volume(record.code, judgement, read.volume));
    if (twin) {
      const std::string different = contradictions(source, record, *twin);
      if (!different.empty())
        return Kept{.refusal = "the same scan, voxel by voxel, is here as " + twin->code + ", but with another " +
                               different + "; one scan is one study: correct one of them, or forget the other"};
      remove_volumes(record.code);
      remarks_[number] = {source.name, twin->code, "the same scan, voxel by voxel, in other files: it counts once"};
      ++report_.already_there;
      tell(number, read.bytes);
      return Kept{};
    }
    std::string& remark = judgement.remark;
    if (judgement.before)
      if (const std::string changed = changes(*judgement.before, record); !changed.empty())
        add_note(remark, "changed: " + changed);
    add_note(remark, read.note);
    if (!remark.empty()) remarks_[number] = {source.name, record.code, remark};
    source.origin.volume.assign(read.volume.begin(), read.volume.end());
    volumes_.insert_or_assign(read.volume, record);
    waiting_.push_back({std::move(record), source.identity, std::move(judgement.print), std::move(source.origin),
                        std::move(judgement.replaces)});
    ++report_.ingested;
    tell(number, read.bytes);
    return Kept{.is_time = enough_waiting(read.bytes), .refusal = ""};
  }

  void remove_volumes(const std::string& code) const {
    const auto [bricks, level_2mm] = store::stored_files(catalogue_.volumes_folder(), code);
    for (const std::filesystem::path* const stale : {&bricks, &level_2mm}) {
      std::error_code ignored;
      std::filesystem::remove(*stale, ignored);
    }
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
    remove_volumes(code);
    bool flush = false;
    {
      const std::lock_guard lock(mutex_);
      record.patient_code = catalogue_.patient_code(source.identity.patient);
      store::StudyOrigin origin = source.origin;
      origin.part = source.part;
      waiting_.push_back({std::move(record), source.identity, print, std::move(origin)});
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
  std::vector<std::size_t> first_;  // of the sources of one scan
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;  // guards what follows
  std::set<std::string> claimed_, known_;
  std::map<std::size_t, Refusal> refused_;
  std::map<std::size_t, Remark> remarks_;
  std::map<crypto::GmacTag, store::StudyRecord> volumes_;  // of this run: on their way to the catalogue, or in it
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

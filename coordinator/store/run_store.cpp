#include "coordinator/store/run_store.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <span>
#include <system_error>
#include <utility>

#include "common/check.h"
#include "common/codec.h"
#include "common/durable_file.h"
#include "common/json_fields.h"
#include "common/numbers.h"
#include "coordinator/store/published_sum.h"
#include "coordinator/store/round_record.h"
#include "federation/model/initial_weights.h"
#include "federation/model/layout.h"
#include "federation/model/safetensors.h"
#include "federation/secagg/framed_journal.h"

namespace fovea::coordinator::store {
namespace {

namespace fs = std::filesystem;
using federation::files::RecordFile;

constexpr std::size_t kPublicationBytesMax = std::size_t{1} << 30U;
constexpr std::size_t kRepeatBytesMax = std::size_t{256} << 20U;
constexpr std::uint32_t kModelsKept = 2;  // the newest, and the one before it should the newest be unreadable

fs::path numbered(const fs::path& folder, std::uint32_t number, const char* extension) {
  std::string digits = std::to_string(number);
  digits.insert(0, 6 - std::min<std::size_t>(6, digits.size()), '0');
  return folder / (digits + extension);
}

Bytes round_header(RoundNumber round) {
  ByteWriter writer;
  writer.u32(round);
  return std::move(writer).take();
}

Result<RecordFile> open_records(const fs::path& path) {
  return RecordFile::open(path, RecordFile::Retain::at_open, FileMode::normal);
}

// In the folder of runs: a run that is being made, or the rest of a start that was killed meanwhile.
constexpr const char* kUnfinishedRun = ".unfinished";

constexpr std::uint64_t kRunFormat = 1;

// The round that a journal begins with; a kill can have left half of that record, or none.
Result<std::optional<RoundNumber>> round_of_journal(const fs::path& file) {
  const Bytes one = federation::secagg::frame_record(round_header(1));
  std::error_code error;
  if (!fs::exists(file, error)) return std::optional<RoundNumber>();
  // Opening a pipe would wait for somebody who writes into it.
  if (!fs::is_regular_file(file, error)) return invalid_argument(file.string() + ": is not a regular file");
  Bytes head(one.size());
  std::ifstream in(file, std::ios::binary);
  if (!in.read(reinterpret_cast<char*>(head.data()), static_cast<std::streamsize>(head.size())))
    return std::optional<RoundNumber>();
  const auto contents = federation::secagg::read_journal(head);
  if (!contents) return contents.error().with_context(file.string());
  if (contents->records.empty()) return std::optional<RoundNumber>();
  ByteReader reader(contents->records.front());
  FOVEA_TRY_ASSIGN(const RoundNumber round, reader.u32("round"));
  return std::optional(round);
}

}  // namespace

Result<RunFacts> read_run_facts(const fs::path& folder) {
  const fs::path file = folder / "run.json";
  constexpr std::size_t kFactsBytesMax = 64 * 1024;
  const auto bytes = read_file(file, kFactsBytesMax);
  if (!bytes && bytes.error().code == ErrorCode::not_found)
    return not_found(file.string() + ": is missing; bring it back from a backup");
  if (!bytes) return bytes.error();
  FOVEA_TRY_ASSIGN(const nlohmann::json facts, parse_json(*bytes, "run.json", kFactsBytesMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(facts, "run.json"));
  FOVEA_TRY_ASSIGN(const std::uint64_t format, fields.integer("fovea_run", 1, std::uint64_t{1} << 53U));
  if (format != kRunFormat)
    return invalid_argument(fields.path_of("fovea_run") + ": " + std::to_string(format) +
                            " is the format of a newer version of Fovea, which can read this run; this one reads " +
                            std::to_string(kRunFormat));
  RunFacts out;
  FOVEA_TRY_ASSIGN(const std::string run, fields.text("run", 32, 32));
  FOVEA_TRY_ASSIGN(out.run, RunId::parse(run));
  FOVEA_TRY_ASSIGN(out.plan, fields.hex<32>("plan"));
  FOVEA_TRY_ASSIGN(const std::uint64_t started, fields.integer("started_ms", 0, std::uint64_t{1} << 53U));
  out.started = UnixMs{static_cast<std::int64_t>(started)};
  FOVEA_TRY(fields.finish());
  return out;
}

// A run's folder appears whole, under its name, by one rename: one without run.json is damaged, and never the rest of a
// start that was killed.
Result<RunStore> RunStore::make(const fs::path& folder, const RunId& run, ByteView plan_bytes, UnixMs now) {
  FOVEA_TRY_ASSIGN(const federation::membership::Plan plan, federation::membership::Plan::parse(plan_bytes));
  const fs::path unfinished = folder.parent_path() / kUnfinishedRun;
  std::error_code error;
  fs::remove_all(unfinished, error);
  if (error) return unavailable(unfinished.string() + ": cannot be removed: " + error.message());
  for (const char* part : {"publications", "models"}) FOVEA_TRY(create_directories_durably(unfinished / part));
  FOVEA_TRY(write_file_durably(unfinished / "plan.json", plan_bytes));
  const nlohmann::ordered_json facts = {
      {"fovea_run", kRunFormat}, {"run", run.text()}, {"plan", to_hex(plan.hash)}, {"started_ms", now.value}};
  FOVEA_TRY(write_file_durably(unfinished / "run.json", as_bytes(facts.dump(1) + "\n")));
  FOVEA_TRY(rename_folder_durably(unfinished, folder));
  return open(folder);
}

Result<RunStore> RunStore::create(const fs::path& folder, const RunId& run, ByteView plan_bytes, UnixMs now) {
  if (fs::exists(folder)) return failed_precondition(folder.string() + ": exists; a run is made in a new folder");
  auto made = make(folder, run, plan_bytes, now);
  if (made) return made;
  std::error_code ignored;  // a start that fails leaves no run behind
  for (const fs::path& rest : {folder, folder.parent_path() / kUnfinishedRun}) fs::remove_all(rest, ignored);
  return made;
}

Result<RunStore> RunStore::open(const fs::path& folder) {
  FOVEA_TRY(read_run_facts(folder));  // before anything is written into a folder that is no run
  FOVEA_TRY_ASSIGN(const Traces before, read_traces(folder));
  FOVEA_TRY_ASSIGN(RecordFile history, open_records(folder / "history"));
  RunStore store(folder, std::move(history));
  FOVEA_TRY(store.load(before));
  return store;
}

// In the order in which a round leaves them, so that a round which ends between two looks is in the history: its
// publication, its record there, and only then an empty journal.
Result<RunStore::Traces> RunStore::read_traces(const fs::path& folder) {
  Traces out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder / "publications", error)) {
    const std::string name = entry.path().filename().string();
    if (const auto round = read_whole<RoundNumber>(name)) out.published = std::max(out.published, *round);
  }
  FOVEA_TRY_ASSIGN(out.journal, round_of_journal(folder / "journal"));
  return out;
}

// A history that was cut, or put back from a backup, would have a round that is over begin again, on a model that the
// sites have left. A kill between a publication and its record leaves the journal of that very round.
Result<void> RunStore::check_history(const Traces& before) const {
  const RoundNumber ended = history_.empty() ? 0 : history_.back().round;
  if (before.published <= ended || before.published == before.journal) return {};
  return corruption((folder_ / "history").string() + ": ends with round " + std::to_string(ended) + ", and round " +
                    std::to_string(before.published) +
                    " was published: it was cut, or put back from an older copy; bring back the newest one");
}

Result<void> RunStore::load(const Traces& before) {
  FOVEA_TRY_ASSIGN(facts_, read_run_facts(folder_));
  FOVEA_TRY_ASSIGN(plan_bytes_, read_file(folder_ / "plan.json", federation::membership::kPlanBytesMax));
  auto plan = federation::membership::Plan::parse(plan_bytes_);
  if (!plan) return plan.error().with_context((folder_ / "plan.json").string());
  plan_ = std::move(plan).value();
  if (plan_.hash != facts_.plan) return corruption((folder_ / "plan.json").string() + ": is not the plan of run.json");

  for (const Bytes& bytes : history_file_.take_records()) {
    FOVEA_TRY_ASSIGN(RoundRecord record, decode_round_record(bytes));
    if (record.aborted.empty()) ++sums_;
    history_.push_back(std::move(record));
  }
  FOVEA_TRY(check_history(before));
  FOVEA_TRY(load_model());
  // A crash came between the last sum and this. Runs are listed while another process drives one, so nothing of a run
  // that goes on is touched here.
  return complete() ? erase_ended() : Result<void>();
}

// The masked sum and the sealed shares of a round that ended with a sum, and the sums that were to be repeated until
// then: whoever got hold of them together with sites' journals could open a sum once more.
Result<void> RunStore::erase_ended() {
  if (!journal_ && fs::exists(folder_ / "journal")) {
    FOVEA_TRY_ASSIGN(journal_, open_records(folder_ / "journal"));
  }
  if (journal_) FOVEA_TRY(journal_->erase());
  std::error_code error;
  const auto removed = fs::remove_all(folder_ / "repeats", error);
  if (error) return unavailable((folder_ / "repeats").string() + ": cannot be erased: " + error.message());
  return removed > 0 ? sync_filesystem(folder_) : Result<void>();
}

fs::path RunStore::model_file(std::uint32_t sums) const { return numbered(folder_ / "models", sums, ".safetensors"); }

Result<federation::model::ModelState> RunStore::load_model_file(std::uint32_t sums) const {
  if (sums == 0) {
    FOVEA_TRY_ASSIGN(federation::model::ModelLayout layout, federation::model::make_layout(plan_.architecture));
    return federation::model::initial_model(layout, plan_.seed);
  }
  FOVEA_TRY_ASSIGN(const Bytes file, read_file(model_file(sums), federation::model::kSafetensorsFileMax));
  auto stored = federation::model::read_safetensors(file);
  if (!stored)
    return corruption(model_file(sums).string() + ": " + stored.error().message +
                      "; remove this file: the model is computed again from the sums that were published");
  return std::move(stored->state);
}

Result<void> RunStore::load_model() {
  auto model = load_model_file(sums_);
  const bool has_file = model.has_value();
  std::uint32_t from = sums_;
  while (!model && model.error().code == ErrorCode::not_found && from > 0) model = load_model_file(--from);
  if (!model) return model.error();
  const std::uint32_t start = from;
  for (; from < sums_; ++from) {
    FOVEA_TRY_ASSIGN(model, replay(*model, from + 1));
  }
  model_ = std::move(model).value();
  model_digest_ = model_->digest();
  if (const RoundRecord* last = last_sum(); last != nullptr && last->model != model_digest_)
    return corruption(has_file
                          ? model_file().string() +
                                ": is not the model that the history names; remove this file: "
                                "the model is computed again from the sums that were published"
                          : (folder_ / "publications").string() +
                                ": do not give the model that the history names: a file of them, or the model in " +
                                model_file(start).string() +
                                " that they follow on, is another one; bring them back "
                                "from a backup");
  return {};
}

Result<federation::model::ModelState> RunStore::replay(const federation::model::ModelState& before,
                                                       std::uint32_t sums) const {
  std::uint32_t seen = 0;
  const auto record = std::find_if(history_.begin(), history_.end(),
                                   [&](const RoundRecord& each) { return each.aborted.empty() && ++seen == sums; });
  FOVEA_CHECK(record != history_.end());
  FOVEA_TRY_ASSIGN(const std::optional<Publication> publication, publication_after(record->round - 1));
  FOVEA_TRY_ASSIGN(const federation::membership::PlanPosition position, plan_.position(sums));
  auto model = apply_publication(before, publication->messages, plan_.stages[position.stage_index]);
  if (!model)
    return Error{model.error().code, numbered(folder_ / "publications", record->round, "").string() + ": " +
                                         model.error().message + "; bring this file back from a backup"};
  return model;
}

const RoundRecord* RunStore::last_sum() const noexcept {
  const auto found = std::find_if(history_.rbegin(), history_.rend(),
                                  [](const RoundRecord& record) { return record.aborted.empty(); });
  return found == history_.rend() ? nullptr : &*found;
}

Result<std::vector<Bytes>> RunStore::begin_round(RoundNumber round) {
  if (!journal_) {
    FOVEA_TRY_ASSIGN(journal_, open_records(folder_ / "journal"));
  }
  std::vector<Bytes> records = journal_->take_records();
  if (!records.empty() && records.front() == round_header(round)) {
    records.erase(records.begin());
    return records;
  }
  FOVEA_TRY(journal_->restart(round_header(round)));
  return std::vector<Bytes>();
}

Result<void> RunStore::append_journal(std::span<const Bytes> records) {
  FOVEA_CHECK(journal_.has_value());
  return journal_->append(records);
}

Result<void> RunStore::append_history(const RoundRecord& record) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, encode_round_record(record));
  FOVEA_TRY(history_file_.append(std::span(&bytes, 1)));
  history_.push_back(record);
  return {};
}

std::future<Result<void>> RunStore::begin_publication(RoundNumber round, const std::vector<Bytes>& publication) const {
  return std::async(std::launch::async, [path = numbered(folder_ / "publications", round, ""), &publication] {
    ByteWriter framed;  // signed messages: they need no checksum of ours
    framed.reserve(std::transform_reduce(publication.begin(), publication.end(), std::size_t{0}, std::plus<>(),
                                         [](const Bytes& message) { return message.size() + sizeof(std::uint32_t); }));
    for (const Bytes& message : publication) framed.sized(message);
    return write_file_durably(path, framed.bytes());
  });
}

Result<void> RunStore::finish_round(RoundRecord record, std::future<Result<void>> publication,
                                    federation::model::ModelState model) {
  record.model = model.digest();
  FOVEA_TRY(publication.get());
  FOVEA_TRY(append_history(record));
  ++sums_;
  model_digest_ = record.model;
  model_ = std::move(model);
  return erase_ended();
}

Result<void> RunStore::save_model() {
  const RoundRecord* last = last_sum();
  if (last == nullptr) return {};
  FOVEA_TRY_ASSIGN(const Bytes file,
                   federation::model::write_safetensors(*model_, {{"fovea.plan", to_hex(plan_.hash)},
                                                                  {"fovea.run", facts_.run.text()},
                                                                  {"fovea.round", std::to_string(last->round)},
                                                                  {"fovea.sums", std::to_string(sums_)},
                                                                  {"fovea.transcript", to_hex(last->transcript)}}));
  FOVEA_TRY(write_file_durably(model_file(), file));
  remove_old_models();
  return {};
}

void RunStore::remove_old_models() const {
  std::error_code ignored;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(model_file().parent_path(), ignored))
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  std::sort(files.begin(), files.end());  // by number: names have leading zeros
  for (std::size_t i = 0; i + kModelsKept < files.size(); ++i) fs::remove(files[i], ignored);
}

Result<void> RunStore::abort_round(RoundRecord record, const std::optional<Bytes>& repeat) {
  FOVEA_CHECK(!record.aborted.empty());
  record.repeats = repeat.has_value();
  if (repeat) {
    FOVEA_TRY(create_directories_durably(folder_ / "repeats"));
    FOVEA_TRY(write_file_durably(numbered(folder_ / "repeats", record.round, ""), *repeat));
  }
  return append_history(record);
}

Result<std::optional<Bytes>> RunStore::sum_to_repeat() const {
  if (history_.empty() || !history_.back().repeats) return std::optional<Bytes>();
  FOVEA_TRY_ASSIGN(Bytes bytes, read_file(numbered(folder_ / "repeats", history_.back().round, ""), kRepeatBytesMax));
  return std::optional(std::move(bytes));
}

Result<std::optional<RunStore::Publication>> RunStore::publication_after(RoundNumber round) const {
  const auto next = std::find_if(history_.begin(), history_.end(), [&](const RoundRecord& record) {
    return record.aborted.empty() && record.round > round;
  });
  if (next == history_.end()) return std::optional<Publication>();
  const fs::path path = numbered(folder_ / "publications", next->round, "");
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(path, kPublicationBytesMax));
  Publication out{next->round, {}};
  ByteReader reader(bytes);
  while (reader.left() > 0) {
    const auto message = reader.sized("message", kPublicationBytesMax);
    if (!message) return corruption(path.string() + ": " + message.error().message);
    out.messages.emplace_back(message->begin(), message->end());
  }
  return std::optional<Publication>(std::move(out));
}

// Whatever its run.json says: what cannot be read is for the caller to name, with the reason that open() gives.
Result<std::vector<fs::path>> list_runs(const fs::path& runs) {
  std::vector<std::pair<std::int64_t, fs::path>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(runs, error)) {
    if (!entry.is_directory() || entry.path().filename() == kUnfinishedRun) continue;
    const auto facts = read_run_facts(entry.path());
    found.emplace_back(facts ? facts->started.value : 0, entry.path());
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return unavailable(runs.string() + ": " + error.message());
  std::sort(found.begin(), found.end());
  std::vector<fs::path> out;
  for (auto& [started, path] : found) out.push_back(std::move(path));
  return out;
}

}  // namespace fovea::coordinator::store

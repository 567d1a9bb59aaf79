#include "node/io/site_run.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "common/durable_file.h"
#include "common/json_fields.h"
#include "common/numbers.h"
#include "federation/model/apply_sum.h"
#include "federation/model/initial_weights.h"
#include "federation/model/model_use.h"
#include "federation/model/safetensors.h"
#include "node/round/site_marks.h"

namespace fovea::node::io {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRoundKey = "fovea.round";
constexpr const char* kSumsKey = "fovea.sums";
constexpr const char* kTranscriptKey = "fovea.transcript";
constexpr const char* kEpochKey = "fovea.epoch";
constexpr const char* kPlanKey = "fovea.plan";

template <class Number>
Result<Number> number_of(const federation::model::ModelMetadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return corruption(std::string("model file: metadata ") + key + " is missing");
  if (const auto out = read_whole<Number>(found->second)) return *out;
  return corruption(std::string("model file: metadata ") + key + " is not a number");
}

Result<Digest> digest_of(const federation::model::ModelMetadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return corruption(std::string("model file: metadata ") + key + " is missing");
  FOVEA_TRY_ASSIGN(const Bytes bytes, from_hex(found->second));
  return to_array<32>(bytes, key);
}

bool names_a_plan(ByteView file) {
  const auto json = parse_json(file, "run.json", 4096);
  return json && json->is_object() && json->contains("plan");
}

Error damaged_run_file(const fs::path& path) {
  return corruption(path.string() +
                    ": is damaged\n  fix: put it back from your backup, or remove this file if no "
                    "other plan was ever run under this number");
}

Error damaged_model(const fs::path& path, const Error& error) {
  return corruption(path.string() + ": " + error.message +
                    "\n  fix: move this file away and start again: the model is made anew from the published sums");
}

// A run id stands for one plan, ever.
Result<void> check_run_file(const fs::path& path, const RunId& run, const federation::membership::Plan& plan) {
  const nlohmann::ordered_json expected = {{"fovea_site_run", 1}, {"run", run.text()}, {"plan", to_hex(plan.hash)}};
  const std::string text = expected.dump() + "\n";
  const auto present = read_file(path, 4096);
  if (present && as_text(*present) == text) return {};
  // Half a file says nothing of another plan.
  if (present && !names_a_plan(*present)) return damaged_run_file(path);
  if (present) return permission_denied("run " + run.text() + ": was opened here under another plan");
  if (present.error().code != ErrorCode::not_found) return present.error();
  return write_file_durably(path, as_bytes(text));
}

}  // namespace

federation::files::RecordKey run_journal_key(const RunId& run, const crypto::SigningKey& log_key) {
  return federation::files::RecordKey::derive(log_key.seed(), "FOVEA/1/run-journal", run.text());
}

Result<federation::files::RecordFile> open_run_journal(const fs::path& file, const RunId& run,
                                                       const crypto::SigningKey& log_key) {
  using federation::files::RecordFile;
  return RecordFile::open(file, RecordFile::Retain::at_open, FileMode::secret, run_journal_key(run, log_key));
}

Result<bool> erase_spent_shares(federation::files::RecordFile& journal, const RunId& run,
                                const std::optional<round::ClosedMark>& gate) {
  FOVEA_TRY_ASSIGN(const std::vector<Bytes> records, journal.read());
  FOVEA_TRY_ASSIGN(const auto rest, round::without_spent_shares(run, records, gate));
  if (rest) FOVEA_TRY(journal.rewrite(*rest));
  return rest.has_value();
}

Result<void> check_runs(const fs::path& runs) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(runs, ignored)) {
    if (!RunId::parse(entry.path().filename().string()) || !entry.is_directory(ignored)) continue;
    const fs::path facts = entry.path() / "run.json", model = entry.path() / kModelFile;
    const auto named = read_file(facts, 4096);
    if (named ? !names_a_plan(*named) : named.error().code != ErrorCode::not_found) return damaged_run_file(facts);
    const auto file = read_file(model, federation::model::kSafetensorsFileMax);
    if (!file && file.error().code == ErrorCode::not_found) continue;
    if (!file) return file.error();
    if (const auto stored = federation::model::read_safetensors(*file); !stored)
      return damaged_model(model, stored.error());
  }
  return {};
}

Result<SiteRun> SiteRun::open(const fs::path& folder, const RunId& run, const federation::membership::Plan& plan,
                              const crypto::SigningKey& log_key) {
  FOVEA_TRY(create_directories_durably(folder));
  FOVEA_TRY(check_run_file(folder / "run.json", run, plan));
  FOVEA_TRY_ASSIGN(federation::files::RecordFile journal, open_run_journal(folder / "journal", run, log_key));
  FOVEA_TRY_ASSIGN(const bool erased, erase_spent_shares(journal, run));
  if (erased) {
    FOVEA_TRY_ASSIGN(journal, open_run_journal(folder / "journal", run, log_key));
  }
  SiteRun out(folder, run, plan, std::move(journal));
  FOVEA_TRY(out.load_model());
  return out;
}

Result<void> SiteRun::append_journal(std::span<const Bytes> records) {
  if (std::none_of(records.begin(), records.end(), [](const Bytes& record) { return round::may_spend_shares(record); }))
    return journal_.append(records);
  FOVEA_TRY_ASSIGN(std::vector<Bytes> all, journal_.read());
  all.insert(all.end(), records.begin(), records.end());
  FOVEA_TRY_ASSIGN(const auto rest, round::without_spent_shares(run_, all));
  return rest ? journal_.rewrite(*rest) : journal_.append(records);
}

Result<void> SiteRun::take_model(ByteView file, const federation::model::ModelLayout& layout) {
  FOVEA_TRY_ASSIGN(federation::model::StoredModel stored, federation::model::read_safetensors(file));
  FOVEA_TRY_ASSIGN(const Digest plan, digest_of(stored.metadata, kPlanKey));
  if (plan != plan_.hash || !(stored.state.layout() == layout)) return corruption("is another plan's model");
  FOVEA_TRY_ASSIGN(last_round_, number_of<RoundNumber>(stored.metadata, kRoundKey));
  FOVEA_TRY_ASSIGN(sums_applied_, number_of<std::uint32_t>(stored.metadata, kSumsKey));
  if (stored.metadata.contains(kEpochKey)) {  // files of the first versions lack it
    FOVEA_TRY_ASSIGN(roster_epoch_, number_of<EpochNumber>(stored.metadata, kEpochKey));
  }
  FOVEA_TRY_ASSIGN(transcript_, digest_of(stored.metadata, kTranscriptKey));
  model_ = std::make_shared<const federation::model::ModelState>(std::move(stored.state));
  return {};
}

Result<void> SiteRun::load_model() {
  FOVEA_TRY_ASSIGN(federation::model::ModelLayout layout, federation::model::make_layout(plan_.architecture));
  const auto file = read_file(model_file(), federation::model::kSafetensorsFileMax);
  if (!file && file.error().code != ErrorCode::not_found) return file.error();
  if (file) {
    if (const auto taken = take_model(*file, layout); !taken) return damaged_model(model_file(), taken.error());
  } else {
    FOVEA_TRY_ASSIGN(federation::model::ModelState initial, federation::model::initial_model(layout, plan_.seed));
    model_ = std::make_shared<const federation::model::ModelState>(std::move(initial));
  }
  model_digest_ = model_->digest();
  return {};
}

Result<const federation::membership::PlanStage*> SiteRun::stage() const {
  FOVEA_TRY_ASSIGN(const federation::membership::PlanPosition position, plan_.position(sums_applied_ + 1));
  return &plan_.stages[position.stage_index];
}

Result<std::vector<federation::model::FlatRange>> SiteRun::trained_ranges() const {
  FOVEA_TRY_ASSIGN(const federation::membership::PlanStage* const current, stage());
  return model_->layout().ranges(current->trains);
}

Result<std::uint32_t> SiteRun::dimension() const {
  FOVEA_TRY_ASSIGN(const auto ranges, trained_ranges());
  return static_cast<std::uint32_t>(federation::secagg::vector_words(federation::model::total_size(ranges)));
}

Result<round::ModelAdopted> SiteRun::adopted() const {
  round::ModelAdopted out{
      .round = last_round_, .model_hash = model_digest_, .transcript = transcript_, .epoch = roster_epoch_};
  if (complete()) return out;
  FOVEA_TRY_ASSIGN(const std::uint32_t words, dimension());
  FOVEA_TRY_ASSIGN(const federation::membership::PlanPosition position, plan_.position(sums_applied_ + 1));
  out.next = {.dimension = words,
              .delta_max = plan_.strategy.delta_max,
              .weight_max = plan_.strategy.weight_max,
              .stage_index = static_cast<std::uint32_t>(position.stage_index),
              .stage_round = position.stage_round,
              .seed = federation::membership::training_seed(plan_.hash, sums_applied_ + 1)};
  return out;
}

Result<void> SiteRun::apply(const round::VerifiedSum& sum) {
  FOVEA_TRY_ASSIGN(const federation::membership::PlanStage* const current, stage());
  FOVEA_TRY_ASSIGN(federation::model::ModelState next, federation::model::apply_sum(*model_, *current, sum.sum));
  model_ = std::make_shared<const federation::model::ModelState>(std::move(next));
  model_digest_ = model_->digest();
  last_round_ = sum.round;
  transcript_ = sum.transcript;
  roster_epoch_ = sum.epoch;
  ++sums_applied_;
  return {};
}

Result<void> SiteRun::save_model() const {
  federation::model::ModelMetadata metadata = federation::model::to_metadata(federation::model::model_use_of(plan_));
  metadata.insert({{kRoundKey, std::to_string(last_round_)},
                   {kSumsKey, std::to_string(sums_applied_)},
                   {kTranscriptKey, to_hex(transcript_)},
                   {kEpochKey, std::to_string(roster_epoch_)},
                   {kPlanKey, to_hex(plan_.hash)}});
  FOVEA_TRY_ASSIGN(const Bytes file, federation::model::write_safetensors(*model_, metadata));
  return write_file_durably(model_file(), file);
}

}  // namespace fovea::node::io

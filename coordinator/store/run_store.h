// One run at the coordinator, on disk. Everything is durable when a function returns.
//
//   run.json                        which plan, when it began       plan.json   its exact bytes
//   journal                         the round in progress: number, then records of the round machine; empty after a sum
//   history                         one record for each round that ended (federation/secagg/framed_journal.h)
//   publications/<round>            what was published with the sum, for sites that catch up
//   repeats/<round>                 the sum that the round after has to repeat, with the evidence why
//                                   (coordinator/round/sum_to_repeat.h); until there is a sum
//   blame/                          who is left out, and why (coordinator/store/blame_folder.h)
//   models/<sums>.safetensors       the newest models
//   cut-off.json                    who cannot follow (coordinator/store/cut_off_sites.h)
//   last-sum.json                   who has the last sum (coordinator/store/served_sites.h)
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/files/record_file.h"
#include "federation/membership/plan.h"
#include "federation/model/local_update.h"
#include "federation/model/state.h"

namespace fovea::coordinator::store {

// A round that ended. `aborted` empty: with a sum.
struct RoundRecord {
  RoundNumber round = 0;
  AttemptNumber attempt = 0;
  std::string stage;
  std::uint32_t stage_round = 0;
  Digest transcript{};
  Digest model{};
  std::vector<std::string> contributors;
  std::vector<std::string> dropouts;
  std::uint64_t weight_sum = 0;
  std::array<double, federation::model::kMetricCount> metric_sums{};
  double seconds = 0;
  std::string aborted;         // why
  RoundNumber next_round = 0;  // the number of the round that follows
  bool repeats = false;        // it repeats a sum: repeats/<round> says which
};

struct RunFacts {
  RunId run;
  Digest plan{};
  UnixMs started;
};

// What run.json of a run's folder says, whether or not the rest can be read. Errors as of RunStore::open().
Result<RunFacts> read_run_facts(const std::filesystem::path& folder);

class RunStore {
 public:
  // One process at a time makes runs beside each other. A run that cannot be made whole leaves no folder behind; what a
  // process leaves that is killed meanwhile is no run to list_runs(), and goes with the next create().
  static Result<RunStore> create(const std::filesystem::path& folder, const RunId& run, ByteView plan_bytes,
                                 UnixMs now);
  // corruption names the file that does not fit the others; invalid_argument: of a newer version; not_found: no run.
  static Result<RunStore> open(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const noexcept { return folder_; }
  const RunFacts& facts() const noexcept { return facts_; }
  const federation::membership::Plan& plan() const noexcept { return plan_; }
  const Bytes& plan_bytes() const noexcept { return plan_bytes_; }
  const std::vector<RoundRecord>& history() const noexcept { return history_; }
  std::uint32_t sums() const noexcept { return sums_; }  // rounds that ended with a sum
  bool complete() const noexcept { return sums_ >= plan_.rounds_total(); }
  RoundNumber next_round() const noexcept { return history_.empty() ? 1 : history_.back().next_round; }
  const RoundRecord* last_sum() const noexcept;
  const federation::model::ModelState& model() const noexcept { return *model_; }
  const Digest& model_digest() const noexcept { return model_digest_; }
  std::filesystem::path model_file() const { return model_file(sums_); }

  // The records of `round` that a killed process left; empties the journal of an older round. Called before
  // append_journal().
  Result<std::vector<Bytes>> begin_round(RoundNumber round);
  Result<void> append_journal(std::span<const Bytes> records);

  // Publication first, then the history: a round is over when its record is there. The publication is written while the
  // model is made; `publication` must outlive the wait. The model's file may follow with save_model(), rounds later: a
  // start makes the model again from an older file and the publications since.
  std::future<Result<void>> begin_publication(RoundNumber round, const std::vector<Bytes>& publication) const;
  Result<void> finish_round(RoundRecord record, std::future<Result<void>> publication,
                            federation::model::ModelState model);
  Result<void> save_model();
  // `repeat`: what the next round has to be, where it repeats a sum; durable before the history says so.
  Result<void> abort_round(RoundRecord record, const std::optional<Bytes>& repeat = {});
  // What the last round that ended left to repeat.
  Result<std::optional<Bytes>> sum_to_repeat() const;

  // The messages published with the first sum after `round`; nothing when there is none.
  struct Publication {
    RoundNumber round = 0;
    std::vector<Bytes> messages;
  };
  Result<std::optional<Publication>> publication_after(RoundNumber round) const;

 private:
  static Result<RunStore> make(const std::filesystem::path& folder, const RunId& run, ByteView plan_bytes, UnixMs now);
  RunStore(std::filesystem::path folder, federation::files::RecordFile history)
      : folder_(std::move(folder)), history_file_(std::move(history)) {}
  Result<void> append_history(const RoundRecord& record);
  // What lay in the folder before the history was read: another process may go on with the run meanwhile.
  struct Traces {
    RoundNumber published = 0;             // the newest in publications/
    std::optional<RoundNumber> journal{};  // the round of the journal
  };
  static Result<Traces> read_traces(const std::filesystem::path& folder);
  Result<void> load(const Traces& before);
  // corruption: a sum was published of which the history does not know.
  Result<void> check_history(const Traces& before) const;
  Result<void> load_model();
  Result<void> erase_ended();
  Result<federation::model::ModelState> load_model_file(std::uint32_t sums) const;
  Result<federation::model::ModelState> replay(const federation::model::ModelState& before,
                                               std::uint32_t sums) const;  // one more sum
  void remove_old_models() const;
  std::filesystem::path model_file(std::uint32_t sums) const;

  std::filesystem::path folder_;
  std::optional<federation::files::RecordFile>
      journal_;  // from the first begin_round() on: to list runs needs no journal
  federation::files::RecordFile history_file_;
  RunFacts facts_;
  Bytes plan_bytes_;
  federation::membership::Plan plan_;
  std::vector<RoundRecord> history_;
  std::uint32_t sums_ = 0;
  std::optional<federation::model::ModelState> model_;
  Digest model_digest_{};
};

// Folders of runs in a coordinator's folder, oldest first; those that no open() can read come before them.
Result<std::vector<std::filesystem::path>> list_runs(const std::filesystem::path& runs);

}  // namespace fovea::coordinator::store

// One run at one site, on disk and in memory: the approved plan, the round machine's journal, and the model as this
// site derived it from the published sums.
//
//   runs/<run>/run.json           which plan
//   runs/<run>/journal            records of the round machine, authenticated (federation/files/record_file.h)
//   runs/<run>/model.safetensors  the model; round, transcript, roster epoch and number of sums in its metadata
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "crypto/signature.h"
#include "federation/files/record_file.h"
#include "federation/membership/plan.h"
#include "federation/model/state.h"
#include "node/round/site_machine.h"
#include "node/round/site_marks.h"

namespace fovea::node::io {

inline constexpr const char* kModelFile = "model.safetensors";  // in a run's folder

// Of the MACs in a run's journal; it follows from the site's log key.
federation::files::RecordKey run_journal_key(const RunId& run, const crypto::SigningKey& log_key);
// Errors as of RecordFile::open().
Result<federation::files::RecordFile> open_run_journal(const std::filesystem::path& file, const RunId& run,
                                                       const crypto::SigningKey& log_key);

// Rewrites the journal of a run without the shares that may not leave any more, if it has such (which a crash, or a
// version before this rule, can have left). `gate`: what the egress gate has closed. True when it had.
Result<bool> erase_spent_shares(federation::files::RecordFile& journal, const RunId& run,
                                const std::optional<round::ClosedMark>& gate = {});

// Of the runs of a site, what opening one would refuse as damaged; nothing on disk is changed.
Result<void> check_runs(const std::filesystem::path& runs);

class SiteRun {
 public:
  // Makes the folder at first; later continues from what is there. The model on disk may be some rounds old: the
  // machine's hello says so, and the coordinator sends the sums that are missing.
  // permission_denied: the run was opened here under another plan; corruption: a damaged journal or model file.
  static Result<SiteRun> open(const std::filesystem::path& folder, const RunId& run,
                              const federation::membership::Plan& plan, const crypto::SigningKey& log_key);

  const RunId& run() const noexcept { return run_; }
  const federation::membership::Plan& plan() const noexcept { return plan_; }
  const std::vector<Bytes>& journal_at_start() const noexcept { return journal_.records(); }
  const std::shared_ptr<const federation::model::ModelState>& model() const noexcept { return model_; }
  const Digest& model_digest() const noexcept { return model_digest_; }
  RoundNumber last_round() const noexcept { return last_round_; }
  const Digest& transcript() const noexcept { return transcript_; }
  std::uint32_t sums_applied() const noexcept { return sums_applied_; }
  bool complete() const noexcept { return sums_applied_ >= plan_.rounds_total(); }

  // The plan's stage of the next sum, and the floats that it trains; not_found when the plan is complete.
  Result<const federation::membership::PlanStage*> stage() const;
  Result<std::vector<federation::model::FlatRange>> trained_ranges() const;
  // Words of the next round's vector.
  Result<std::uint32_t> dimension() const;

  // Where the site stands, and what the plan says of the next sum: the machine's event.
  Result<round::ModelAdopted> adopted() const;

  // Durable when it returns. After an error the run cannot go on. Shares that these records make useless are erased
  // with it: a kill in between leaves the journal before or the one after.
  Result<void> append_journal(std::span<const Bytes> records);
  // The next model, in memory. corruption when the sum does not fit the plan.
  Result<void> apply(const round::VerifiedSum& sum);
  // The model as a file; `predict` and `evaluate` read it.
  Result<void> save_model() const;
  std::filesystem::path model_file() const { return folder_ / kModelFile; }
  std::filesystem::path journal_file() const { return folder_ / "journal"; }

 private:
  SiteRun(std::filesystem::path folder, RunId run, federation::membership::Plan plan,
          federation::files::RecordFile journal)
      : folder_(std::move(folder)), run_(run), plan_(std::move(plan)), journal_(std::move(journal)) {}
  Result<void> load_model();
  Result<void> take_model(ByteView file, const federation::model::ModelLayout& layout);

  std::filesystem::path folder_;
  RunId run_;
  federation::membership::Plan plan_;
  federation::files::RecordFile journal_;
  std::shared_ptr<const federation::model::ModelState> model_;  // shared with the training thread
  Digest model_digest_{};
  RoundNumber last_round_ = 0;
  Digest transcript_{};
  EpochNumber roster_epoch_ = 0;  // of the roster of the last sum
  std::uint32_t sums_applied_ = 0;
};

}  // namespace fovea::node::io

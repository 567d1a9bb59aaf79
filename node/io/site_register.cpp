#include "node/io/site_register.h"

#include <algorithm>
#include <system_error>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/ids.h"
#include "node/io/site_run.h"
#include "node/round/site_marks.h"

namespace fovea::node::io {
namespace {

namespace fs = std::filesystem;
using federation::files::RecordFile;

// Of an earlier version, without MACs: anybody could have written it, and it is as if it were gone. What was released
// in that run the register has, and the ledger. Only the run itself is not gone on with (SiteRun::open()).
template <class Read>
bool is_of_older_format(const Result<Read>& journal) {
  return !journal && journal.error().code == ErrorCode::failed_precondition;
}

// The runs that have a journal, by name.
std::vector<std::pair<RunId, fs::path>> journals_in(const fs::path& runs) {
  std::vector<std::pair<RunId, fs::path>> out;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(runs, error)) {
    const auto run = RunId::parse(entry.path().filename().string());
    if (run && fs::exists(entry.path() / "journal", error)) out.emplace_back(*run, entry.path() / "journal");
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

Result<RecordFile> open_site_register(const fs::path& path, const fs::path& runs, const crypto::SigningKey& log_key) {
  FOVEA_TRY_ASSIGN(RecordFile out, RecordFile::open(path, RecordFile::Retain::appended_too));
  for (const auto& [run, journal] : journals_in(runs)) {
    auto opened = open_run_journal(journal, run, log_key);
    if (is_of_older_format(opened)) continue;
    FOVEA_TRY_ASSIGN(RecordFile records, std::move(opened));
    auto memory = round::SiteMemory::restore(run, records.records(), out.records());
    if (!memory) return memory.error().with_context(journal.string());
    std::vector<Bytes> found;
    for (const round::ReleasedMark& mark : memory->unregistered) found.push_back(round::encode_mark(run, mark));
    for (const round::StatisticMark& mark : memory->unregistered_statistics)
      found.push_back(round::encode_mark(run, mark));
    FOVEA_TRY(out.append(found));
    FOVEA_TRY(erase_spent_shares(records, run));
  }
  return out;
}

Result<void> check_site_register(const fs::path& path, const fs::path& runs, const crypto::SigningKey& log_key) {
  FOVEA_TRY_ASSIGN(const std::vector<Bytes> records, RecordFile::peek(path));
  if (const auto memory = round::SiteMemory::restore(RunId{}, {}, records); !memory)
    return memory.error().with_context(path.string());
  for (const auto& [run, journal] : journals_in(runs)) {
    const auto found = RecordFile::peek(journal, run_journal_key(run, log_key));
    if (is_of_older_format(found)) continue;
    if (!found) return found.error();
    if (const auto memory = round::SiteMemory::restore(run, *found, records); !memory)
      return memory.error().with_context(journal.string());
  }
  return {};
}

Result<std::size_t> restore_releases(RecordFile& site_register,
                                     const std::map<Digest, egress::RecordedRelease>& releases) {
  FOVEA_TRY_ASSIGN(const round::SiteMemory memory, round::SiteMemory::restore(RunId{}, {}, site_register.records()));
  std::vector<Bytes> lost;
  for (const auto& [model, release] : releases)
    if (!memory.released_models.contains(model))
      lost.push_back(round::encode_mark(release.run, round::ReleasedMark{.ref = release.ref, .model_hash = model}));
  FOVEA_TRY(site_register.append(lost));
  return lost.size();
}

Result<void> erase_closed_shares(const fs::path& runs, const std::map<RunId, federation::ledger::RoundKey>& closed,
                                 const std::optional<RunId>& open, const crypto::SigningKey& log_key) {
  for (const auto& [run, journal] : journals_in(runs)) {
    const auto last = closed.find(run);
    if (last == closed.end() || run == open) continue;
    auto opened = open_run_journal(journal, run, log_key);
    if (is_of_older_format(opened)) continue;
    FOVEA_TRY_ASSIGN(RecordFile records, std::move(opened));
    FOVEA_TRY(erase_spent_shares(records, run, round::ClosedMark{last->second.round, last->second.attempt}));
  }
  return {};
}

}  // namespace fovea::node::io

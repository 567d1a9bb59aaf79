#include "federation/ledger/ledger.h"

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

#include "common/durable_file.h"
#include "common/file_lock.h"
#include "federation/ledger/journal.h"
#include "federation/ledger/tile.h"
#include "federation/ledger/tile_check.h"

namespace fovea::federation::ledger {
namespace {

namespace fs = std::filesystem;

// More than this many entries outside the tiles would make a start slow.
constexpr std::uint64_t kUnpublishedMax = 16'384;

bool contains_files(const fs::path& folder) {
  std::error_code error;
  const auto size = fs::file_size(folder / "journal", error);
  return (!error && size > 0) || fs::exists(folder / "tile", error);
}

Error problem_error(const fs::path& folder, const LedgerProblem& problem) {
  return corruption("ledger " + folder.string() + ": " + problem.where + ": " + problem.what +
                    "; keep the folder as it is and run fovea-audit verify on a copy");
}

// Files of a publish that was interrupted before its checkpoint. What they held is still in the journal.
Result<void> remove_uncovered(const fs::path& folder, const std::vector<LedgerProblem>& problems) {
  for (const LedgerProblem& problem : problems) {
    std::error_code error;
    fs::remove(folder / problem.where, error);
    if (error) return unavailable(problem.where + ": cannot be removed from the ledger: " + error.message());
  }
  return {};
}

}  // namespace

struct Ledger::State {
  LedgerOptions options;
  crypto::NoteKey note_key;
  std::optional<FileLock> lock{};  // on the folder itself: a second process with the same key is refused
  bool changes_nothing = false;    // on disk: a check
  std::optional<LedgerJournal> journal{};
  crypto::MerkleFrontier frontier{};
  TileBuilder tiles{};
  std::uint64_t published_size = 0;
  bool unsynced = false;
  bool failed = false;
  LedgerRecovery recovery{};

  void add(std::string entry) {
    const Digest leaf = crypto::merkle_leaf(as_bytes(entry));
    frontier.append(leaf);
    tiles.append(std::move(entry), leaf);
  }

  Result<void> usable() const {
    if (!failed) return {};
    return failed_precondition("ledger " + options.folder.string() +
                               ": an earlier write failed; start again to recover from what is on disk");
  }

  Result<std::optional<crypto::Checkpoint>> read_newest() const;
  Result<void> must_contain(const crypto::Checkpoint& seen, std::uint64_t size) const;
  Result<void> must_have_entries() const;
  Result<void> load_published(const Visitor& visit);
  Result<void> load_journal(const Visitor& visit);
  Result<void> write_checkpoint();
  Result<void> write_published();
  void remove_old_partials(std::uint64_t old_size) const;
};

static std::string put_newest_back(const LedgerOptions& options) {
  return "\n  fix: no backup has the newest one; if you are sure that " + options.folder.string() +
         " was not put back from a backup either, copy its file checkpoint there (docs/protocol.md, D16)";
}

Result<std::optional<crypto::Checkpoint>> Ledger::State::read_newest() const {
  using Out = std::optional<crypto::Checkpoint>;
  if (options.newest.empty()) return Out();
  const auto found = read_checkpoint_file(options.newest, note_key);
  if (!found && found.error().code == ErrorCode::not_found) return Out();
  if (!found) return Error{found.error().code, found.error().message + put_newest_back(options)};
  return Out(found->checkpoint);
}

Result<void> Ledger::State::load_published(const Visitor& visit) {
  FOVEA_TRY_ASSIGN(const std::optional<crypto::Checkpoint> newest, read_newest());
  Result<SignedCheckpoint> found = read_checkpoint(options.folder, note_key);
  if (!found && found.error().code == ErrorCode::not_found && newest && newest->size > 0)
    return must_contain(*newest, 0);
  if (!found && found.error().code == ErrorCode::not_found) {
    if (contains_files(options.folder))
      return corruption("ledger " + options.folder.string() +
                        ": the checkpoint is missing; restore it, or keep the folder as evidence");
    FOVEA_TRY(must_have_entries());
    if (changes_nothing) return found.error();
    return write_checkpoint();  // from now on a missing checkpoint is damage
  }
  if (!found)
    return Error{
        found.error().code,
        found.error().message +
            "\n  fix: put back a copy of this file that is not older than the last start; without one keep the "
            "folder as it is and run fovea-audit verify on a copy"};
  const std::uint64_t size = found->checkpoint.size;
  if (!options.newest.empty() && !newest && size > 0)
    return corruption(options.newest.string() + ": is missing beside a ledger of " + std::to_string(size) +
                      " entries, so that nothing shows whether this is its newest copy" + put_newest_back(options));
  if (newest && newest->size > size) return must_contain(*newest, size);
  Result<void> refused;
  const TileCheck check = check_tiles(options.folder, found->checkpoint, [&](std::uint64_t index, ByteView bytes) {
    if (!refused) return;
    Result<StampedEntry> entry = decode_entry(bytes, "entry " + std::to_string(index));
    if (!entry) refused = entry.error();
    else if (visit) refused = visit(index, *entry);
    add(std::string(as_text(bytes)));
  });
  const auto damage = std::find_if(check.problems.begin(), check.problems.end(),
                                   [](const LedgerProblem& problem) { return problem.kind != ProblemKind::uncovered; });
  if (damage != check.problems.end()) return problem_error(options.folder, *damage);
  // An owner's own files are never replaced under a checkpoint that names them: this is somebody's copy.
  const auto replaced = std::find_if(check.asides.begin(), check.asides.end(), [](const LedgerProblem& problem) {
    return problem.kind == ProblemKind::replaced;
  });
  if (replaced != check.asides.end()) return problem_error(options.folder, *replaced);
  if (!refused) return refused;
  if (newest) FOVEA_TRY(must_contain(*newest, size));
  if (!changes_nothing) {
    FOVEA_TRY(remove_uncovered(options.folder, check.problems));
    FOVEA_TRY(remove_uncovered(options.folder, check.asides));
  }
  tiles.published();
  published_size = size;
  recovery.entries_published = published_size;
  return {};
}

Result<void> Ledger::State::must_contain(const crypto::Checkpoint& seen, std::uint64_t size) const {
  if (seen.origin != options.origin)
    return invalid_argument("checkpoint: is of the log " + seen.origin + ", expected " + options.origin);
  const std::string fix =
      "\n  fix: put the newest copy of this folder back; without one, keep it for an auditor and go on under new keys "
      "in a new folder, which a site's data/ and register move to";
  // A checkpoint that somebody has seen was durable here, with all its entries, before it was shown.
  if (seen.size > size)
    return corruption("ledger " + options.folder.string() + ": has " + std::to_string(size) +
                      " entries, but a checkpoint of " + std::to_string(seen.size) +
                      " was seen: it was restored from a backup, or another copy of it is in use. Do not go on with "
                      "it" +
                      fix);
  FOVEA_TRY_ASSIGN(const Digest root, crypto::tree_root(seen.size, stored_subtrees(options.folder, size)));
  if (root == seen.root) return {};
  return corruption("ledger " + options.folder.string() + ": its first " + std::to_string(seen.size) +
                    " entries are not those of a checkpoint that was seen: another copy of it is in use. Do not go on "
                    "with it" +
                    fix);
}

// A new ledger under old keys would be another one, without a rejection or a release that was in the first.
Result<void> Ledger::State::must_have_entries() const {
  if (options.history.empty()) return {};
  return corruption("ledger " + options.folder.string() + ": has no entry, but " + options.history +
                    ": the ledger was removed or is lost, and a new one is not begun under the same keys\n  fix: put "
                    "the newest copies of ledger/ and newest-checkpoint back; without them keep the folder for an "
                    "auditor, and go on under new keys in a new folder, which a site's data/ and register move to");
}

// Everything is looked at before anything is cut off: whoever finds a record that is not its own changes nothing.
Result<void> Ledger::State::load_journal(const Visitor& visit) {
  const fs::path path = options.folder / "journal";
  FOVEA_TRY_ASSIGN(LedgerJournalContents contents, read_ledger_journal(path));
  if (published_size == 0 && contents.entries.empty()) FOVEA_TRY(must_have_entries());
  if (!contents.entries.empty() && contents.entries.front().index > published_size)
    return corruption("ledger " + options.folder.string() + ": entries " + std::to_string(published_size) + " to " +
                      std::to_string(contents.entries.front().index - 1) +
                      " are missing between checkpoint and journal");
  files::RecordKey key = ledger_journal_key(options.key, options.origin);
  for (LedgerJournalEntry& record : contents.entries) {
    if (record.index < published_size) continue;  // a crash between the checkpoint and the journal's clearing
    if (!record.written_by(key, frontier.root()))
      return corruption(path.string() + ": the record of entry " + std::to_string(record.index) +
                        " was not written by the owner of this ledger's key after the entries before it: it, or one "
                        "before it, was added, changed or moved\n  fix: put back a copy of this folder from just "
                        "before that; without one, keep it for an auditor and go on under new keys in a new folder");
    FOVEA_TRY_ASSIGN(const StampedEntry entry,
                     decode_entry(as_bytes(record.entry), "journal entry " + std::to_string(record.index)));
    if (visit) FOVEA_TRY(visit(record.index, entry));
    add(std::move(record.entry));
    ++recovery.entries_recovered;
  }
  recovery.torn_bytes = contents.torn_bytes;
  if (changes_nothing) return {};
  if (published_size == 0 && !options.newest.empty() && !fs::exists(options.newest)) {  // a kill came before it
    FOVEA_TRY_ASSIGN(const SignedCheckpoint first, read_checkpoint(options.folder, note_key));
    FOVEA_TRY(write_file_durably(options.newest, as_bytes(first.note)));
  }
  FOVEA_TRY_ASSIGN(LedgerJournal opened, LedgerJournal::open(path, contents, std::move(key)));
  journal.emplace(std::move(opened));
  return {};
}

Result<void> Ledger::State::write_checkpoint() {
  const crypto::Checkpoint checkpoint{options.origin, frontier.size(), frontier.root()};
  FOVEA_TRY_ASSIGN(const crypto::SignedNote note, crypto::sign_note(checkpoint.text(), options.origin, options.key));
  const std::string text = note.serialize();
  FOVEA_TRY(write_file_durably(options.folder / "checkpoint", as_bytes(text)));
  return options.newest.empty() ? Result<void>() : write_file_durably(options.newest, as_bytes(text));
}

Result<void> Ledger::State::write_published() {
  for (const TileFile& file : tiles.changed_files()) {
    const fs::path path = options.folder / file.path;
    FOVEA_TRY(create_directories_durably(path.parent_path()));
    FOVEA_TRY(write_file_durably(path, file.bytes));
  }
  FOVEA_TRY(write_checkpoint());
  tiles.published();
  const std::uint64_t old_size = std::exchange(published_size, frontier.size());
  FOVEA_TRY(journal->clear());
  unsynced = false;
  remove_old_partials(old_size);
  return {};
}

// Of tiles that a newer one replaced: no checkpoint in this folder names them any more. What stays is removed at the
// next start.
void Ledger::State::remove_old_partials(std::uint64_t old_size) const {
  for (unsigned level = 0; tile_width(level, 0, old_size) > 0; ++level) {
    const std::uint64_t index = (old_size >> (level * kTileHeight)) / kTileWidth;
    const std::uint64_t width = tile_width(level, index, old_size);
    if (width == 0 || width == tile_width(level, index, published_size)) continue;
    std::error_code ignored;
    const auto remove = [&](const fs::path& path) {
      fs::remove(options.folder / path, ignored);
      fs::remove((options.folder / path).parent_path(), ignored);  // ".p", when it is empty now
    };
    remove(tile_path(level, index, width));
    if (level == 0) remove(bundle_path(index, width));
  }
}

Ledger::Ledger(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Ledger::Ledger(Ledger&&) noexcept = default;
Ledger& Ledger::operator=(Ledger&&) noexcept = default;
Ledger::~Ledger() = default;

Result<Ledger> Ledger::open(LedgerOptions options, const Visitor& visit) {
  FOVEA_TRY_ASSIGN(crypto::NoteKey note_key, crypto::NoteKey::create(options.origin, options.key.verify_key()));
  FOVEA_TRY(create_directories_durably(options.folder));
  FOVEA_TRY_ASSIGN(FileLock lock,
                   FileLock::take(options.folder,
                                  options.folder.string() + ": another process has this ledger open; stop it first"));
  auto state = std::make_unique<State>(
      State{.options = std::move(options), .note_key = std::move(note_key), .lock = std::move(lock)});
  FOVEA_TRY(state->load_published(visit));
  FOVEA_TRY(state->load_journal(visit));
  return Ledger(std::move(state));
}

Result<std::uint64_t> Ledger::check(LedgerOptions options, const Visitor& visit) {
  FOVEA_TRY_ASSIGN(crypto::NoteKey note_key, crypto::NoteKey::create(options.origin, options.key.verify_key()));
  State state{.options = std::move(options), .note_key = std::move(note_key), .changes_nothing = true};
  FOVEA_TRY(state.load_published(visit));
  FOVEA_TRY(state.load_journal(visit));
  return state.frontier.size();
}

Result<std::uint64_t> Ledger::append(UnixMs at, std::span<const LedgerEntry> entries) {
  State& s = *state_;
  FOVEA_TRY(s.usable());
  std::vector<std::string> texts;
  texts.reserve(entries.size());
  for (const LedgerEntry& entry : entries) {
    FOVEA_TRY_ASSIGN(std::string text, encode_entry({at, entry}));
    texts.push_back(std::move(text));
  }
  if (s.frontier.size() - s.published_size + texts.size() > kUnpublishedMax) FOVEA_TRY(publish());
  const std::uint64_t first = s.frontier.size();
  std::vector<LedgerJournalAddition> additions;
  additions.reserve(texts.size());
  crypto::MerkleFrontier before = s.frontier;
  for (const std::string& text : texts) {
    additions.push_back({before.size(), before.root(), text});
    before.append(crypto::merkle_leaf(as_bytes(text)));
  }
  if (auto written = s.journal->append(additions); !written) {
    s.failed = true;
    return written.error();
  }
  s.unsynced = true;
  for (std::string& text : texts) s.add(std::move(text));
  return first;
}

Result<void> Ledger::sync() {
  FOVEA_TRY(state_->usable());
  if (!state_->unsynced) return {};
  Result<void> synced = state_->journal->sync();
  state_->failed = !synced;
  state_->unsynced = !synced;
  return synced;
}

Result<void> Ledger::publish() {
  FOVEA_TRY(state_->usable());
  if (state_->published_size == state_->frontier.size()) return {};
  Result<void> written = state_->write_published();
  state_->failed = !written;
  return written;
}

std::uint64_t Ledger::size() const noexcept { return state_->frontier.size(); }
std::uint64_t Ledger::published_size() const noexcept { return state_->published_size; }
Digest Ledger::root() const { return state_->frontier.root(); }
const LedgerRecovery& Ledger::recovery() const noexcept { return state_->recovery; }
crypto::NoteKey Ledger::note_key() const { return state_->note_key; }

Result<void> Ledger::must_contain(const crypto::Checkpoint& seen) const {
  return state_->must_contain(seen, state_->published_size);
}

Result<EntryProof> Ledger::prove_entry(std::uint64_t index) const {
  const State& s = *state_;
  if (index >= s.published_size)
    return failed_precondition("entry " + std::to_string(index) + " is not under the checkpoint of " +
                               std::to_string(s.published_size) + " entries yet; publish first");
  FOVEA_TRY_ASSIGN(SignedCheckpoint signed_checkpoint, read_checkpoint(s.options.folder, s.note_key));
  EntryProof proof{.index = index, .checkpoint = std::move(signed_checkpoint.note)};
  FOVEA_TRY_ASSIGN(proof.entry, read_entry(s.options.folder, s.published_size, index));
  FOVEA_TRY_ASSIGN(proof.hashes, crypto::inclusion_proof(index, s.published_size,
                                                         stored_subtrees(s.options.folder, s.published_size)));
  return proof;
}

Result<void> check_entry_proof(const EntryProof& proof, const crypto::NoteKey& log_key) {
  FOVEA_TRY_ASSIGN(const crypto::SignedNote note, crypto::SignedNote::parse(as_bytes(proof.checkpoint)));
  FOVEA_TRY(crypto::verify_note(note, log_key));
  FOVEA_TRY_ASSIGN(const crypto::Checkpoint checkpoint, crypto::Checkpoint::parse(note.text));
  if (checkpoint.origin != log_key.name) return permission_denied("entry proof: the checkpoint is of another log");
  const crypto::ProofVerdict verdict = crypto::check_inclusion(
      {crypto::merkle_leaf(as_bytes(proof.entry)), proof.index, checkpoint.size, checkpoint.root}, proof.hashes);
  if (verdict == crypto::ProofVerdict::valid) return {};
  return corruption("entry proof: " + std::string(crypto::to_string(verdict)));
}

}  // namespace fovea::federation::ledger

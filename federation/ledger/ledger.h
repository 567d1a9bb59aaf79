// An append-only Merkle log on disk: `checkpoint` and `tile/…` as C2SP tlog-tiles (docs/ledger-format.md), and
// `journal`, where entries wait, durable, until the next publish() moves them into tiles. One process may have a
// ledger open for writing; not thread-safe.
//
// Cost: append() writes into the page cache, sync() is one fdatasync whatever the number of entries, publish() writes
// the tiles that changed, signs the checkpoint and empties the journal (some ten fsyncs: after a round or at close).
// After a failed write or fsync the object refuses everything (failed_precondition): open it again, which recovers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "crypto/merkle_log.h"
#include "crypto/signature.h"
#include "crypto/signed_note.h"
#include "federation/ledger/entry.h"

namespace fovea::federation::ledger {

struct LedgerOptions {
  std::filesystem::path folder;  // created when absent
  std::string origin;            // ledger_origin(): checked against an existing checkpoint
  crypto::SigningKey key;        // a site's log key, the coordinator's signing key
  // A copy of the newest checkpoint, outside `folder`: with it a folder that was put back from an older copy, or that
  // another program went on with, is refused at open(). Empty: no copy is kept, and nothing is compared.
  std::filesystem::path newest{};
  // What beside `folder` shows that this owner's ledger had entries, as words for a person: then an empty one is not
  // begun, but refused at open() as lost. Empty: nothing does.
  std::string history{};
};

// What open() found and mended.
struct LedgerRecovery {
  std::uint64_t entries_published = 0;  // under the checkpoint
  std::uint64_t entries_recovered = 0;  // in the journal only: a crash before the last publish
  std::uint64_t torn_bytes = 0;         // of an unacknowledged last write, dropped
};

// A proof for somebody else that one entry is in a ledger: checked with check_entry_proof().
struct EntryProof {
  std::string entry{};  // canonical JSON
  std::uint64_t index = 0;
  std::vector<Digest> hashes{};  // RFC 6962 audit path in the checkpoint's tree
  std::string checkpoint{};      // the signed note
};
// permission_denied: not this key's checkpoint; corruption: the proof does not lead to its root.
Result<void> check_entry_proof(const EntryProof& proof, const crypto::NoteKey& log_key);

class Ledger {
 public:
  // Called for each entry in order while open() verifies what is on disk.
  using Visitor = std::function<Result<void>(std::uint64_t index, const StampedEntry& entry)>;

  // Verifies every entry, tile and the checkpoint; drops a torn tail of the journal; corruption names the file
  // or entry when anything that was durable has changed. failed_precondition: another process has it open, or
  // the checkpoint has another origin or key.
  // With `newest` also corruption when it is missing beside a ledger with entries, or when this ledger does not contain
  // it; then nothing on disk is changed. It is written after the checkpoint, so that it is never the newer one: a kill
  // in between raises no alarm. With `history` corruption also when there is no entry.
  static Result<Ledger> open(LedgerOptions options, const Visitor& visit = {});
  // The same verification of a ledger that no process has open, with nothing on disk made, mended or locked: how many
  // entries there are, or what open() would refuse. not_found: there is no ledger yet.
  static Result<std::uint64_t> check(LedgerOptions options, const Visitor& visit = {});
  Ledger(Ledger&&) noexcept;
  Ledger& operator=(Ledger&&) noexcept;
  ~Ledger();  // closes the files; does not publish

  // Appends and returns the index of the first. Durable only after sync().
  Result<std::uint64_t> append(UnixMs at, std::span<const LedgerEntry> entries);
  Result<void> sync();
  // Everything appended becomes part of the signed checkpoint. Implies sync(). Cheap when nothing is new.
  Result<void> publish();

  std::uint64_t size() const noexcept;
  std::uint64_t published_size() const noexcept;
  Digest root() const;  // over all appended entries
  const LedgerRecovery& recovery() const noexcept;
  crypto::NoteKey note_key() const;

  // Rollback check at start: a checkpoint of this ledger that somebody else has seen must be part of it.
  // corruption when this ledger is shorter or says something else: a restored backup, or a second writer.
  Result<void> must_contain(const crypto::Checkpoint& seen) const;
  // Against the published checkpoint; failed_precondition when `index` is not under it yet.
  Result<EntryProof> prove_entry(std::uint64_t index) const;

 private:
  struct State;
  explicit Ledger(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

}  // namespace fovea::federation::ledger

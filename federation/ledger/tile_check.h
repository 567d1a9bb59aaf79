// Whether the files of a ledger are exactly what its checkpoint commits to, and if not, which entry or file is not.
// Used by the owner at start and by an auditor offline. Reads each file once, and damaged ones twice; memory does not
// grow with the log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "crypto/merkle_log.h"
#include "crypto/signed_note.h"

namespace fovea::federation::ledger {

enum class ProblemKind {
  changed,
  missing,
  uncovered,  // a file that nothing commits to, and that no publish writes
  // As a copy has them that was made while its owner went on, or an owner that was killed:
  other_publish,  // a whole tile or bundle, newer or older than the checkpoint; nothing commits to it either
  replaced,       // a file that is gone; the one that a later publish wrote instead begins with the same
};

struct LedgerProblem {
  ProblemKind kind = ProblemKind::changed;
  std::string where;  // "entry 17", "tile/0/000", "checkpoint"
  std::string what;
  bool operator==(const LedgerProblem&) const = default;
};

inline constexpr std::size_t kProblemsMax = 100;  // more are counted, not listed

struct TileCheck {
  std::vector<LedgerProblem> problems;  // empty: sound
  std::uint64_t problem_count = 0;
  std::vector<LedgerProblem> asides;  // other_publish and replaced: whoever holds a copy cannot help them
  std::uint64_t aside_count = 0;
};

using EntryBytesVisitor = std::function<void(std::uint64_t index, ByteView entry)>;

// `visit` is called in order for every entry whose bytes lead to the checkpoint's root, and for no other: whoever holds
// the files can make them agree with each other. `uncovered` is called for those that do not.
TileCheck check_tiles(const std::filesystem::path& folder, const crypto::Checkpoint& checkpoint,
                      const EntryBytesVisitor& visit, const EntryBytesVisitor& uncovered = {});

// `folder`/checkpoint under this key; the origin must be the key's name. not_found when there is none.
struct SignedCheckpoint {
  crypto::Checkpoint checkpoint;
  std::string note;
};
Result<SignedCheckpoint> read_checkpoint(const std::filesystem::path& folder, const crypto::NoteKey& key);
Result<SignedCheckpoint> read_checkpoint_file(const std::filesystem::path& file, const crypto::NoteKey& key);

// Hashes of subtrees as the tiles of a log of `size` entries have them, for proofs; not checked against the root.
crypto::SubtreeHash stored_subtrees(const std::filesystem::path& folder, std::uint64_t size);
// One entry of a log of `size` entries, as its bundle has it.
Result<std::string> read_entry(const std::filesystem::path& folder, std::uint64_t size, std::uint64_t index);

}  // namespace fovea::federation::ledger

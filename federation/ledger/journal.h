// Where a ledger's entries wait, durable, until they are in tiles. A record is
//   "FVJ2" · u64 index · u64 durable · u32 length · entry · 16 bytes of MAC · first 8 bytes of SHA-256 over all before
// (little-endian), `durable` being how many bytes of the journal had been synced when the record was written.
// At start this tells a torn last write, on which nothing rests, from damage to what was durable: an unreadable record
// counts as torn only if no later record proves that its bytes had been synced. Whoever has no key can see that much.
//
// What is in the journal goes under the owner's signature with the next publish. So the owner believes only what it
// wrote itself: the MAC, under a key that follows from the log key, covers the record and the root of all entries
// before it. One writer, not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "crypto/signature.h"
#include "federation/files/record_key.h"

namespace fovea::federation::ledger {

inline constexpr std::size_t kJournalBytesMax = std::size_t{256} << 20U;

files::RecordKey ledger_journal_key(const crypto::SigningKey& log_key, std::string_view origin);

struct LedgerJournalEntry {
  std::uint64_t index = 0;
  std::string entry;
  std::uint64_t durable = 0;
  files::RecordMac mac{};

  // `root`: of the entries before it.
  bool written_by(const files::RecordKey& key, const Digest& root) const;
};

// An entry to be written, and the root of those before it.
struct LedgerJournalAddition {
  std::uint64_t index = 0;
  Digest root{};
  std::string_view entry;
};

struct LedgerJournalContents {
  std::vector<LedgerJournalEntry> entries;
  std::uint64_t sound_bytes = 0;  // what the entries occupy
  std::uint64_t torn_bytes = 0;   // behind them
};

// corruption names the first record that was durable and is not readable; failed_precondition: of another format. An
// absent file is empty. Who wrote the records is for the caller to ask.
Result<LedgerJournalContents> read_ledger_journal(const std::filesystem::path& path);

class LedgerJournal {
 public:
  // Cuts off what is torn; appends after the last sound record.
  static Result<LedgerJournal> open(const std::filesystem::path& path, const LedgerJournalContents& contents,
                                    files::RecordKey key);
  // Durable only after sync(). After an error of any of these the file must be opened anew.
  Result<void> append(std::span<const LedgerJournalAddition> entries);
  Result<void> sync();
  Result<void> clear();  // durable when it returns

 private:
  LedgerJournal(AppendFile file, std::uint64_t durable, files::RecordKey key)
      : file_(std::move(file)), durable_(durable), key_(std::move(key)) {}
  AppendFile file_;
  std::uint64_t durable_ = 0;
  files::RecordKey key_;
};

}  // namespace fovea::federation::ledger

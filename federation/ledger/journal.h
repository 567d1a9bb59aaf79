// Where a ledger's entries wait, durable, until they are in tiles. A record is
//   "FVJ1" · u64 index · u64 durable · u32 length · entry · first 8 bytes of SHA-256 over all of the record before
// (little-endian), `durable` being how many bytes of the journal had been synced when the record was written.
// At start this tells a torn last write, on which nothing rests, from damage to what was durable: an unreadable record
// counts as torn only if no later record proves that its bytes had been synced. One writer, not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "common/durable_file.h"

namespace fovea::federation::ledger {

inline constexpr std::size_t kJournalBytesMax = std::size_t{256} << 20U;

struct LedgerJournalEntry {
  std::uint64_t index = 0;
  std::string entry;
};

struct LedgerJournalContents {
  std::vector<LedgerJournalEntry> entries;
  std::uint64_t sound_bytes = 0;  // what the entries occupy
  std::uint64_t torn_bytes = 0;   // behind them
};

// corruption names the first record that was durable and is not readable. An absent file is empty.
Result<LedgerJournalContents> read_ledger_journal(const std::filesystem::path& path);

class LedgerJournal {
 public:
  // Cuts off what is torn; appends after the last sound record.
  static Result<LedgerJournal> open(const std::filesystem::path& path, const LedgerJournalContents& contents);
  // Durable only after sync(). After an error of any of these the file must be opened anew.
  Result<void> append(std::uint64_t first_index, const std::vector<std::string>& entries);
  Result<void> sync();
  Result<void> clear();  // durable when it returns

 private:
  explicit LedgerJournal(AppendFile file, std::uint64_t durable) : file_(std::move(file)), durable_(durable) {}
  AppendFile file_;
  std::uint64_t durable_ = 0;
};

}  // namespace fovea::federation::ledger

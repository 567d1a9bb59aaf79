// Where a ledger's entries wait, durable, until they are in tiles. A record is
//   "FVJ1" · u64 index · u64 durable · u32 length · entry · first 8 bytes of SHA-256 over all of the record before
// (little-endian), `durable` being how many bytes of the journal had been synced when the record was written.
// At start this tells a torn last write, which nobody was promised, from damage to what was durable: a record that
// cannot be read is torn only if no later record proves that its bytes had been synced.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/durable_file.h"

namespace fovea::federation {

inline constexpr std::size_t kJournalBytesMax = std::size_t{256} << 20U;

struct JournalEntry {
  std::uint64_t index = 0;
  std::string entry;
};

struct LedgerJournalContents {
  std::vector<JournalEntry> entries;
  std::uint64_t sound_bytes = 0;  // what the entries occupy
  std::uint64_t torn_bytes = 0;   // behind them
};

// corruption names the first record that was durable and is not readable. An absent file is empty.
Result<LedgerJournalContents> read_journal(const std::filesystem::path& path);

class Journal {
 public:
  // Cuts off what is torn and appends after it.
  static Result<Journal> open(const std::filesystem::path& path, const LedgerJournalContents& contents);
  Result<void> append(std::uint64_t first_index, const std::vector<std::string>& entries);
  Result<void> sync();
  Result<void> clear();

 private:
  explicit Journal(AppendFile file, std::uint64_t durable) : file_(std::move(file)), durable_(durable) {}
  AppendFile file_;
  std::uint64_t durable_ = 0;
};

}  // namespace fovea::federation

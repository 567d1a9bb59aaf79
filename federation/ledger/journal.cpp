#include "federation/ledger/journal.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "common/bytes.h"
#include "common/codec.h"
#include "crypto/hash.h"
#include "federation/files/absent_file.h"
#include "federation/ledger/entry.h"

namespace fovea::federation::ledger {
namespace {

constexpr std::string_view kMagic = "FVJ2";
constexpr std::string_view kMagicOfAnyFormat = "FVJ";
constexpr std::size_t kCheckBytes = 8;

struct Record {
  std::uint64_t index = 0;
  std::uint64_t durable = 0;
  ByteView entry;
  files::RecordMac mac{};
  std::size_t size = 0;  // bytes in the file
};

// What the MAC covers.
ByteWriter begin_record(std::uint64_t index, std::uint64_t durable, std::string_view entry) {
  ByteWriter record;
  record.raw(as_bytes(kMagic));
  record.u64(index);
  record.u64(durable);
  record.sized(entry);
  return record;
}

// The record at the start of `bytes`, if there is a sound one.
std::optional<Record> read_record(ByteView bytes) {
  ByteReader in(bytes);
  const auto magic = in.raw("magic", kMagic.size());
  if (!magic || as_text(*magic) != kMagic) return std::nullopt;
  const auto index = in.u64("index");
  const auto durable = in.u64("durable");
  const auto entry = in.sized("entry", kEntryBytesMax);
  const auto mac = in.array<files::kRecordMacBytes>("mac");
  const std::size_t covered = bytes.size() - in.left();
  const auto check = in.raw("check", kCheckBytes);
  if (!index || !durable || !entry || !mac || !check) return std::nullopt;
  const Digest expected = crypto::sha256(bytes.first(covered));
  if (!std::equal(check->begin(), check->end(), expected.begin())) return std::nullopt;
  return Record{*index, *durable, *entry, *mac, covered + kCheckBytes};
}

// Whether a sound record behind `position` says that the bytes there had been synced. What only begins like a record
// costs a hash of all that it claims to be: no torn write leaves a thousand such places.
bool proves_synced(ByteView bytes, std::size_t position) {
  constexpr int kFalseBeginningsMax = 1000;
  int false_beginnings = 0;
  for (std::size_t at = position + 1; at + kMagic.size() <= bytes.size(); ++at) {
    if (as_text(bytes.subspan(at, kMagic.size())) != kMagic) continue;
    const auto record = read_record(bytes.subspan(at));
    if (record && record->durable > position) return true;
    if (record) at += record->size - 1;
    else if (++false_beginnings > kFalseBeginningsMax) return true;
  }
  return false;
}

Result<void> check_format(const std::filesystem::path& path, ByteView file) {
  if (file.size() < kMagic.size() || !as_text(file).starts_with(kMagicOfAnyFormat)) return {};
  const char format = as_text(file)[kMagicOfAnyFormat.size()];
  if (format < '0' || format > '9' || format == kMagic.back()) return {};
  return failed_precondition(path.string() + ": is of format " + format + ", this version writes " + kMagic.back() +
                             "\n  fix: start the version that wrote it and let it end by itself (its ledger is then "
                             "whole without this file), and start this one again");
}

}  // namespace

files::RecordKey ledger_journal_key(const crypto::SigningKey& log_key, std::string_view origin) {
  return files::RecordKey::derive(log_key.seed(), "FOVEA/1/ledger-journal", origin);
}

bool LedgerJournalEntry::written_by(const files::RecordKey& key, const Digest& root) const {
  return key.wrote(root, begin_record(index, durable, entry).bytes(), mac);
}

Result<LedgerJournalContents> read_ledger_journal(const std::filesystem::path& path) {
  LedgerJournalContents out;
  FOVEA_TRY(files::check_no_dangling_link(path));
  Result<Bytes> bytes = read_file(path, kJournalBytesMax);
  if (!bytes && bytes.error().code == ErrorCode::not_found) return out;
  if (!bytes) return bytes.error();
  const ByteView all(*bytes);
  FOVEA_TRY(check_format(path, all));
  std::size_t position = 0;
  while (position < all.size()) {
    const auto record = read_record(all.subspan(position));
    const bool in_order = record && (out.entries.empty() || record->index == out.entries.back().index + 1);
    if (!in_order) {
      if (record || proves_synced(all, position))
        return corruption(path.string() + ": the record at byte " + std::to_string(position) +
                          " was durable and has changed; restore the file from a copy of this very moment, or keep the "
                          "ledger as evidence and start the site with a new one");
      break;
    }
    out.entries.push_back({record->index, std::string(as_text(record->entry)), record->durable, record->mac});
    position += record->size;
  }
  out.sound_bytes = position;
  out.torn_bytes = all.size() - position;
  return out;
}

Result<LedgerJournal> LedgerJournal::open(const std::filesystem::path& path, const LedgerJournalContents& contents,
                                          files::RecordKey key) {
  FOVEA_TRY_ASSIGN(AppendFile file, AppendFile::open(path));
  if (contents.torn_bytes > 0) FOVEA_TRY(file.truncate(contents.sound_bytes));
  // What was read may still be in the page cache only, if the last writer was killed before its sync.
  FOVEA_TRY(file.sync());
  return LedgerJournal(std::move(file), contents.sound_bytes, std::move(key));
}

Result<void> LedgerJournal::append(std::span<const LedgerJournalAddition> entries) {
  ByteWriter out;
  for (const LedgerJournalAddition& addition : entries) {
    ByteWriter record = begin_record(addition.index, durable_, addition.entry);
    record.raw(key_.mac(addition.root, record.bytes()));
    const Digest check = crypto::sha256(record.bytes());
    out.raw(record.bytes());
    out.raw(ByteView(check).first(kCheckBytes));
  }
  return file_.append(out.bytes());
}

Result<void> LedgerJournal::sync() {
  FOVEA_TRY(file_.sync());
  durable_ = file_.size();
  return {};
}

Result<void> LedgerJournal::clear() {
  FOVEA_TRY(file_.truncate(0));
  durable_ = 0;
  return {};
}

}  // namespace fovea::federation::ledger

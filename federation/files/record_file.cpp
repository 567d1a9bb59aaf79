#include "federation/files/record_file.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "crypto/hash.h"
#include "federation/files/absent_file.h"
#include "federation/secagg/framed_journal.h"

namespace fovea::federation::files {
namespace {

constexpr std::size_t kFileBytesMax = std::size_t{8} << 30U;
constexpr std::string_view kHeader = "FVR2";

Digest after(const Digest& before, ByteView record) { return crypto::Sha256().update(before).update(record).finish(); }

// As they were given to append(). `before`: what the next record follows.
Result<std::vector<Bytes>> authentic(const std::filesystem::path& path, const std::optional<RecordKey>& key,
                                     std::vector<Bytes> records, Digest& before) {
  before = {};
  if (!key || records.empty()) return records;
  const auto is_header = [](ByteView record) { return as_text(record) == kHeader; };
  for (std::size_t i = 0; i < records.size(); ++i) {
    Bytes& record = records[i];
    const std::size_t size = record.size() - std::min(record.size(), kRecordMacBytes);
    const ByteView text = ByteView(record).first(size);
    if (i == 0 && !is_header(text))
      return failed_precondition(path.string() +
                                 ": is of format 1, without a key, and this version writes 2\n  fix: let the version "
                                 "that wrote it end the run, or move this run's folder away: the site keeps in its "
                                 "register what it has released, and no attempt that it had joined is gone on with");
    RecordMac mac{};
    const ByteView end = ByteView(record).subspan(size);
    std::copy(end.begin(), end.end(), mac.begin());
    if (end.size() != mac.size() || !key->wrote(before, text, mac))
      return corruption(path.string() + ": record " + std::to_string(i) +
                        " was not written with this site's key after the records before it: it, or one before it, was "
                        "added, changed or moved\n  fix: put back a copy of the file from just before that, or move "
                        "this run's folder away: the site then begins the run as if it had taken no part");
    before = after(before, record);
    record.resize(size);
  }
  records.erase(records.begin());
  return records;
}

}  // namespace

Result<RecordFile> RecordFile::open(const std::filesystem::path& path, Retain retain, FileMode mode,
                                    std::optional<RecordKey> key) {
  FOVEA_TRY(check_no_dangling_link(path));
  FOVEA_TRY(remove_unfinished(path));
  FOVEA_TRY_ASSIGN(AppendFile file, AppendFile::open(path, mode));
  RecordFile out(path, mode, std::move(file), retain, std::move(key));
  if (out.file_.size() == 0) return out;
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(path, kFileBytesMax));
  auto read = secagg::read_journal(bytes);
  if (!read) return read.error().with_context(path.string());
  FOVEA_TRY_ASSIGN(out.records_, authentic(path, out.key_, std::move(read->records), out.before_));
  if (read->intact_bytes < bytes.size()) FOVEA_TRY(out.file_.truncate(read->intact_bytes));
  return out;
}

Bytes RecordFile::framed(ByteView record) {
  if (!key_) return secagg::frame_record(record);
  Bytes with_mac(record.begin(), record.end());
  const RecordMac mac = key_->mac(before_, record);
  with_mac.insert(with_mac.end(), mac.begin(), mac.end());
  before_ = after(before_, with_mac);
  return secagg::frame_record(with_mac);
}

Bytes RecordFile::begin() {
  before_ = {};
  return key_ ? framed(as_bytes(kHeader)) : Bytes();
}

Result<std::vector<Bytes>> RecordFile::peek(const std::filesystem::path& path, const std::optional<RecordKey>& key) {
  FOVEA_TRY(check_no_dangling_link(path));
  const auto bytes = read_file(path, kFileBytesMax);
  if (!bytes && bytes.error().code == ErrorCode::not_found) return std::vector<Bytes>();
  if (!bytes) return bytes.error();
  auto contents = secagg::read_journal(*bytes);
  if (!contents) return contents.error().with_context(path.string());
  Digest ignored{};
  return authentic(path, key, std::move(contents->records), ignored);
}

Result<void> RecordFile::append(std::span<const Bytes> records) {
  if (records.empty()) return {};
  if (file_.size() == 0) FOVEA_TRY(file_.append(begin()));
  for (const Bytes& record : records) FOVEA_TRY(file_.append(framed(record)));
  FOVEA_TRY(file_.sync());
  if (retain_ == Retain::appended_too) records_.insert(records_.end(), records.begin(), records.end());
  return {};
}

Result<std::vector<Bytes>> RecordFile::read() const {
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(path_, kFileBytesMax));
  auto contents = secagg::read_journal(bytes);
  if (!contents) return contents.error().with_context(path_.string());
  Digest ignored{};
  return authentic(path_, key_, std::move(contents->records), ignored);
}

Result<void> RecordFile::rewrite(std::span<const Bytes> records) {
  Bytes file = begin();
  for (const Bytes& record : records) {
    const Bytes next = framed(record);
    file.insert(file.end(), next.begin(), next.end());
  }
  FOVEA_TRY(write_file_durably(path_, file, mode_));
  FOVEA_TRY_ASSIGN(file_, AppendFile::open(path_, mode_));
  records_.clear();
  if (retain_ == Retain::appended_too) records_.assign(records.begin(), records.end());
  return {};
}

Result<void> RecordFile::erase() {
  records_.clear();
  return file_.size() > 0 ? file_.truncate(0) : Result<void>();
}

Result<void> RecordFile::restart(ByteView first) {
  FOVEA_TRY(erase());
  FOVEA_TRY(file_.append(begin()));
  FOVEA_TRY(file_.append(framed(first)));
  if (retain_ == Retain::appended_too) records_.emplace_back(first.begin(), first.end());
  return {};
}

}  // namespace fovea::federation::files

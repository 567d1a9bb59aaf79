#include "federation/files/record_file.h"

#include <cstddef>

#include "federation/secagg/framed_journal.h"

namespace fovea::federation::files {
namespace {

constexpr std::size_t kFileBytesMax = std::size_t{8} << 30U;

}  // namespace

Result<RecordFile> RecordFile::open(const std::filesystem::path& path, Retain retain, FileMode mode) {
  FOVEA_TRY(remove_unfinished(path));
  FOVEA_TRY_ASSIGN(AppendFile file, AppendFile::open(path, mode));
  secagg::JournalContents contents;
  if (file.size() > 0) {
    FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(path, kFileBytesMax));
    auto read = secagg::read_journal(bytes);
    if (!read) return read.error().with_context(path.string());
    contents = std::move(*read);
    if (contents.intact_bytes < bytes.size()) FOVEA_TRY(file.truncate(contents.intact_bytes));
  }
  return RecordFile(path, mode, std::move(file), std::move(contents.records), retain);
}

Result<void> RecordFile::append(std::span<const Bytes> records) {
  if (records.empty()) return {};
  for (const Bytes& record : records) FOVEA_TRY(file_.append(secagg::frame_record(record)));
  FOVEA_TRY(file_.sync());
  if (retain_ == Retain::appended_too) records_.insert(records_.end(), records.begin(), records.end());
  return {};
}

Result<std::vector<Bytes>> RecordFile::read() const {
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(path_, kFileBytesMax));
  auto contents = secagg::read_journal(bytes);
  if (!contents) return contents.error().with_context(path_.string());
  return std::move(contents->records);
}

Result<void> RecordFile::rewrite(std::span<const Bytes> records) {
  Bytes file;
  for (const Bytes& record : records) {
    const Bytes framed = secagg::frame_record(record);
    file.insert(file.end(), framed.begin(), framed.end());
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
  FOVEA_TRY(file_.append(secagg::frame_record(first)));
  if (retain_ == Retain::appended_too) records_.emplace_back(first.begin(), first.end());
  return {};
}

}  // namespace fovea::federation::files

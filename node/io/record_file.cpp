#include "node/io/record_file.h"

#include <algorithm>

#include "federation/secagg/framed_journal.h"
#include "node/round/site_marks.h"

namespace fovea::node {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileBytesMax = std::size_t{8} << 30U;

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

Result<RecordFile> RecordFile::open(const fs::path& path, Retain retain) {
  FOVEA_TRY_ASSIGN(AppendFile file, AppendFile::open(path, FileMode::secret));
  federation::JournalContents contents;
  if (file.size() > 0) {
    FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(path, kFileBytesMax));
    auto read = federation::read_journal(bytes);
    if (!read) return corruption(path.string() + ": " + read.error().message);
    contents = std::move(*read);
    if (contents.intact_bytes < bytes.size()) FOVEA_TRY(file.truncate(contents.intact_bytes));
  }
  return RecordFile(std::move(file), std::move(contents.records), retain);
}

Result<void> RecordFile::append(std::span<const Bytes> records) {
  if (records.empty()) return {};
  for (const Bytes& record : records) FOVEA_TRY(file_.append(federation::frame_record(record)));
  FOVEA_TRY(file_.sync());
  if (retain_ == Retain::appended_too) records_.insert(records_.end(), records.begin(), records.end());
  return {};
}

Result<RecordFile> open_site_register(const fs::path& path, const fs::path& runs) {
  FOVEA_TRY_ASSIGN(RecordFile out, RecordFile::open(path, RecordFile::Retain::appended_too));
  for (const auto& [run, journal] : journals_in(runs)) {
    FOVEA_TRY_ASSIGN(const RecordFile records, RecordFile::open(journal, RecordFile::Retain::at_open));
    auto memory = SiteMemory::restore(run, records.records(), out.records());
    if (!memory) return memory.error().with_context(journal.string());
    std::vector<Bytes> found;
    for (const ReleasedMark& mark : memory->unregistered) found.push_back(encode_mark(run, mark));
    FOVEA_TRY(out.append(found));
  }
  return out;
}

}  // namespace fovea::node

#include "node/intake/files_at_rest.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace fovea::node::intake {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kStampsMax = 4'000'000;

FileStamp stamp_of(const fs::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return {};
  FileStamp out;
  out.bytes = S_ISREG(info.st_mode) ? static_cast<std::uintmax_t>(info.st_size) : 0;
  out.changed_ns = static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec;
  return out;
}

std::set<fs::path> changed_since(const FileStamps& stamps, std::int64_t ns) {
  std::set<fs::path> out;
  for (const auto& [file, stamp] : stamps)
    if (stamp.changed_ns > ns) out.insert(file);
  return out;
}

std::set<fs::path> differences(const FileStamps& before, const FileStamps& after) {
  std::set<fs::path> out;
  for (const auto& [file, stamp] : after)
    if (const auto at = before.find(file); at == before.end() || at->second != stamp) out.insert(file);
  for (const auto& [file, stamp] : before)
    if (!after.contains(file)) out.insert(file);
  return out;
}

}  // namespace

FileStamps stamps_of(std::span<const fs::path> files) {
  FileStamps out;
  for (const fs::path& file : files) out[file] = stamp_of(file);
  return out;
}

FileStamps stamps_below(std::span<const fs::path> roots) {
  FileStamps out = stamps_of(roots);
  for (const fs::path& root : roots) {
    std::error_code failed;
    fs::recursive_directory_iterator at(root, fs::directory_options::skip_permission_denied, failed);
    for (const fs::recursive_directory_iterator end; !failed && at != end && out.size() < kStampsMax;
         at.increment(failed))
      out[at->path()] = stamp_of(at->path());
  }
  return out;
}

std::set<fs::path> wait_for_rest(const std::function<FileStamps()>& look, const RestWaiting& waiting) {
  FileStamps seen = look();
  std::set<fs::path> changing = changed_since(seen, (waiting.clock.wall().value - kRestMs) * 1'000'000);
  for (unsigned looks = 1; looks < kRestLooksMax && !changing.empty(); ++looks) {
    if (waiting.tell) waiting.tell(changing.size());
    waiting.wait(kRestMs);
    FileStamps now = look();
    changing = differences(seen, now);
    seen = std::move(now);
  }
  return changing;
}

Error still_written() {
  return invalid_argument("files: still being written (ingest again when the copy is finished)");
}

}  // namespace fovea::node::intake

#include "node/receive/kept_series.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "node/receive/sealed_scan.h"

namespace fovea::node::receive {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDueMark = ".due";

struct Series {
  fs::path folder;
  fs::file_time_type changed;
  std::uint64_t bytes = 0;
};

// Oldest first; without those that are due.
std::vector<Series> series_at_rest(const fs::path& kept) {
  std::vector<Series> out;
  std::error_code failed;
  for (fs::directory_iterator at(kept, failed), end; !failed && at != end; at.increment(failed)) {
    std::error_code error;
    if (!at->is_directory(error) || fs::exists(at->path() / kDueMark, error)) continue;
    Series one{at->path(), at->last_write_time(error), 0};
    for (fs::directory_iterator file(at->path(), error), last; !error && file != last; file.increment(error))
      one.bytes += file->file_size(error);
    out.push_back(std::move(one));
  }
  std::sort(out.begin(), out.end(), [](const Series& a, const Series& b) { return a.changed < b.changed; });
  return out;
}

bool has_free(const fs::path& folder, std::uint64_t bytes_min) {
  struct statvfs disk {};
  return statvfs(folder.c_str(), &disk) != 0 || static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize >= bytes_min;
}

}  // namespace

Result<KeptSeries> KeptSeries::open(fs::path folder, Limits limits) {
  FOVEA_TRY(create_directories_durably(folder));
  std::error_code failed;
  fs::permissions(folder, fs::perms::owner_all, failed);
  if (failed) return unavailable(folder.string() + ": cannot be made private: " + failed.message());
  return KeptSeries(std::move(folder), limits);
}

Result<void> KeptSeries::add(const fs::path& file, const std::string& series, const std::string& name) const {
  const fs::path to = folder_ / series;
  FOVEA_TRY(create_directories_durably(to));
  std::error_code failed;
  if (!fs::exists(to / kDueMark, failed)) FOVEA_TRY(replace_file(to / kDueMark, {}));
  return rename_file(file, to / (name + std::string(kSealedScanEnding)));
}

std::vector<fs::path> KeptSeries::due() const {
  std::vector<fs::path> out;
  std::error_code failed;
  for (fs::directory_iterator at(folder_, failed), end; !failed && at != end; at.increment(failed)) {
    std::error_code error;
    if (fs::exists(at->path() / kDueMark, error)) out.push_back(at->path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

Result<void> KeptSeries::set_ingested(const fs::path& series_folder) const {
  std::error_code failed;
  fs::remove(series_folder / kDueMark, failed);
  if (failed) return unavailable(series_folder.string() + ": cannot be changed: " + failed.message());
  return {};
}

KeptSeries::Dropped KeptSeries::drop(fs::file_time_type now) const {
  Dropped out;
  std::vector<Series> series = series_at_rest(folder_);
  std::uint64_t bytes = 0;
  for (const Series& one : series) bytes += one.bytes;
  for (const Series& one : series) {
    const bool aged = now - one.changed >= limits_.age;
    if (!aged && bytes <= limits_.bytes && has_free(folder_, limits_.free_bytes_min)) continue;
    std::error_code failed;
    fs::remove_all(one.folder, failed);
    bytes -= one.bytes;
    ++(aged ? out.aged : out.crowded);
  }
  return out;
}

fs::path kept_folder(const fs::path& data_folder) { return data_folder / "kept"; }

Result<void> forget_kept(const fs::path& data_folder, const fs::path& image) {
  const fs::path series = image.parent_path().filename(), kept = image.parent_path().parent_path().filename();
  if (image.extension() != kSealedScanEnding || kept != kept_folder(data_folder).filename() || series.empty() ||
      series == "." || series == "..")
    return {};
  std::error_code failed;
  fs::remove_all(kept_folder(data_folder) / series, failed);
  if (failed) return unavailable("study: its received scans cannot be deleted: " + failed.message());
  return {};
}

}  // namespace fovea::node::receive

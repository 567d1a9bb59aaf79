#include "common/durable_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/descriptor.h"
#include "common/result.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

Error errno_error(const fs::path& path, std::string_view action) {
  const int code = errno;
  std::string message = path.string() + ": cannot " + std::string(action) + ": " + std::strerror(code);
  if (code == ENOSPC || code == EDQUOT) return unavailable(message + "; free some space and start again");
  if (code == EROFS) return permission_denied(message + "; mount the disk for writing, or choose another folder");
  if (code == EACCES || code == EPERM) return permission_denied(message + "; check the owner and mode of the folder");
  if (code == ENOENT) return not_found(std::move(message));
  if (code == ELOOP || code == ENOTDIR || code == ENAMETOOLONG) return invalid_argument(std::move(message));
  return unavailable(std::move(message));
}

Result<void> write_all(int descriptor, ByteView bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno_error(path, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> sync_folder(const fs::path& folder) {
  const fs::path name = folder.empty() ? fs::path(".") : folder;
  const Descriptor descriptor = open_file(name.c_str(), O_RDONLY | O_DIRECTORY);
  if (descriptor.number() < 0) return errno_error(name, "open the folder");
  if (::fsync(descriptor.number()) != 0) return errno_error(name, "fsync the folder");
  return {};
}

mode_t mode_bits(FileMode mode) noexcept { return mode == FileMode::secret ? 0600 : 0644; }

// A file that is being written is called NAME.fovea-PROCESS-NUMBER.tmp, beside the NAME that it will have.
constexpr std::string_view kUnfinishedMark = ".fovea-", kUnfinishedEnding = ".tmp";
constexpr int kNamesTriedMax = 1000;

bool is_number_pair(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto digits = [](std::string_view part) {
    return !part.empty() && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  return dash != std::string_view::npos && digits(text.substr(0, dash)) && digits(text.substr(dash + 1));
}

// The name that a file in the making will have; empty when `name` is not of one.
std::string_view finished_name(std::string_view name) {
  const std::size_t mark = name.rfind(kUnfinishedMark);
  if (mark == std::string_view::npos || mark == 0 || !name.ends_with(kUnfinishedEnding)) return {};
  const std::string_view numbers = name.substr(mark + kUnfinishedMark.size());
  if (!is_number_pair(numbers.substr(0, numbers.size() - kUnfinishedEnding.size()))) return {};
  return name.substr(0, mark);
}

// Whoever writes a file holds a lock on it: what nobody holds was left by a process that was killed. False when it is
// there still and cannot be removed.
bool remove_if_abandoned(const fs::path& file) {
  const Descriptor left = open_file(file.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  if (left && ::flock(left.number(), LOCK_EX | LOCK_NB) != 0) return true;  // is being written
  return ::unlink(file.c_str()) == 0 || errno == ENOENT;
}

// Once for each folder that this process writes into: a folder may hold many files.
void remove_abandoned_in(const fs::path& folder) {
  static std::mutex mutex;
  static std::set<std::string> seen;
  constexpr std::size_t kSeenMax = 4096;
  {
    const std::lock_guard lock(mutex);
    if (seen.size() >= kSeenMax) seen.clear();
    if (!seen.insert(folder.string()).second) return;
  }
  std::error_code ended;
  for (fs::directory_iterator at(folder.empty() ? fs::path(".") : folder, ended), end; !ended && at != end;
       at.increment(ended))
    if (!finished_name(at->path().filename().string()).empty()) static_cast<void>(remove_if_abandoned(at->path()));
}

struct Unfinished {
  Descriptor file;
  fs::path path;
};

// Made here (O_EXCL), under a name that no other writer has: two who write one file at once never write into the same
// bytes, and neither a link nor a pipe that somebody put there is followed.
Result<Unfinished> create_unfinished(const fs::path& path, FileMode mode) {
  static std::atomic<std::uint64_t> next{0};
  remove_abandoned_in(path.parent_path());
  for (int tried = 0; tried < kNamesTriedMax; ++tried) {
    const std::string mark = std::string(kUnfinishedMark) + std::to_string(::getpid()) + "-" + std::to_string(next++) +
                             std::string(kUnfinishedEnding);
    // A name may be as long as the disk allows, and then has no room for the mark.
    Unfinished out{{}, path.parent_path() / (path.filename().string().substr(0, NAME_MAX - mark.size()) + mark)};
    out.file = open_file(out.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode_bits(mode));
    if (!out.file && errno == EEXIST) continue;
    if (!out.file) return errno_error(path, "write");
    // Another process may have taken it for abandoned before it was locked.
    if (::flock(out.file.number(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) continue;
    struct stat status {};
    if (::fstat(out.file.number(), &status) != 0) return errno_error(path, "stat");
    if (status.st_nlink == 0) continue;
    if (::fchmod(out.file.number(), mode_bits(mode)) == 0) return out;
    const Error failed = errno_error(path, "set the mode of");
    ::unlink(out.path.c_str());
    return failed;
  }
  return unavailable(path.string() + ": no name is left to write it under; remove the files *.tmp beside it");
}

// Whole, and on the disk where `durable`.
Result<Unfinished> write_unfinished(const fs::path& path, ByteView bytes, FileMode mode, bool durable) {
  FOVEA_TRY_ASSIGN(Unfinished out, create_unfinished(path, mode));
  Result<void> written = write_all(out.file.number(), bytes, path);
  if (written && durable && ::fsync(out.file.number()) != 0) written = errno_error(path, "fsync");
  if (written) return out;
  ::unlink(out.path.c_str());
  return written.error();
}

Result<void> write_beside_and_rename(const fs::path& path, ByteView bytes, FileMode mode, bool durable) {
  FOVEA_TRY_ASSIGN(const Unfinished whole, write_unfinished(path, bytes, mode, durable));
  if (::rename(whole.path.c_str(), path.c_str()) == 0) return {};
  const Error failed = errno_error(path, "rename into place");
  ::unlink(whole.path.c_str());
  return failed;
}

// Gives a file its name unless there is one of that name: 0, or why not. Not every file system has links.
int rename_to_new(const fs::path& from, const fs::path& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return ::unlink(from.c_str()), 0;
  if (errno == EEXIST || errno == ENOSPC || errno == EROFS) return errno;
  return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0 ? 0 : errno;
}

// A pipe in a file's place would hold the program up until somebody reads it.
constexpr const char* kPipe = ": is a pipe or a socket, not a file\n  fix: move it away";

}  // namespace

Result<void> write_file_durably(const fs::path& path, ByteView bytes, FileMode mode) {
  FOVEA_TRY(write_beside_and_rename(path, bytes, mode, true));
  return sync_folder(path.parent_path());
}

Result<bool> create_file_durably(const fs::path& path, ByteView bytes, FileMode mode) {
  FOVEA_TRY_ASSIGN(const Unfinished whole, write_unfinished(path, bytes, mode, true));
  const int failed = rename_to_new(whole.path, path);
  if (failed != 0) ::unlink(whole.path.c_str());
  errno = failed;
  if (failed != 0 && failed != EEXIST) return errno_error(path, "name");
  FOVEA_TRY(sync_folder(path.parent_path()));
  return failed == 0;
}

Result<void> remove_unfinished(const fs::path& path) {
  const fs::path folder = path.parent_path().empty() ? fs::path(".") : path.parent_path();
  const std::string name = path.filename().string();
  std::vector<fs::path> left;
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    const std::string other = at->path().filename().string();
    if (finished_name(other) == name || other == name + std::string(kUnfinishedEnding)) left.push_back(at->path());
  }
  for (const fs::path& file : left)
    if (!remove_if_abandoned(file)) return errno_error(file, "remove");
  return left.empty() ? Result<void>() : sync_folder(folder);
}

Result<void> replace_file(const fs::path& path, ByteView bytes) {
  return write_beside_and_rename(path, bytes, FileMode::normal, false);
}

Result<StagedFile> StagedFile::create(const fs::path& path, FileMode mode) {
  FOVEA_TRY_ASSIGN(Unfinished made, create_unfinished(path, mode));
  return StagedFile(std::move(made.file), std::move(made.path), path);
}

StagedFile::~StagedFile() {
  if (file_) ::unlink(unfinished_.c_str());
}

Result<void> StagedFile::append(ByteView bytes) { return write_all(file_.number(), bytes, path_); }

Result<void> StagedFile::finish() {
  if (::rename(unfinished_.c_str(), path_.c_str()) != 0) return errno_error(path_, "rename into place");
  file_ = Descriptor();
  return {};
}

Result<void> rename_file(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return errno_error(to, "rename into place");
  return {};
}

Result<void> rename_folder_durably(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return errno_error(to, "rename into place");
  return sync_folder(to.parent_path());
}

Result<void> sync_filesystem(const fs::path& folder) {
  const Descriptor descriptor = open_file(folder.c_str(), O_RDONLY | O_DIRECTORY);
  if (descriptor.number() < 0) return errno_error(folder, "open the folder");
  if (::syncfs(descriptor.number()) != 0) return errno_error(folder, "sync");
  return {};
}

Result<Bytes> read_file(const fs::path& path, std::size_t size_max) {
  // Not blocking: a named pipe in a folder of somebody else would hold the program for ever.
  const Descriptor descriptor = open_file(path.c_str(), O_RDONLY | O_NONBLOCK);
  if (descriptor.number() < 0) return errno_error(path, "open");
  struct stat status {};
  if (::fstat(descriptor.number(), &status) != 0) return errno_error(path, "stat");
  if (!S_ISREG(status.st_mode)) return invalid_argument(path.string() + ": is not a regular file");
  if (static_cast<std::uint64_t>(status.st_size) > size_max)
    return invalid_argument(path.string() + ": is larger than the limit of " + std::to_string(size_max) + " bytes");
  Bytes out(static_cast<std::size_t>(status.st_size));
  std::size_t filled = 0;
  while (filled < out.size()) {
    const ssize_t count = ::read(descriptor.number(), out.data() + filled, out.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error(path, "read");
    if (count == 0) return corruption(path.string() + ": became shorter while it was read");
    filled += static_cast<std::size_t>(count);
  }
  return out;
}

Result<void> create_directories_durably(const fs::path& path) {
  if (path.empty() || fs::exists(path)) {
    if (path.empty() || fs::is_directory(path)) return {};
    return invalid_argument(path.string() + ": exists and is not a folder");
  }
  FOVEA_TRY(create_directories_durably(path.parent_path()));
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return errno_error(path, "create the folder");
  return sync_folder(path.parent_path());
}

Result<AppendFile> AppendFile::open(const fs::path& path, FileMode mode) {
  const bool existed = fs::exists(path);
  Descriptor opened = open_file(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, mode_bits(mode));
  if (!opened && errno == ENXIO) return invalid_argument(path.string() + kPipe);
  if (!opened) return errno_error(path, "open");
  struct stat status {};
  if (::fstat(opened.number(), &status) != 0) return errno_error(path, "stat");
  if (S_ISFIFO(status.st_mode)) return invalid_argument(path.string() + kPipe);
  AppendFile file(opened.release(), static_cast<std::uint64_t>(status.st_size), path);
  if (!existed) FOVEA_TRY(sync_folder(path.parent_path()));
  return file;
}

AppendFile::AppendFile(AppendFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_), path_(std::move(other.path_)) {}

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  return *this;
}

int AppendFile::release() && noexcept { return std::exchange(descriptor_, -1); }

AppendFile::~AppendFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<void> AppendFile::append(ByteView bytes) {
  FOVEA_TRY(write_all(descriptor_, bytes, path_));
  size_ += bytes.size();
  return {};
}

Result<void> AppendFile::sync() {
  if (::fdatasync(descriptor_) != 0) return errno_error(path_, "fsync");
  return {};
}

Result<void> AppendFile::truncate(std::uint64_t size) {
  if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) return errno_error(path_, "truncate");
  size_ = size;
  return sync();
}

}  // namespace fovea

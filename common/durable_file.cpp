#include "common/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "common/descriptor.h"
#include "common/result.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

Error errno_error(const fs::path& path, std::string_view action) {
  const int code = errno;
  std::string message = path.string() + ": cannot " + std::string(action) + ": " + std::strerror(code);
  if (code == ENOSPC || code == EDQUOT) return unavailable(message + "; free some space and start again");
  if (code == EACCES || code == EPERM || code == EROFS)
    return permission_denied(message + "; check the owner and mode of the folder");
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

fs::path temporary_beside(const fs::path& path) {
  fs::path out = path;
  out += ".tmp";
  return out;
}

// A pipe in a file's place would hold the program up until somebody reads it.
constexpr const char* kPipe = ": is a pipe or a socket, not a file\n  fix: move it away";

Result<Descriptor> create_temporary(const fs::path& temporary, FileMode mode) {
  Descriptor out = open_file(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, mode_bits(mode));
  if (!out && errno == ENXIO) return invalid_argument(temporary.string() + kPipe);
  if (!out) return errno_error(temporary, "create");
  struct stat status {};
  if (::fstat(out.number(), &status) != 0) return errno_error(temporary, "stat");
  if (S_ISFIFO(status.st_mode)) return invalid_argument(temporary.string() + kPipe);
  return out;
}

Result<void> write_beside_and_rename(const fs::path& path, ByteView bytes, FileMode mode, bool durable) {
  const fs::path temporary = temporary_beside(path);
  {
    FOVEA_TRY_ASSIGN(const Descriptor descriptor, create_temporary(temporary, mode));
    if (::fchmod(descriptor.number(), mode_bits(mode)) != 0) return errno_error(temporary, "set the mode of");
    if (auto written = write_all(descriptor.number(), bytes, temporary); !written) {
      ::unlink(temporary.c_str());
      return written;
    }
    if (durable && ::fsync(descriptor.number()) != 0) return errno_error(temporary, "fsync");
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return errno_error(path, "rename into place");
  return {};
}

}  // namespace

Result<void> write_file_durably(const fs::path& path, ByteView bytes, FileMode mode) {
  FOVEA_TRY(write_beside_and_rename(path, bytes, mode, true));
  return sync_folder(path.parent_path());
}

Result<void> remove_unfinished(const fs::path& path) {
  const fs::path temporary = temporary_beside(path);
  if (::unlink(temporary.c_str()) == 0) return sync_folder(path.parent_path());
  if (errno == ENOENT) return {};
  return errno_error(temporary, "remove");
}

Result<void> replace_file(const fs::path& path, ByteView bytes) {
  return write_beside_and_rename(path, bytes, FileMode::normal, false);
}

Result<StagedFile> StagedFile::create(const fs::path& path, FileMode mode) {
  const fs::path temporary = temporary_beside(path);
  FOVEA_TRY_ASSIGN(Descriptor opened, create_temporary(temporary, mode));
  StagedFile out(opened.release(), path);
  if (::fchmod(out.descriptor_, mode_bits(mode)) != 0) return errno_error(temporary, "set the mode of");
  return out;
}

StagedFile::StagedFile(StagedFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

StagedFile::~StagedFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_beside(path_).c_str());
}

Result<void> StagedFile::append(ByteView bytes) { return write_all(descriptor_, bytes, temporary_beside(path_)); }

Result<void> StagedFile::finish() {
  if (::rename(temporary_beside(path_).c_str(), path_.c_str()) != 0) return errno_error(path_, "rename into place");
  ::close(std::exchange(descriptor_, -1));
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

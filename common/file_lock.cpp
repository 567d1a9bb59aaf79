#include "common/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace fovea {

Result<FileLock> FileLock::take(const std::filesystem::path& path, const std::string& busy) {
  std::error_code ignored;
  const int flags = std::filesystem::is_directory(path, ignored) ? O_RDONLY | O_DIRECTORY : O_RDWR | O_CREAT;
  Descriptor descriptor = open_file(path.c_str(), flags | O_NONBLOCK, 0644);
  if (!descriptor) return unavailable(path.string() + ": cannot open: " + std::strerror(errno));
  if (::flock(descriptor.number(), LOCK_EX | LOCK_NB) != 0) return failed_precondition(busy);
  return FileLock(std::move(descriptor), path);
}

bool FileLock::is_held(const std::filesystem::path& path) {
  const Descriptor descriptor = open_file(path.c_str(), O_RDONLY | O_NONBLOCK);
  return descriptor && ::flock(descriptor.number(), LOCK_EX | LOCK_NB) != 0;
}

Result<void> FileLock::write(std::string_view text) {
  if (::ftruncate(descriptor_.number(), 0) == 0 &&
      ::pwrite(descriptor_.number(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()))
    return {};
  return unavailable(path_.string() + ": cannot write");
}

}  // namespace fovea

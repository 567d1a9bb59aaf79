#include "common/file_lock.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>
#include <utility>

#include "common/numbers.h"

namespace fovea {
namespace {

constexpr std::size_t kHolderBytesMax = 128;
constexpr int kTriesMax = 100;
constexpr std::string_view kProcessMark = " (process ";

std::string name_and_process(std::string_view name) {
  return std::string(name) + std::string(kProcessMark) + std::to_string(::getpid()) + ")\n";
}

}  // namespace

Result<FileLock> FileLock::take(const std::filesystem::path& path, const std::string& busy) {
  std::error_code ignored;
  const int flags = std::filesystem::is_directory(path, ignored) ? O_RDONLY | O_DIRECTORY : O_RDWR | O_CREAT;
  Descriptor descriptor = open_file(path.c_str(), flags | O_NONBLOCK, 0644);
  if (!descriptor) return unavailable(path.string() + ": cannot open: " + std::strerror(errno));
  // Whoever asks is_held has it for a moment: that alone refuses nobody.
  for (int tries = 0; ::flock(descriptor.number(), LOCK_EX | LOCK_NB) != 0; ++tries) {
    if (tries == kTriesMax) return failed_precondition(busy);
    ::sched_yield();
  }
  return FileLock(std::move(descriptor), path);
}

bool FileLock::is_held(const std::filesystem::path& path) {
  const Descriptor descriptor = open_file(path.c_str(), O_RDONLY | O_NONBLOCK);
  return descriptor && ::flock(descriptor.number(), LOCK_SH | LOCK_NB) != 0;  // shared: two who ask see no holder
}

Result<FileLock> FileLock::take_as(const std::filesystem::path& path, std::string_view name, const std::string& what) {
  auto lock = take(path, "");
  if (!lock && lock.error().code == ErrorCode::failed_precondition)
    return failed_precondition(what + ": " + holder(path) + " is at work on it; wait until it has ended, or stop it");
  if (lock) FOVEA_TRY(lock->write(name_and_process(name)));
  return lock;
}

Result<FileLock> FileLock::wait_as(const std::filesystem::path& path, std::string_view name,
                                   const std::function<void(const std::string& holder)>& on_wait) {
  auto lock = take(path, "");
  if (!lock && lock.error().code == ErrorCode::failed_precondition) {
    on_wait(holder(path));
    Descriptor descriptor = open_file(path.c_str(), O_RDWR | O_CREAT | O_NONBLOCK, 0644);
    if (!descriptor) return unavailable(path.string() + ": cannot open: " + std::strerror(errno));
    while (::flock(descriptor.number(), LOCK_EX) != 0)
      if (errno != EINTR) return unavailable(path.string() + ": cannot be locked: " + std::strerror(errno));
    lock = FileLock(std::move(descriptor), path);
  }
  if (lock) FOVEA_TRY(lock->write(name_and_process(name)));
  return lock;
}

// Whoever can write the folder can write this text, and a killed process leaves its own: only a name and a process that
// is there reach a terminal.
std::string FileLock::holder(const std::filesystem::path& path) {
  const std::string unknown = "another program";
  const Descriptor descriptor = open_file(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  char text[kHolderBytesMax];
  const ssize_t got = descriptor ? ::pread(descriptor.number(), text, sizeof text, 0) : -1;
  const std::string_view said(text, got > 0 ? static_cast<std::size_t>(got) : 0);
  const std::size_t mark = said.find(kProcessMark);
  if (mark == std::string_view::npos || !said.ends_with(")\n")) return unknown;
  const std::string_view name = said.substr(0, mark);
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || c == ' ' || c == '-'; };
  const std::size_t digits = mark + kProcessMark.size();
  const auto process = read_whole<pid_t>(said.substr(digits, said.size() - 2 - digits));
  if (!std::all_of(name.begin(), name.end(), plain) || !process || *process == 0) return unknown;
  if (::kill(*process, 0) != 0 && errno == ESRCH) return unknown;
  return std::string(said.substr(0, said.size() - 1));
}

Result<void> FileLock::write(std::string_view text) {
  if (::ftruncate(descriptor_.number(), 0) == 0 &&
      ::pwrite(descriptor_.number(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()))
    return {};
  return unavailable(path_.string() + ": cannot write");
}

}  // namespace fovea

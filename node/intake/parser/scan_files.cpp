#include "node/intake/parser/scan_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace fovea::node::intake {

Result<Descriptor> open_scan_file(const std::filesystem::path& file) {
  // O_NONBLOCK: a named pipe must not make the node wait.
  Descriptor out(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!out)
    return not_found(std::string("cannot be opened: ") + std::strerror(errno) +
                     " (is the path right, may this user read it?)");
  struct stat info {};
  const bool known = ::fstat(out.number(), &info) == 0;
  if (known && S_ISDIR(info.st_mode))
    return invalid_argument("a folder where one file is expected (name the file in it that counts)");
  if (!known || !S_ISREG(info.st_mode)) return invalid_argument("not a regular file");
  if (info.st_size == 0) return invalid_argument("the file is empty (copy it again)");
  return out;
}

std::uint64_t bytes_of(std::span<const std::filesystem::path> files) {
  std::uint64_t bytes = 0;
  for (const std::filesystem::path& file : files) {
    std::error_code failed;
    const std::uintmax_t size = std::filesystem::file_size(file, failed);
    if (!failed) bytes += size;
  }
  return bytes;
}

Result<std::optional<MemoryBudget::Share>> memory_for(const ScanFiles& scan_files,
                                                      std::span<const std::filesystem::path> files) {
  if (!scan_files.memory) return std::optional<MemoryBudget::Share>();
  std::optional<MemoryBudget::Share> share = scan_files.memory->take(bytes_of(files));
  if (!share)
    return invalid_argument("the files of this scan are more than the " +
                            std::to_string(scan_files.memory->total_bytes() / 1'000'000) +
                            " MB that received files may take in memory (raise intake.memory_megabytes)");
  return share;
}

}  // namespace fovea::node::intake

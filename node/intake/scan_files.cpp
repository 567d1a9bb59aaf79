#include "node/intake/scan_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace fovea::node {

Result<Descriptor> open_scan_file(const std::filesystem::path& file) {
  // O_NONBLOCK: a named pipe must not make the node wait.
  Descriptor out(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!out) return not_found(std::string("cannot be opened: ") + std::strerror(errno) + " (is the path right, may this user read it?)");
  struct stat info {};
  if (::fstat(out.number(), &info) != 0 || !S_ISREG(info.st_mode)) return invalid_argument("not a regular file");
  if (info.st_size == 0) return invalid_argument("the file is empty (copy it again)");
  return out;
}

}  // namespace fovea::node

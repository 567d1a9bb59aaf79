#include "federation/files/absent_file.h"

#include <system_error>

namespace fovea::federation::files {

namespace fs = std::filesystem;

Result<void> check_no_dangling_link(const fs::path& path) {
  std::error_code error;
  if (!fs::is_symlink(path, error) || fs::exists(path, error)) return {};
  return invalid_argument(path.string() +
                          ": is a link to a file that is not there\n  fix: bring back what it leads to (is its disk "
                          "mounted?)");
}

}  // namespace fovea::federation::files

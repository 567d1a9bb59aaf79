// A lock that one process holds on a file or folder: a second process that must not work on the same folder is refused.
// It is advisory (flock), goes with the process however that ends, and is not inherited by programs that it starts.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "common/descriptor.h"
#include "common/result.h"

namespace fovea {

class FileLock {
 public:
  // On a file, made when absent, or on an existing folder. unavailable: cannot be opened; failed_precondition with
  // `busy` as its message: another process holds the lock.
  static Result<FileLock> take(const std::filesystem::path& path, const std::string& busy);
  static bool is_held(const std::filesystem::path& path);  // by any process; false when the file is absent

  // Makes `text` the whole content of the file, for whoever wants to know who holds it. Not durable.
  Result<void> write(std::string_view text);

 private:
  FileLock(Descriptor descriptor, std::filesystem::path path)
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}
  Descriptor descriptor_;
  std::filesystem::path path_;
};

}  // namespace fovea

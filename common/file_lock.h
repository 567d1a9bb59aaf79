// A lock that one process holds on a file or folder: a second process that must not work on the same folder is refused.
// It is advisory (flock), goes with the process however that ends, and is not inherited by programs that it starts.
#pragma once

#include <filesystem>
#include <functional>
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

  // The same under a name, such as "fovea-node data ingest": whoever is refused is told it, and the process. `what` is
  // what the lock is for, such as the folder.
  static Result<FileLock> take_as(const std::filesystem::path& path, std::string_view name, const std::string& what);
  // Waits for it, however long; first tells `on_wait` who has it. Not for a thread that must hear of signals.
  static Result<FileLock> wait_as(const std::filesystem::path& path, std::string_view name,
                                  const std::function<void(const std::string& holder)>& on_wait);
  // Of take_as: "fovea-node data ingest (process 123)"; "another program" when it has not said, or was killed.
  static std::string holder(const std::filesystem::path& path);

  // Makes `text` the whole content of the file, for whoever wants to know who holds it. Not durable.
  Result<void> write(std::string_view text);

 private:
  FileLock(Descriptor descriptor, std::filesystem::path path)
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}
  Descriptor descriptor_;
  std::filesystem::path path_;
};

}  // namespace fovea

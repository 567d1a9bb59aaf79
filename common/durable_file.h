// The one door to files that must survive a crash. Errors name the path; a full disk is `unavailable`.
// Whatever is written whole is written beside its place first, under a name of its own: of two who write one file at
// once, one has the last word, and nobody reads a mixture. What a killed process leaves there is removed by the next
// one that writes into the folder.
// After a failed fsync nothing is retried: the caller stops and recovers from what is on disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <utility>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "common/result.h"

namespace fovea {

enum class FileMode { normal, secret };  // 0644 and 0600

// Replaces `path` whole: temporary file beside it, fsync, rename, fsync of the folder.
Result<void> write_file_durably(const std::filesystem::path& path, ByteView bytes, FileMode mode = FileMode::normal);

// The same for a file that may be made once only, such as a key: true when it was made now, false when it was there
// already, in which case it is left as it is.
Result<bool> create_file_durably(const std::filesystem::path& path, ByteView bytes, FileMode mode = FileMode::normal);

// Removes what a write_file_durably() of `path`, of this or an older version, left beside it when the process was
// killed, if anything.
Result<void> remove_unfinished(const std::filesystem::path& path);

// Replaces `path` whole for its readers, without waiting for the disk: for a status that the next start writes anew.
Result<void> replace_file(const std::filesystem::path& path, ByteView bytes);

// A file written piece by piece under a temporary name and renamed into place when finished: a reader of `path` sees
// the old file or the whole new one. Durable after sync_filesystem. One that is dropped unfinished leaves nothing
// behind.
class StagedFile {
 public:
  static Result<StagedFile> create(const std::filesystem::path& path, FileMode mode);
  StagedFile(StagedFile&& other) noexcept = default;
  StagedFile& operator=(StagedFile&&) = delete;
  ~StagedFile();

  Result<void> append(ByteView bytes);
  Result<void> finish();

 private:
  StagedFile(Descriptor file, std::filesystem::path unfinished, std::filesystem::path path)
      : file_(std::move(file)), unfinished_(std::move(unfinished)), path_(std::move(path)) {}
  Descriptor file_;  // none when it was finished
  std::filesystem::path unfinished_, path_;
};

// Moves a file to another name on the same file system, over what has that name. Durable after sync_filesystem.
Result<void> rename_file(const std::filesystem::path& from, const std::filesystem::path& to);

// Gives a folder its name: one that was made under another, beside it, is there whole or not at all.
Result<void> rename_folder_durably(const std::filesystem::path& from, const std::filesystem::path& to);

// Waits until everything written so far on the file system of `folder` is on its disk: one wait for many files.
Result<void> sync_filesystem(const std::filesystem::path& folder);

// Reads a whole file; invalid_argument above `size_max` bytes, not_found when absent.
Result<Bytes> read_file(const std::filesystem::path& path, std::size_t size_max);

// Creates the folder and its parents, and makes the new names durable.
Result<void> create_directories_durably(const std::filesystem::path& path);

// An append-only file. Appended bytes are durable only after sync() returns.
class AppendFile {
 public:
  static Result<AppendFile> open(const std::filesystem::path& path, FileMode mode = FileMode::normal);
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&& other) noexcept;
  ~AppendFile();

  Result<void> append(ByteView bytes);
  Result<void> sync();
  // Cuts the file to `size` bytes and syncs: used at start to drop a torn last record.
  Result<void> truncate(std::uint64_t size);
  std::uint64_t size() const noexcept { return size_; }
  int release() && noexcept;  // the descriptor, which the caller closes

 private:
  AppendFile(int descriptor, std::uint64_t size, std::filesystem::path path)
      : descriptor_(descriptor), size_(size), path_(std::move(path)) {}
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  std::filesystem::path path_;
};

}  // namespace fovea

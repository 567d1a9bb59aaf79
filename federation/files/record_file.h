// A file of durable records (federation/secagg/framed_journal.h): the journal of a run, the register of a site, the
// history of a coordinator's run. One writer, not thread-safe.
#pragma once

#include <filesystem>
#include <span>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/durable_file.h"

namespace fovea::federation::files {

class RecordFile {
 public:
  enum class Retain { at_open, appended_too };  // what records() gives

  // Makes the file at first; cuts a torn last record off, and removes what a rewrite() that was killed left.
  // corruption: a damaged record before the last; nothing is cut.
  static Result<RecordFile> open(const std::filesystem::path& path, Retain retain, FileMode mode = FileMode::secret);

  const std::vector<Bytes>& records() const noexcept { return records_; }
  std::vector<Bytes> take_records() noexcept { return std::exchange(records_, {}); }

  // Durable when it returns. After an error nothing may be appended any more.
  Result<void> append(std::span<const Bytes> records);
  // What the file holds now, read again.
  Result<std::vector<Bytes>> read() const;
  // Replaces the file by one of these records, durably: whoever is killed in between finds the old one or the new one.
  // The old one's bytes are given back to the file system, which is not asked to overwrite them. After an error nothing
  // may be written any more.
  Result<void> rewrite(std::span<const Bytes> records);
  // Empties the file, durably, and begins it anew with `first`, which is durable with the next append().
  Result<void> restart(ByteView first);
  Result<void> erase();  // empties it, durably

 private:
  RecordFile(std::filesystem::path path, FileMode mode, AppendFile file, std::vector<Bytes> records, Retain retain)
      : path_(std::move(path)), mode_(mode), file_(std::move(file)), records_(std::move(records)), retain_(retain) {}
  std::filesystem::path path_;
  FileMode mode_;
  AppendFile file_;
  std::vector<Bytes> records_;
  Retain retain_;
};

}  // namespace fovea::federation::files

// A file of durable records (federation/secagg/framed_journal.h): the journal of a run, the register of a site, the
// history of a coordinator's run. One writer, not thread-safe.
//
// With a key it is authenticated: it begins with a record "FVR2", and each record ends in 16 bytes of MAC over it and
// all before it (record_key.h). Then nobody without the key adds, changes, moves or leaves out a record. What cuts the
// file behind one, or puts an older one back, is not told from an older file.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "federation/files/record_key.h"

namespace fovea::federation::files {

class RecordFile {
 public:
  enum class Retain { at_open, appended_too };  // what records() gives

  // Makes the file at first; cuts a torn last record off, and removes what a rewrite() that was killed left.
  // corruption: a damaged record before the last, or one that the key did not write; nothing is cut.
  // failed_precondition: of the format without a key, where there is one.
  static Result<RecordFile> open(const std::filesystem::path& path, Retain retain, FileMode mode = FileMode::secret,
                                 std::optional<RecordKey> key = {});

  // What open() would find, with nothing on disk made, cut off or removed. None where there is no file.
  static Result<std::vector<Bytes>> peek(const std::filesystem::path& path, const std::optional<RecordKey>& key = {});

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
  RecordFile(std::filesystem::path path, FileMode mode, AppendFile file, Retain retain, std::optional<RecordKey> key)
      : path_(std::move(path)), mode_(mode), file_(std::move(file)), retain_(retain), key_(std::move(key)) {}
  Bytes framed(ByteView record);  // to follow all that were framed before
  Bytes begin();                  // of a new file
  std::filesystem::path path_;
  FileMode mode_;
  AppendFile file_;
  std::vector<Bytes> records_{};
  Retain retain_;
  std::optional<RecordKey> key_;
  Digest before_{};  // of all records in the file
};

}  // namespace fovea::federation::files

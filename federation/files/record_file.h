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

  // Makes the file at first; cuts a torn last record off. corruption: a damaged record before the last; nothing is cut.
  static Result<RecordFile> open(const std::filesystem::path& path, Retain retain, FileMode mode = FileMode::secret);

  const std::vector<Bytes>& records() const noexcept { return records_; }
  std::vector<Bytes> take_records() noexcept { return std::exchange(records_, {}); }

  // Durable when it returns. After an error nothing may be appended any more.
  Result<void> append(std::span<const Bytes> records);
  // Empties the file, durably, and begins it anew with `first`, which is durable with the next append().
  Result<void> restart(ByteView first);

 private:
  RecordFile(AppendFile file, std::vector<Bytes> records, Retain retain)
      : file_(std::move(file)), records_(std::move(records)), retain_(retain) {}
  AppendFile file_;
  std::vector<Bytes> records_;
  Retain retain_;
};

}  // namespace fovea::federation::files

// A file of durable records (federation/secagg/framed_journal.h), readable by its owner only: the journal of a run, and
// the register of the site.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "common/durable_file.h"

namespace fovea::node {

class RecordFile {
 public:
  enum class Retain { at_open, appended_too };  // what records() gives

  // Makes the file at first; cuts a torn last record off. corruption: a damaged record before the last.
  static Result<RecordFile> open(const std::filesystem::path& path, Retain retain);

  const std::vector<Bytes>& records() const noexcept { return records_; }

  // Durable when it returns. After an error nothing may be appended any more.
  Result<void> append(std::span<const Bytes> records);

 private:
  RecordFile(AppendFile file, std::vector<Bytes> records, Retain retain)
      : file_(std::move(file)), records_(std::move(records)), retain_(retain) {}
  AppendFile file_;
  std::vector<Bytes> records_;
  Retain retain_;
};

// The register of a site: what must hold across its runs (node/round/site_marks.h). What the journals of the runs have
// and it lacks is written to it first, at each opening: so deleting it frees no model, and a crash while it is made
// again does no harm.
Result<RecordFile> open_site_register(const std::filesystem::path& path, const std::filesystem::path& runs);

}  // namespace fovea::node

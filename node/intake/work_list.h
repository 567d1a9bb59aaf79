// Which study a worker ingests next. The largest come first, so that no worker ends long after the others. Each worker
// has a NIfTI parser and one of ITK to start, so one worker begins with what is for ITK and the others with NIfTI: the
// slow start is not paid twice for the sake of a last study. A file's first bytes decide which parser reads it; here
// its name is a good enough guess.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "node/intake/manifest.h"

namespace fovea::node::intake {

class WorkList {
 public:
  explicit WorkList(const std::vector<StudySource>& sources);

  // Each source once, by its number; none when all were given out. Any thread; of equally large ones the first in the
  // list comes first.
  std::optional<std::size_t> next(unsigned worker);

  // Of the source's files; a missing one counts nothing.
  std::uint64_t bytes(std::size_t source) const noexcept { return bytes_[source]; }
  std::uint64_t total_bytes() const noexcept { return total_bytes_; }

 private:
  struct Pile {
    std::vector<std::size_t> sources;
    std::size_t taken = 0;
  };
  std::vector<std::uint64_t> bytes_;
  std::uint64_t total_bytes_ = 0;
  std::mutex mutex_;  // guards what follows
  Pile nifti_, others_;
};

}  // namespace fovea::node::intake

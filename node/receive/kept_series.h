// Received series that are kept, sealed as they came, for some hours after their ingest. Nothing in DICOM says when a
// series is whole, or whether contours will follow: an archive pauses, and a structure set is drawn the day after. What
// comes later is ingested together with what is kept, and makes the study whole or labels it.
//
// A folder for each series, a file for each object of it, both called by salted codes: what is sent twice is kept once,
// whatever the order. A series is due, by a mark in its folder, from before its first file until it was ingested.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"

namespace fovea::node::receive {

class KeptSeries {
 public:
  struct Limits {
    std::chrono::hours age{24};        // since something came for the series
    std::uint64_t bytes = 0;           // of all of them, as they lie on the disk
    std::uint64_t free_bytes_min = 0;  // of the disk
  };
  struct Dropped {
    std::size_t aged = 0, crowded = 0;  // series
  };

  // Made, mode 0700.
  static Result<KeptSeries> open(std::filesystem::path folder, Limits limits);

  // Takes a sealed file over; it replaces the one of that name. Durable after sync_filesystem.
  Result<void> add(const std::filesystem::path& file, const std::string& series, const std::string& name) const;
  std::vector<std::filesystem::path> due() const;  // folders, in order
  Result<void> set_ingested(const std::filesystem::path& series_folder) const;
  // What is too old, then the oldest until the rest is within the limits; never what is due.
  Dropped drop(std::filesystem::file_time_type now) const;

 private:
  KeptSeries(std::filesystem::path folder, Limits limits) : folder_(std::move(folder)), limits_(limits) {}
  std::filesystem::path folder_;
  Limits limits_;
};

// Where a site keeps them.
std::filesystem::path kept_folder(const std::filesystem::path& data_folder);

// Deletes the series of which a kept file is `image`, if it is one: whoever forgets a study must not find it ingested
// again when its contours come. unavailable: it cannot be deleted.
Result<void> forget_kept(const std::filesystem::path& data_folder, const std::filesystem::path& image);

}  // namespace fovea::node::receive

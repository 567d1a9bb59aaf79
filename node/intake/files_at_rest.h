// Whether somebody still writes the files that are to be ingested: a copy in progress is a shorter scan, and one that
// its own header may not contradict.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "common/clock.h"
#include "common/result.h"

namespace fovea::node::intake {

struct FileStamp {
  std::uintmax_t bytes = 0;     // 0 of a folder, or of a file that is not there
  std::int64_t changed_ns = 0;  // since 1970; of a folder: when a name came or went
  bool operator==(const FileStamp&) const = default;
};
using FileStamps = std::map<std::filesystem::path, FileStamp>;

FileStamps stamps_of(std::span<const std::filesystem::path> files);

// Everything in these folders, themselves and hidden names too: copying programs write under those.
FileStamps stamps_below(std::span<const std::filesystem::path> roots);

constexpr std::int64_t kRestMs = 2000;  // what nobody has changed for so long is at rest
constexpr unsigned kRestLooksMax = 15;

struct RestWaiting {
  const Clock& clock;
  std::function<void(std::int64_t)> wait;  // for so many milliseconds
  std::function<void(std::size_t)> tell;   // how many changed lately, before each wait; may be empty
};

// Waits until `look` finds nothing that was changed in the last kRestMs, or the same in two looks kRestMs apart (a
// file server's clock may be ahead). Empty then; else what still changed at the last of kRestLooksMax looks.
std::set<std::filesystem::path> wait_for_rest(const std::function<FileStamps()>& look, const RestWaiting& waiting);

Error still_written();

}  // namespace fovea::node::intake

// The frame of a record in a round journal file: u32 length · 8 bytes of SHA-256 · record. Pure; the driver owns the
// file.
//
//   start:  contents = read_journal(read_file(path));
//           if (contents.intact_bytes < size) file.truncate(contents.intact_bytes);
//   write:  for each record of an effect: file.append(frame_record(record)); then one file.sync().
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/bytes.h"
#include "common/result.h"

namespace fovea::federation::secagg {

inline constexpr std::size_t kJournalRecordMax = std::size_t{1} << 30;

Bytes frame_record(ByteView record);

struct JournalContents {
  std::vector<Bytes> records;
  std::uint64_t intact_bytes = 0;  // what follows is a torn last record: cut it off
};

// corruption: a damaged record, or length of one, that is not the last (bit rot, not a torn write); names the byte.
// Nothing must be cut off then: the records behind it were promised to others.
Result<JournalContents> read_journal(ByteView file);

}  // namespace fovea::federation::secagg

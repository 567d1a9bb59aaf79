#include "federation/secagg/framed_journal.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "common/codec.h"
#include "common/result.h"
#include "crypto/hash.h"

namespace fovea::federation::secagg {
namespace {

constexpr std::size_t kCheckBytes = 8;
constexpr std::size_t kFrameBytes = sizeof(std::uint32_t) + kCheckBytes;

std::array<std::uint8_t, kCheckBytes> check_of(ByteView record) {
  const Digest digest = crypto::TaggedHash("FOVEA/1/journal-record").add(record).finish();
  std::array<std::uint8_t, kCheckBytes> out{};
  std::copy_n(digest.begin(), kCheckBytes, out.begin());
  return out;
}

bool is_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

// Bytes hashed at most to find a whole record after a damaged one: beyond, a tail counts as torn.
constexpr std::size_t kSearchBytesMax = std::size_t{256} << 20U;

// Where a whole record begins in `bytes`, after the first byte. A length that was changed hides the records behind it,
// while a torn append, the last that was made, has none behind it.
std::optional<std::size_t> find_whole_record(ByteView bytes) {
  std::size_t budget = kSearchBytesMax;
  const auto empty = check_of({});
  for (std::size_t at = 1; at + kFrameBytes <= bytes.size(); ++at) {
    ByteReader reader(bytes.subspan(at));
    const std::size_t length = *reader.u32("journal.length");
    const auto check = *reader.array<kCheckBytes>("journal.check");
    if (length > reader.left() || length > budget) continue;
    budget -= length;
    if (check == (length == 0 ? empty : check_of(bytes.subspan(at + kFrameBytes, length)))) return at;
  }
  return std::nullopt;
}

}  // namespace

Bytes frame_record(ByteView record) {
  ByteWriter writer;
  writer.reserve(record.size() + kFrameBytes);
  writer.u32(static_cast<std::uint32_t>(record.size()));
  writer.raw(check_of(record));
  writer.raw(record);
  return std::move(writer).take();
}

Result<JournalContents> read_journal(ByteView file) {
  JournalContents out;
  while (out.intact_bytes < file.size()) {
    const ByteView rest = file.subspan(static_cast<std::size_t>(out.intact_bytes));
    ByteReader reader(rest);
    const auto length = reader.u32("journal.length");
    const auto check = reader.array<kCheckBytes>("journal.check");
    const bool whole = length && check && *length <= reader.left();
    const ByteView record = whole ? rest.subspan(kFrameBytes, *length) : ByteView();
    if (!whole || check_of(record) != *check) {
      // A torn append leaves a short or unsynced tail, which nobody was told about: it is cut off.
      const auto next = find_whole_record(rest);
      if (!next && (!whole || record.size() == reader.left() || is_zero(rest))) return out;
      return corruption(
          "journal: the record at byte " + std::to_string(out.intact_bytes) + " is damaged" +
          (next ? ", and whole records follow from byte " + std::to_string(out.intact_bytes + *next) : std::string()) +
          ": that is no unfinished last write, so nothing is cut off\n  fix: check the disk, and put back a copy of "
          "this file that is not older than the last start");
    }
    out.records.emplace_back(record.begin(), record.end());
    out.intact_bytes += kFrameBytes + record.size();
  }
  return out;
}

}  // namespace fovea::federation::secagg

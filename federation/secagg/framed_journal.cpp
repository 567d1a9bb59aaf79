#include "federation/secagg/framed_journal.h"

#include <algorithm>

#include "common/codec.h"
#include "crypto/hash.h"

namespace fovea::federation {
namespace {

constexpr std::size_t kCheckBytes = 8;

std::array<std::uint8_t, kCheckBytes> check_of(ByteView record) {
  const Digest digest = crypto::TaggedHash("FOVEA/1/journal-record").add(record).finish();
  std::array<std::uint8_t, kCheckBytes> out{};
  std::copy_n(digest.begin(), kCheckBytes, out.begin());
  return out;
}

}  // namespace

Bytes frame_record(ByteView record) {
  ByteWriter writer;
  writer.reserve(record.size() + 4 + kCheckBytes);
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
    // A torn append leaves a short or unsynced tail, which nobody was told about: it is cut off.
    if (!length || !check || *length > reader.left()) return out;
    if (std::all_of(rest.begin(), rest.end(), [](std::uint8_t byte) { return byte == 0; })) return out;
    FOVEA_TRY_ASSIGN(const ByteView record, reader.raw("journal.record", *length));
    if (check_of(record) != *check) {
      if (reader.left() == 0) return out;
      return corruption("journal: the record at byte " + std::to_string(out.intact_bytes) + " is damaged");
    }
    out.records.emplace_back(record.begin(), record.end());
    out.intact_bytes += rest.size() - reader.left();
  }
  return out;
}

}  // namespace fovea::federation

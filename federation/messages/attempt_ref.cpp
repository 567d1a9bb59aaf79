#include "federation/messages/attempt_ref.h"

namespace fovea::federation {

void write(ByteWriter& writer, const AttemptRef& ref) {
  writer.u32(ref.round);
  writer.u32(ref.attempt);
  writer.raw(ref.parameters);
}

Result<AttemptRef> read_attempt_ref(ByteReader& reader) {
  AttemptRef ref;
  FOVEA_TRY_ASSIGN(ref.round, reader.u32("round"));
  FOVEA_TRY_ASSIGN(ref.attempt, reader.u32("attempt"));
  FOVEA_TRY_ASSIGN(ref.parameters, reader.array<32>("parameters hash"));
  if (ref.round == 0 || ref.attempt == 0) return invalid_argument("round and attempt: count from 1");
  return ref;
}

Result<std::uint32_t> read_count(ByteReader& reader, std::string_view field, std::size_t count_max) {
  FOVEA_TRY_ASSIGN(const std::uint32_t count, reader.u32(field));
  if (count > count_max)
    return invalid_argument(std::string(field) + ": " + std::to_string(count) + " entries, at most " +
                            std::to_string(count_max));
  return count;
}

void write(ByteWriter& writer, const std::vector<RosterIndex>& sites) {
  writer.u32(static_cast<std::uint32_t>(sites.size()));
  for (const RosterIndex site : sites) writer.u16(site);
}

Result<std::vector<RosterIndex>> read_sites(ByteReader& reader, std::string_view field) {
  FOVEA_TRY_ASSIGN(const std::uint32_t count, reader.u32(field));
  if (count > kCohortMax)
    return invalid_argument(std::string(field) + ": " + std::to_string(count) + " sites, at most " +
                            std::to_string(kCohortMax));
  std::vector<RosterIndex> sites;
  sites.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    FOVEA_TRY_ASSIGN(const RosterIndex site, reader.u16(field));
    if (!sites.empty() && site <= sites.back())
      return invalid_argument(std::string(field) + ": roster indices must be strictly ascending");
    sites.push_back(site);
  }
  return sites;
}

}  // namespace fovea::federation

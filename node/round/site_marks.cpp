#include "node/round/site_marks.h"

#include "common/codec.h"
#include "federation/messages/envelope.h"

namespace fovea::node {
namespace {

enum class MarkType : std::uint8_t {
  joined_1 = 1,  // the marks with a number in their name are of version 0.1: written no more
  signed_statement_1 = 2,
  unmasked = 3,
  released_1 = 4,
  beacon_list = 5,
  beacon = 6,
  joined = 7,
  signed_statement = 8,
  released = 9,
};

bool names_an_attempt(MarkType type) { return type != MarkType::beacon_list && type != MarkType::beacon; }

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};

void write_repeats(ByteWriter& writer, const std::optional<federation::AttemptRef>& repeats) {
  writer.u8(repeats ? 1 : 0);
  if (repeats) federation::write(writer, *repeats);
}

Result<std::optional<federation::AttemptRef>> read_repeats(ByteReader& reader) {
  FOVEA_TRY_ASSIGN(const std::uint8_t given, reader.u8("mark.repeats"));
  if (given > 1) return invalid_argument("mark.repeats: expected 0 or 1");
  if (given == 0) return std::optional<federation::AttemptRef>();
  FOVEA_TRY_ASSIGN(const federation::AttemptRef ref, federation::read_attempt_ref(reader));
  return std::optional(ref);
}

struct DecodedMark {
  RunId run;
  SiteMark mark;
};

Result<SiteMark> read_fields(ByteReader& reader, MarkType type, const federation::AttemptRef& ref) {
  switch (type) {
    case MarkType::joined_1:
    case MarkType::joined: {
      JoinedMark mark{.ref = ref};
      FOVEA_TRY_ASSIGN(mark.seed_tag, reader.array<32>("mark.seed_tag"));
      if (type == MarkType::joined_1) return SiteMark(mark);
      FOVEA_TRY_ASSIGN(mark.update, reader.array<32>("mark.update"));
      FOVEA_TRY_ASSIGN(mark.repeats, read_repeats(reader));
      return SiteMark(mark);
    }
    case MarkType::signed_statement_1:
    case MarkType::signed_statement: {
      SignedMark mark{.ref = ref};
      FOVEA_TRY_ASSIGN(mark.request, reader.array<32>("mark.request"));
      FOVEA_TRY_ASSIGN(mark.statement, reader.array<32>("mark.statement"));
      FOVEA_TRY_ASSIGN(mark.model_hash, reader.array<32>("mark.model_hash"));
      FOVEA_TRY_ASSIGN(mark.signatures_min, reader.u16("mark.signatures_min"));
      FOVEA_TRY_ASSIGN(mark.threshold, reader.u16("mark.threshold"));
      FOVEA_TRY_ASSIGN(mark.voters, federation::read_sites(reader, "mark.voters"));
      FOVEA_TRY_ASSIGN(mark.holders, federation::read_sites(reader, "mark.holders"));
      FOVEA_TRY_ASSIGN(const ByteView wire, reader.sized("mark.wire", federation::kWireBytesMax));
      mark.wire.assign(wire.begin(), wire.end());
      FOVEA_TRY_ASSIGN(const ByteView release, reader.sized("mark.release", federation::kWireBytesMax));
      mark.release.assign(release.begin(), release.end());
      if (type == MarkType::signed_statement_1) return SiteMark(std::move(mark));
      FOVEA_TRY_ASSIGN(mark.survivors, federation::read_sites(reader, "mark.survivors"));
      FOVEA_TRY_ASSIGN(mark.repeats, read_repeats(reader));
      return SiteMark(std::move(mark));
    }
    case MarkType::unmasked: {
      UnmaskedMark mark{.ref = ref};
      FOVEA_TRY_ASSIGN(mark.model_hash, reader.array<32>("mark.model_hash"));
      FOVEA_TRY_ASSIGN(const ByteView wire, reader.sized("mark.wire", federation::kWireBytesMax));
      mark.wire.assign(wire.begin(), wire.end());
      return SiteMark(std::move(mark));
    }
    case MarkType::released_1:
    case MarkType::released: {
      ReleasedMark mark{.ref = ref};
      FOVEA_TRY_ASSIGN(mark.model_hash, reader.array<32>("mark.model_hash"));
      if (type == MarkType::released_1) return SiteMark(mark);
      FOVEA_TRY_ASSIGN(mark.survivors, federation::read_sites(reader, "mark.survivors"));
      FOVEA_TRY_ASSIGN(mark.committed, federation::read_sites(reader, "mark.committed"));
      return SiteMark(mark);
    }
    case MarkType::beacon_list: {
      BeaconListMark mark;
      FOVEA_TRY_ASSIGN(mark.roster, reader.array<32>("mark.roster"));
      FOVEA_TRY_ASSIGN(mark.list, reader.array<32>("mark.list"));
      return SiteMark(mark);
    }
    case MarkType::beacon: {
      BeaconMark mark;
      FOVEA_TRY_ASSIGN(mark.roster, reader.array<32>("mark.roster"));
      FOVEA_TRY_ASSIGN(mark.beacon, reader.array<32>("mark.beacon"));
      return SiteMark(mark);
    }
  }
  return invalid_argument("mark.type: unknown number " + std::to_string(static_cast<int>(type)));
}

Result<DecodedMark> decode_mark(ByteView record) {
  ByteReader reader(record);
  FOVEA_TRY_ASSIGN(const std::uint8_t type, reader.u8("mark.type"));
  RunId run;
  FOVEA_TRY_ASSIGN(run.bytes, reader.array<16>("mark.run"));
  federation::AttemptRef ref;
  if (names_an_attempt(static_cast<MarkType>(type))) {
    FOVEA_TRY_ASSIGN(ref, federation::read_attempt_ref(reader));
  }
  FOVEA_TRY_ASSIGN(SiteMark mark, read_fields(reader, static_cast<MarkType>(type), ref));
  FOVEA_TRY(reader.finish("mark"));
  return DecodedMark{run, std::move(mark)};
}

}  // namespace

Bytes encode_mark(const RunId& run, const SiteMark& mark) {
  ByteWriter writer;
  writer.reserve(128);
  const auto start = [&](MarkType type, const federation::AttemptRef& ref) {
    writer.u8(static_cast<std::uint8_t>(type));
    writer.raw(run.bytes);
    federation::write(writer, ref);
  };
  std::visit(Overloaded{
                 [&](const JoinedMark& m) {
                   start(MarkType::joined, m.ref);
                   writer.raw(m.seed_tag);
                   writer.raw(m.update);
                   write_repeats(writer, m.repeats);
                 },
                 [&](const SignedMark& m) {
                   start(MarkType::signed_statement, m.ref);
                   writer.raw(m.request);
                   writer.raw(m.statement);
                   writer.raw(m.model_hash);
                   writer.u16(m.signatures_min);
                   writer.u16(m.threshold);
                   federation::write(writer, m.voters);
                   federation::write(writer, m.holders);
                   writer.sized(m.wire);
                   writer.sized(m.release);
                   federation::write(writer, m.survivors);
                   write_repeats(writer, m.repeats);
                 },
                 [&](const UnmaskedMark& m) {
                   start(MarkType::unmasked, m.ref);
                   writer.raw(m.model_hash);
                   writer.sized(m.wire);
                 },
                 [&](const ReleasedMark& m) {
                   start(MarkType::released, m.ref);
                   writer.raw(m.model_hash);
                   federation::write(writer, m.survivors);
                   federation::write(writer, m.committed);
                 },
                 [&](const BeaconListMark& m) {
                   writer.u8(static_cast<std::uint8_t>(MarkType::beacon_list));
                   writer.raw(run.bytes);
                   writer.raw(m.roster);
                   writer.raw(m.list);
                 },
                 [&](const BeaconMark& m) {
                   writer.u8(static_cast<std::uint8_t>(MarkType::beacon));
                   writer.raw(run.bytes);
                   writer.raw(m.roster);
                   writer.raw(m.beacon);
                 },
             },
             mark);
  return std::move(writer).take();
}

bool SiteMemory::note_release(const RunId& run, const ReleasedMark& mark) {
  const auto [known, first] = released_models.emplace(mark.model_hash, Release{run, mark});
  if (first) return true;
  // Whoever released first keeps the model.
  if (known->second.run != run || mark.ref.round <= known->second.mark.ref.round) return false;
  known->second.mark = mark;
  return true;
}

void SiteMemory::apply(const RunId& run, const SiteMark& mark) {
  std::visit(Overloaded{
                 [&](const JoinedMark& m) {
                   seed_tags.insert(m.seed_tag);
                   joined = m;
                 },
                 [&](const SignedMark& m) { consistency = m; },
                 [&](const UnmaskedMark& m) {
                   ReleasedMark release{.ref = m.ref, .model_hash = m.model_hash};
                   if (consistency && consistency->ref == m.ref) {
                     release.survivors = consistency->survivors;
                     release.committed = consistency->voters;
                   }
                   if (note_release(run, release)) unregistered.push_back(std::move(release));
                   unmasked = m;
                 },
                 [&](const ReleasedMark& m) {
                   note_release(run, m);
                   std::erase_if(unregistered, [&](const ReleasedMark& entry) {
                     return entry.model_hash == m.model_hash && entry.ref == m.ref;
                   });
                 },
                 [&](const BeaconListMark& m) { beacon_lists.emplace(m.roster, m.list); },
                 [&](const BeaconMark& m) { beacons.emplace(m.roster, m.beacon); },
             },
             mark);
}

Result<SiteMemory> SiteMemory::restore(const RunId& run, std::span<const Bytes> journal,
                                       std::span<const Bytes> site_register) {
  SiteMemory memory;
  for (std::size_t i = 0; i < site_register.size(); ++i) {
    auto decoded = decode_mark(site_register[i]);
    if (!decoded) return corruption("site register, record " + std::to_string(i) + ": " + decoded.error().message);
    memory.apply(decoded->run, decoded->mark);
  }
  for (std::size_t i = 0; i < journal.size(); ++i) {
    auto decoded = decode_mark(journal[i]);
    if (!decoded) return corruption("round journal, record " + std::to_string(i) + ": " + decoded.error().message);
    if (decoded->run != run)
      return corruption("round journal, record " + std::to_string(i) + ": of another run than " + run.text());
    memory.apply(run, decoded->mark);
  }
  return memory;
}

}  // namespace fovea::node

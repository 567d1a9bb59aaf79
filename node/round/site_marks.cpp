#include "node/round/site_marks.h"

#include "common/codec.h"
#include "federation/messages/envelope.h"

namespace fovea::node {
namespace {

enum class MarkType : std::uint8_t { joined = 1, signed_statement = 2, unmasked = 3, released = 4, beacon_list = 5, beacon = 6 };

bool names_an_attempt(MarkType type) { return type != MarkType::beacon_list && type != MarkType::beacon; }

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};

struct DecodedMark {
  RunId run;
  SiteMark mark;
};

Result<SiteMark> read_fields(ByteReader& reader, MarkType type, const federation::AttemptRef& ref) {
  switch (type) {
    case MarkType::joined: {
      JoinedMark mark{.ref = ref};
      FOVEA_TRY_ASSIGN(mark.seed_tag, reader.array<32>("mark.seed_tag"));
      return SiteMark(mark);
    }
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
      return SiteMark(std::move(mark));
    }
    case MarkType::unmasked: {
      UnmaskedMark mark{.ref = ref};
      FOVEA_TRY_ASSIGN(mark.model_hash, reader.array<32>("mark.model_hash"));
      FOVEA_TRY_ASSIGN(const ByteView wire, reader.sized("mark.wire", federation::kWireBytesMax));
      mark.wire.assign(wire.begin(), wire.end());
      return SiteMark(std::move(mark));
    }
    case MarkType::released: {
      ReleasedMark mark{.ref = ref};
      FOVEA_TRY_ASSIGN(mark.model_hash, reader.array<32>("mark.model_hash"));
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
                 },
                 [&](const UnmaskedMark& m) {
                   start(MarkType::unmasked, m.ref);
                   writer.raw(m.model_hash);
                   writer.sized(m.wire);
                 },
                 [&](const ReleasedMark& m) {
                   start(MarkType::released, m.ref);
                   writer.raw(m.model_hash);
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

void SiteMemory::apply(const RunId& run, const SiteMark& mark) {
  std::visit(Overloaded{
                 [&](const JoinedMark& m) {
                   seed_tags.insert(m.seed_tag);
                   joined = m;
                 },
                 [&](const SignedMark& m) { consistency = m; },
                 [&](const UnmaskedMark& m) {
                   // Whoever released first keeps the model.
                   if (released_models.emplace(m.model_hash, run).second) unregistered.push_back({m.ref, m.model_hash});
                   unmasked = m;
                 },
                 [&](const ReleasedMark& m) {
                   released_models.emplace(m.model_hash, run);
                   std::erase_if(unregistered, [&](const ReleasedMark& entry) { return entry.model_hash == m.model_hash; });
                 },
                 [&](const BeaconListMark& m) { beacon_lists.emplace(m.roster, m.list); },
                 [&](const BeaconMark& m) { beacons.emplace(m.roster, m.beacon); },
             },
             mark);
}

Result<SiteMemory> SiteMemory::restore(const RunId& run, std::span<const Bytes> journal, std::span<const Bytes> site_register) {
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

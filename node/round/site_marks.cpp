#include "node/round/site_marks.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "common/byte_fields.h"
#include "common/check.h"
#include "common/codec.h"
#include "common/overloaded.h"
#include "federation/messages/envelope.h"

namespace fovea::node::round {
namespace {

// A mark of version 0.1 ends before the fields that let a sum be repeated. It is read, and written no more.
enum class MarkVersion { before_repeats, current };

template <class Fields>
void repeats(Fields& f, FieldsOf<Fields, std::optional<federation::messages::AttemptRef>> ref) {
  bool given = ref.has_value();
  f.boolean("mark.repeats", given);
  if (f.present(ref, given)) fields(f, *ref);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, JoinedMark> mark, MarkVersion version) {
  fields(f, mark.ref);
  f.array("mark.seed_tag", mark.seed_tag);
  if (version == MarkVersion::before_repeats) return;
  f.array("mark.update", mark.vector);
  repeats(f, mark.repeats);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, SignedMark> mark, MarkVersion version) {
  fields(f, mark.ref);
  f.array("mark.request", mark.request);
  f.array("mark.statement", mark.statement);
  f.array("mark.model_hash", mark.model_hash);
  f.u16("mark.signatures_min", mark.signatures_min);
  f.u16("mark.threshold", mark.threshold);
  federation::messages::site_list(f, "mark.voters", mark.voters);
  federation::messages::site_list(f, "mark.holders", mark.holders);
  f.bytes("mark.wire", mark.wire, federation::messages::kWireBytesMax);
  f.bytes("mark.release", mark.release, federation::messages::kWireBytesMax);
  if (version == MarkVersion::before_repeats) return;
  federation::messages::site_list(f, "mark.survivors", mark.survivors);
  repeats(f, mark.repeats);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, UnmaskedMark> mark, MarkVersion) {
  fields(f, mark.ref);
  f.array("mark.model_hash", mark.model_hash);
  f.bytes("mark.wire", mark.wire, federation::messages::kWireBytesMax);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, ReleasedMark> mark, MarkVersion version) {
  fields(f, mark.ref);
  f.array("mark.model_hash", mark.model_hash);
  if (version == MarkVersion::before_repeats) return;
  federation::messages::site_list(f, "mark.survivors", mark.survivors);
  federation::messages::site_list(f, "mark.committed", mark.committed);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, BeaconListMark> mark, MarkVersion) {
  f.array("mark.roster", mark.roster);
  f.array("mark.list", mark.list);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, BeaconMark> mark, MarkVersion) {
  f.array("mark.roster", mark.roster);
  f.array("mark.beacon", mark.beacon);
}

template <class Mark>
Result<SiteMark> read(ByteReader& reader, MarkVersion version) {
  FieldReader f(reader);
  Mark mark;
  fields(f, mark, version);
  FOVEA_TRY(f.finish("mark"));
  return SiteMark(std::move(mark));
}

// The numbers are on disk and never reused.
struct MarkType {
  std::uint8_t number;
  MarkVersion version;
  std::size_t alternative;  // of SiteMark
  Result<SiteMark> (*read)(ByteReader&, MarkVersion);
};
constexpr std::array kMarkTypes{
    MarkType{1, MarkVersion::before_repeats, 0, read<JoinedMark>},
    MarkType{2, MarkVersion::before_repeats, 1, read<SignedMark>},
    MarkType{3, MarkVersion::current, 2, read<UnmaskedMark>},
    MarkType{4, MarkVersion::before_repeats, 3, read<ReleasedMark>},
    MarkType{5, MarkVersion::current, 4, read<BeaconListMark>},
    MarkType{6, MarkVersion::current, 5, read<BeaconMark>},
    MarkType{7, MarkVersion::current, 0, read<JoinedMark>},
    MarkType{8, MarkVersion::current, 1, read<SignedMark>},
    MarkType{9, MarkVersion::current, 3, read<ReleasedMark>},
};

struct DecodedMark {
  RunId run;
  SiteMark mark;
};

Result<DecodedMark> decode_mark(ByteView record) {
  ByteReader reader(record);
  FOVEA_TRY_ASSIGN(const std::uint8_t number, reader.u8("mark.type"));
  RunId run;
  FOVEA_TRY_ASSIGN(run.bytes, reader.array<16>("mark.run"));
  for (const MarkType& type : kMarkTypes) {
    if (type.number != number) continue;
    FOVEA_TRY_ASSIGN(SiteMark mark, type.read(reader, type.version));
    return DecodedMark{run, std::move(mark)};
  }
  return invalid_argument("mark.type: unknown number " + std::to_string(number));
}

}  // namespace

Bytes encode_mark(const RunId& run, const SiteMark& mark) {
  const auto type = std::find_if(kMarkTypes.begin(), kMarkTypes.end(), [&](const MarkType& entry) {
    return entry.version == MarkVersion::current && entry.alternative == mark.index();
  });
  FOVEA_CHECK(type != kMarkTypes.end());
  ByteWriter writer;
  writer.reserve(128);
  writer.u8(type->number);
  writer.raw(run.bytes);
  FieldWriter f(writer);
  std::visit([&](const auto& m) { fields(f, m, type->version); }, mark);
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

}  // namespace fovea::node::round

#include "node/round/site_marks.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
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

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, StatisticMark> mark, MarkVersion) {
  f.array("mark.model_hash", mark.model_hash);
  f.boolean("mark.released", mark.released);
  using Tag = federation::model::StudyTag;
  f.list("mark.studies", mark.studies, {kMeasuredStudiesMax, "studies"}, [](Fields& g, auto& tag, const Tag* previous) {
    g.array("mark.studies", tag);
    g.require(previous == nullptr || tag > *previous, "mark.studies", "must be strictly ascending");
  });
  f.require(!mark.studies.empty(), "mark.studies", "at least one study");
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, ClosedMark> mark, MarkVersion) {
  f.u32("mark.round", mark.round);
  f.u32("mark.attempt", mark.attempt);
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
    MarkType{10, MarkVersion::current, 6, read<StatisticMark>},
    MarkType{11, MarkVersion::current, 7, read<ClosedMark>},
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

// All studies that were measured for a sum on this model: after a restart the data may be other, while what R4 signed
// is still of the studies before.
void SiteMemory::add_measured(const StatisticMark& mark) {
  if (!measured || measured->model_hash != mark.model_hash) {
    measured = mark;
    return;
  }
  std::vector<federation::model::StudyTag> all;
  std::set_union(measured->studies.begin(), measured->studies.end(), mark.studies.begin(), mark.studies.end(),
                 std::back_inserter(all));
  measured->studies = std::move(all);
}

bool SiteMemory::note_statistic(const RunId& run, const StatisticMark& mark) {
  bool news = false;
  for (const federation::model::StudyTag& study : mark.studies)
    news |= statistics.emplace(study, MeasuredFor{run, mark.model_hash}).second;  // whoever released first keeps it
  return news;
}

bool SiteMemory::keeps_shares(const ClosedMark& of) const {
  return (consistency && !consistency->release.empty() && of.covers(consistency->ref)) ||
         (unmasked && !unmasked->wire.empty() && of.covers(unmasked->ref));
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
                   if (measured && measured->model_hash == m.model_hash && note_statistic(run, *measured))
                     unregistered_statistics.push_back({m.model_hash, true, measured->studies});
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
                 [&](const StatisticMark& m) {
                   if (!m.released) return add_measured(m);
                   note_statistic(run, m);
                   std::erase_if(unregistered_statistics, [&](const StatisticMark& entry) {
                     return entry.model_hash == m.model_hash && entry.studies == m.studies;
                   });
                 },
                 [&](const ClosedMark& m) {
                   closed = m;
                   if (consistency && m.covers(consistency->ref)) consistency->release.clear();
                   if (unmasked && m.covers(unmasked->ref)) unmasked->wire.clear();
                 },
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

bool may_spend_shares(ByteView record) {
  const auto is_type = [&](std::size_t alternative) {
    return std::any_of(kMarkTypes.begin(), kMarkTypes.end(), [&](const MarkType& type) {
      return type.alternative == alternative && !record.empty() && type.number == record.front();
    });
  };
  return is_type(SiteMark(JoinedMark{}).index()) || is_type(SiteMark(ClosedMark{}).index());
}

Result<std::optional<std::vector<Bytes>>> without_spent_shares(const RunId& run, std::span<const Bytes> journal,
                                                               const std::optional<ClosedMark>& gate) {
  std::vector<SiteMark> marks;
  std::optional<federation::messages::AttemptRef> joined;
  std::optional<ClosedMark> closed;
  for (std::size_t i = 0; i < journal.size(); ++i) {
    auto decoded = decode_mark(journal[i]);
    if (!decoded) return corruption("round journal, record " + std::to_string(i) + ": " + decoded.error().message);
    if (const auto* mark = std::get_if<JoinedMark>(&decoded->mark)) joined = mark->ref;
    if (const auto* mark = std::get_if<ClosedMark>(&decoded->mark)) closed = *mark;
    marks.push_back(std::move(decoded->mark));
  }
  const auto spend = [&](const federation::messages::AttemptRef& ref, Bytes& shares) {
    const bool open = joined == ref && !(closed && closed->covers(ref)) && !(gate && gate->covers(ref));
    if (open || shares.empty()) return false;
    shares.clear();
    return true;
  };
  std::vector<Bytes> out(journal.begin(), journal.end());
  bool changed = false;
  for (std::size_t i = 0; i < marks.size(); ++i) {
    bool spent = false;
    if (auto* mark = std::get_if<SignedMark>(&marks[i])) spent = spend(mark->ref, mark->release);
    if (auto* mark = std::get_if<UnmaskedMark>(&marks[i])) spent = spend(mark->ref, mark->wire);
    if (spent) out[i] = encode_mark(run, marks[i]);
    changed |= spent;
  }
  if (!changed) return std::optional<std::vector<Bytes>>();
  return std::optional(std::move(out));
}

}  // namespace fovea::node::round

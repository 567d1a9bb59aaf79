#include "node/round/site_marks.h"

#include "common/codec.h"
#include "federation/messages/envelope.h"

namespace fovea::node {
namespace {

enum class MarkType : std::uint8_t { joined = 1, signed_statement = 2, unmasked = 3 };

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
      FOVEA_TRY_ASSIGN(mark.threshold, reader.u16("mark.threshold"));
      FOVEA_TRY_ASSIGN(mark.committed, federation::read_sites(reader, "mark.committed"));
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
  }
  return invalid_argument("mark.type: unknown number " + std::to_string(static_cast<int>(type)));
}

Result<DecodedMark> decode_mark(ByteView record) {
  ByteReader reader(record);
  FOVEA_TRY_ASSIGN(const std::uint8_t type, reader.u8("mark.type"));
  RunId run;
  FOVEA_TRY_ASSIGN(run.bytes, reader.array<16>("mark.run"));
  FOVEA_TRY_ASSIGN(const federation::AttemptRef ref, federation::read_attempt_ref(reader));
  FOVEA_TRY_ASSIGN(SiteMark mark, read_fields(reader, static_cast<MarkType>(type), ref));
  FOVEA_TRY(reader.finish("mark"));
  return DecodedMark{run, std::move(mark)};
}

}  // namespace

Bytes encode_mark(const RunId& run, const SiteMark& mark) {
  ByteWriter writer;
  const auto start = [&](MarkType type, const federation::AttemptRef& ref) {
    writer.reserve(128);
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
                   writer.u16(m.threshold);
                   federation::write(writer, m.committed);
                   writer.sized(m.wire);
                   writer.sized(m.release);
                 },
                 [&](const UnmaskedMark& m) {
                   start(MarkType::unmasked, m.ref);
                   writer.raw(m.model_hash);
                   writer.sized(m.wire);
                 },
             },
             mark);
  return std::move(writer).take();
}

void SiteMemory::apply(const SiteMark& mark) {
  std::visit(Overloaded{
                 [&](const JoinedMark& m) {
                   seed_tags.insert(m.seed_tag);
                   joined = m;
                 },
                 [&](const SignedMark& m) { consistency = m; },
                 [&](const UnmaskedMark& m) {
                   released_models.insert(m.model_hash);
                   unmasked = m;
                 },
             },
             mark);
}

Result<SiteMemory> SiteMemory::restore(const RunId& run, std::span<const Bytes> journal) {
  SiteMemory memory;
  for (std::size_t i = 0; i < journal.size(); ++i) {
    auto decoded = decode_mark(journal[i]);
    if (!decoded) return corruption("round journal, record " + std::to_string(i) + ": " + decoded.error().message);
    if (decoded->run == run) {
      memory.apply(decoded->mark);
      continue;
    }
    // Another run: its rounds are its own, but a seed or a model released there stays used.
    std::visit(Overloaded{
                   [&](const JoinedMark& m) { memory.seed_tags.insert(m.seed_tag); },
                   [&](const SignedMark&) {},
                   [&](const UnmaskedMark& m) { memory.released_models.insert(m.model_hash); },
               },
               decoded->mark);
  }
  return memory;
}

}  // namespace fovea::node

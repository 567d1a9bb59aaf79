#include "federation/messages/coordinator_messages.h"

namespace fovea::federation {
namespace {

constexpr std::size_t kChunksMax = 1024;  // of the largest model

// Lists carry each site once, in roster order.
Result<RosterIndex> read_next_site(ByteReader& reader, std::string_view field, const RosterIndex* previous) {
  FOVEA_TRY_ASSIGN(const RosterIndex site, reader.u16(field));
  if (previous != nullptr && site <= *previous)
    return invalid_argument(std::string(field) + ": must be strictly ascending");
  return site;
}

Bytes encode_document(const Bytes& document) {
  ByteWriter writer;
  writer.sized(document);
  return std::move(writer).take();
}

Result<Bytes> decode_document(ByteView payload, std::string_view field) {
  ByteReader reader(payload);
  FOVEA_TRY_ASSIGN(const ByteView view, reader.sized(field, kDocumentBytesMax));
  FOVEA_TRY(reader.finish(field));
  return Bytes(view.begin(), view.end());
}

}  // namespace

void write_listed_keys(ByteWriter& writer, const std::vector<ListedKeys>& list) {
  writer.u32(static_cast<std::uint32_t>(list.size()));
  for (const ListedKeys& entry : list) {
    writer.u16(entry.site);
    write(writer, entry.keys);
  }
}

Result<std::vector<ListedKeys>> read_listed_keys(ByteReader& reader) {
  FOVEA_TRY_ASSIGN(const std::uint32_t count, read_count(reader, "keys"));
  std::vector<ListedKeys> list(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    FOVEA_TRY_ASSIGN(list[i].site, read_next_site(reader, "keys.site", i > 0 ? &list[i - 1].site : nullptr));
    FOVEA_TRY_ASSIGN(list[i].keys, read_advertised_keys(reader, "keys"));
  }
  return list;
}

void write_committed(ByteWriter& writer, const std::vector<CommittedVector>& list) {
  writer.u32(static_cast<std::uint32_t>(list.size()));
  for (const CommittedVector& entry : list) {
    writer.u16(entry.site);
    writer.raw(entry.vector_hash);
    writer.raw(entry.self_seed_commitment);
    writer.raw(entry.signature);
  }
}

Result<std::vector<CommittedVector>> read_committed(ByteReader& reader) {
  FOVEA_TRY_ASSIGN(const std::uint32_t count, read_count(reader, "committed"));
  std::vector<CommittedVector> list(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    FOVEA_TRY_ASSIGN(list[i].site, read_next_site(reader, "committed.site", i > 0 ? &list[i - 1].site : nullptr));
    FOVEA_TRY_ASSIGN(list[i].vector_hash, reader.array<32>("committed.vector_hash"));
    FOVEA_TRY_ASSIGN(list[i].self_seed_commitment, reader.array<32>("committed.self_seed_commitment"));
    FOVEA_TRY_ASSIGN(list[i].signature, reader.array<64>("committed.signature"));
  }
  return list;
}

void write_site_signatures(ByteWriter& writer, const std::vector<SiteSignature>& list) {
  writer.u32(static_cast<std::uint32_t>(list.size()));
  for (const SiteSignature& entry : list) {
    writer.u16(entry.site);
    writer.raw(entry.signature);
  }
}

Result<std::vector<SiteSignature>> read_site_signatures(ByteReader& reader) {
  FOVEA_TRY_ASSIGN(const std::uint32_t count, read_count(reader, "signatures"));
  std::vector<SiteSignature> list(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    FOVEA_TRY_ASSIGN(list[i].site, read_next_site(reader, "signatures.site", i > 0 ? &list[i - 1].site : nullptr));
    FOVEA_TRY_ASSIGN(list[i].signature, reader.array<64>("signatures.signature"));
  }
  return list;
}

Bytes PlanOffer::encode() const { return encode_document(plan); }
Result<PlanOffer> PlanOffer::decode(ByteView payload) {
  FOVEA_TRY_ASSIGN(Bytes plan, decode_document(payload, "plan"));
  return PlanOffer{std::move(plan)};
}

Bytes RosterOffer::encode() const { return encode_document(signed_document); }
Result<RosterOffer> RosterOffer::decode(ByteView payload) {
  FOVEA_TRY_ASSIGN(Bytes document, decode_document(payload, "roster"));
  return RosterOffer{std::move(document)};
}

Bytes TrainTask::encode() const {
  ByteWriter writer;
  writer.u32(round);
  writer.u32(stage_index);
  writer.u32(stage_round);
  writer.u64(seed);
  writer.raw(plan_hash);
  writer.raw(model_hash);
  writer.raw(previous_transcript);
  return std::move(writer).take();
}

Result<TrainTask> TrainTask::decode(ByteView payload) {
  ByteReader reader(payload);
  TrainTask out;
  FOVEA_TRY_ASSIGN(out.round, reader.u32("task.round"));
  if (out.round == 0) return invalid_argument("task.round: counts from 1");
  FOVEA_TRY_ASSIGN(out.stage_index, reader.u32("task.stage_index"));
  FOVEA_TRY_ASSIGN(out.stage_round, reader.u32("task.stage_round"));
  FOVEA_TRY_ASSIGN(out.seed, reader.u64("task.seed"));
  FOVEA_TRY_ASSIGN(out.plan_hash, reader.array<32>("task.plan_hash"));
  FOVEA_TRY_ASSIGN(out.model_hash, reader.array<32>("task.model_hash"));
  FOVEA_TRY_ASSIGN(out.previous_transcript, reader.array<32>("task.previous_transcript"));
  FOVEA_TRY(reader.finish("train task"));
  return out;
}

Bytes KeyList::encode() const {
  ByteWriter writer;
  write(writer, ref);
  write_listed_keys(writer, keys);
  return std::move(writer).take();
}

Result<KeyList> KeyList::decode(ByteView payload) {
  ByteReader reader(payload);
  KeyList out;
  FOVEA_TRY_ASSIGN(out.ref, read_attempt_ref(reader));
  FOVEA_TRY_ASSIGN(out.keys, read_listed_keys(reader));
  FOVEA_TRY(reader.finish("key list"));
  return out;
}

Bytes RoutedShares::encode() const {
  ByteWriter writer;
  write(writer, ref);
  write(writer, survivors);
  write_sealed_list(writer, shares);
  return std::move(writer).take();
}

Result<RoutedShares> RoutedShares::decode(ByteView payload) {
  ByteReader reader(payload);
  RoutedShares out;
  FOVEA_TRY_ASSIGN(out.ref, read_attempt_ref(reader));
  FOVEA_TRY_ASSIGN(out.survivors, read_sites(reader, "survivors"));
  FOVEA_TRY_ASSIGN(out.shares, read_sealed_list(reader));
  FOVEA_TRY(reader.finish("routed shares"));
  return out;
}

Bytes ChunkRequest::encode() const {
  ByteWriter writer;
  write(writer, ref);
  writer.u8(statement ? 1 : 0);
  writer.u32(static_cast<std::uint32_t>(chunks.size()));
  for (const std::uint32_t chunk : chunks) writer.u32(chunk);
  return std::move(writer).take();
}

Result<ChunkRequest> ChunkRequest::decode(ByteView payload) {
  ByteReader reader(payload);
  ChunkRequest out;
  FOVEA_TRY_ASSIGN(out.ref, read_attempt_ref(reader));
  FOVEA_TRY_ASSIGN(const std::uint8_t statement, reader.u8("chunk request.statement"));
  if (statement > 1) return invalid_argument("chunk request.statement: expected 0 or 1");
  out.statement = statement == 1;
  FOVEA_TRY_ASSIGN(const std::uint32_t count, read_count(reader, "chunk request.chunks", kChunksMax));
  out.chunks.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    FOVEA_TRY_ASSIGN(out.chunks[i], reader.u32("chunk request.chunk"));
    if (i > 0 && out.chunks[i] <= out.chunks[i - 1])
      return invalid_argument("chunk request.chunk: must be strictly ascending");
  }
  FOVEA_TRY(reader.finish("chunk request"));
  return out;
}

Bytes ConsistencyRequest::encode() const {
  ByteWriter writer;
  write(writer, ref);
  write(writer, survivors);
  write_committed(writer, committed);
  return std::move(writer).take();
}

Result<ConsistencyRequest> ConsistencyRequest::decode(ByteView payload) {
  ByteReader reader(payload);
  ConsistencyRequest out;
  FOVEA_TRY_ASSIGN(out.ref, read_attempt_ref(reader));
  FOVEA_TRY_ASSIGN(out.survivors, read_sites(reader, "survivors"));
  FOVEA_TRY_ASSIGN(out.committed, read_committed(reader));
  FOVEA_TRY(reader.finish("consistency request"));
  return out;
}

Bytes UnmaskRequest::encode() const {
  ByteWriter writer;
  write(writer, ref);
  write_site_signatures(writer, signatures);
  return std::move(writer).take();
}

Result<UnmaskRequest> UnmaskRequest::decode(ByteView payload) {
  ByteReader reader(payload);
  UnmaskRequest out;
  FOVEA_TRY_ASSIGN(out.ref, read_attempt_ref(reader));
  FOVEA_TRY_ASSIGN(out.signatures, read_site_signatures(reader));
  FOVEA_TRY(reader.finish("unmask request"));
  return out;
}

Bytes RefusalNotice::encode() const {
  ByteWriter writer;
  writer.u32(round);
  writer.u32(attempt);
  writer.u16(static_cast<std::uint16_t>(refused));
  writer.u16(static_cast<std::uint16_t>(reason));
  return std::move(writer).take();
}

Result<RefusalNotice> RefusalNotice::decode(ByteView payload) {
  ByteReader reader(payload);
  RefusalNotice out;
  FOVEA_TRY_ASSIGN(out.round, reader.u32("refusal.round"));
  FOVEA_TRY_ASSIGN(out.attempt, reader.u32("refusal.attempt"));
  FOVEA_TRY_ASSIGN(const std::uint16_t refused, reader.u16("refusal.refused"));
  FOVEA_TRY_ASSIGN(out.refused, message_kind(refused));
  FOVEA_TRY_ASSIGN(const std::uint16_t reason, reader.u16("refusal.reason"));
  FOVEA_TRY_ASSIGN(out.reason, refusal_reason(reason));
  FOVEA_TRY(reader.finish("refusal"));
  return out;
}

Bytes AttemptAbandoned::encode() const {
  ByteWriter writer;
  writer.u32(round);
  writer.u32(attempt);
  writer.u16(static_cast<std::uint16_t>(reason));
  writer.u8(round_over ? 1 : 0);
  return std::move(writer).take();
}

Result<AttemptAbandoned> AttemptAbandoned::decode(ByteView payload) {
  ByteReader reader(payload);
  AttemptAbandoned out;
  FOVEA_TRY_ASSIGN(out.round, reader.u32("abandoned.round"));
  FOVEA_TRY_ASSIGN(out.attempt, reader.u32("abandoned.attempt"));
  FOVEA_TRY_ASSIGN(const std::uint16_t reason, reader.u16("abandoned.reason"));
  FOVEA_TRY_ASSIGN(out.reason, refusal_reason(reason));
  FOVEA_TRY_ASSIGN(const std::uint8_t over, reader.u8("abandoned.round_over"));
  if (over > 1) return invalid_argument("abandoned.round_over: expected 0 or 1");
  out.round_over = over == 1;
  FOVEA_TRY(reader.finish("abandoned"));
  return out;
}

}  // namespace fovea::federation

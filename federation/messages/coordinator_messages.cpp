#include "federation/messages/coordinator_messages.h"

#include <cstddef>

#include "common/result.h"

namespace fovea::federation::messages {
namespace {

constexpr std::size_t kChunksMax = 1024;                   // of the largest model
constexpr std::uint64_t kTimeMaxMs = 253'402'300'799'000;  // end of the year 9999

}  // namespace

std::vector<RosterIndex> sites_of(std::span<const CommittedVector> committed) {
  std::vector<RosterIndex> out;
  out.reserve(committed.size());
  for (const CommittedVector& entry : committed) out.push_back(entry.site);
  return out;
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, PlanOffer> offer) {
  f.bytes("plan", offer.plan, kDocumentBytesMax);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, RosterOffer> offer) {
  f.bytes("roster", offer.signed_document, kDocumentBytesMax);
  f.u64("roster.sent_ms", offer.sent_ms);
  f.require(offer.sent_ms <= kTimeMaxMs, "roster.sent_ms", "a time before the year 10000");
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, TrainTask> task) {
  f.u32("task.round", task.round);
  f.require(task.round > 0, "task.round", "counts from 1");
  f.u32("task.stage_index", task.stage_index);
  f.u32("task.stage_round", task.stage_round);
  f.u64("task.seed", task.seed);
  f.array("task.plan_hash", task.plan_hash);
  f.array("task.model_hash", task.model_hash);
  f.array("task.previous_transcript", task.previous_transcript);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, KeyList> list) {
  fields(f, list.ref);
  entry_list(f, list.keys, &ListedKeys::site);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, RoutedShares> routed) {
  fields(f, routed.ref);
  site_list(f, "survivors", routed.survivors);
  entry_list(f, routed.shares, &SealedShares::peer);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, ChunkRequest> request) {
  fields(f, request.ref);
  f.boolean("chunk request.statement", request.statement);
  f.list("chunk request.chunks", request.chunks, {kChunksMax},
         [](Fields& g, auto& chunk, const std::uint32_t* previous) {
           g.u32("chunk request.chunk", chunk);
           g.require(previous == nullptr || chunk > *previous, "chunk request.chunk", "must be strictly ascending");
         });
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, ConsistencyRequest> request) {
  fields(f, request.ref);
  site_list(f, "survivors", request.survivors);
  entry_list(f, request.committed, &CommittedVector::site);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, UnmaskRequest> request) {
  fields(f, request.ref);
  entry_list(f, request.signatures, &SiteSignature::site);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, RefusalNotice> notice) {
  f.u32("refusal.round", notice.round);
  f.u32("refusal.attempt", notice.attempt);
  f.u16_enum("refusal.refused", notice.refused, message_kind);
  f.u16_enum("refusal.reason", notice.reason, refusal_reason);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, AttemptAbandoned> abandoned) {
  f.u32("abandoned.round", abandoned.round);
  f.u32("abandoned.attempt", abandoned.attempt);
  f.u16_enum("abandoned.reason", abandoned.reason, refusal_reason);
  f.boolean("abandoned.round_over", abandoned.round_over);
}

Bytes PlanOffer::encode() const { return encode_fields(*this); }
Bytes RosterOffer::encode() const { return encode_fields(*this); }
Bytes TrainTask::encode() const { return encode_fields(*this); }
Bytes KeyList::encode() const { return encode_fields(*this); }
Bytes RoutedShares::encode() const { return encode_fields(*this); }
Bytes ChunkRequest::encode() const { return encode_fields(*this); }
Bytes ConsistencyRequest::encode() const { return encode_fields(*this); }
Bytes UnmaskRequest::encode() const { return encode_fields(*this); }
Bytes RefusalNotice::encode() const { return encode_fields(*this); }
Bytes AttemptAbandoned::encode() const { return encode_fields(*this); }

// The name of a message is for the error about bytes that are left over.
Result<PlanOffer> PlanOffer::decode(ByteView payload) { return decode_fields<PlanOffer>(payload, "plan"); }
Result<RosterOffer> RosterOffer::decode(ByteView payload) { return decode_fields<RosterOffer>(payload, "roster"); }
Result<TrainTask> TrainTask::decode(ByteView payload) { return decode_fields<TrainTask>(payload, "train task"); }
Result<KeyList> KeyList::decode(ByteView payload) { return decode_fields<KeyList>(payload, "key list"); }
Result<RoutedShares> RoutedShares::decode(ByteView payload) {
  return decode_fields<RoutedShares>(payload, "routed shares");
}
Result<ChunkRequest> ChunkRequest::decode(ByteView payload) {
  return decode_fields<ChunkRequest>(payload, "chunk request");
}
Result<ConsistencyRequest> ConsistencyRequest::decode(ByteView payload) {
  return decode_fields<ConsistencyRequest>(payload, "consistency request");
}
Result<UnmaskRequest> UnmaskRequest::decode(ByteView payload) {
  return decode_fields<UnmaskRequest>(payload, "unmask request");
}
Result<RefusalNotice> RefusalNotice::decode(ByteView payload) {
  return decode_fields<RefusalNotice>(payload, "refusal");
}
Result<AttemptAbandoned> AttemptAbandoned::decode(ByteView payload) {
  return decode_fields<AttemptAbandoned>(payload, "abandoned");
}

}  // namespace fovea::federation::messages

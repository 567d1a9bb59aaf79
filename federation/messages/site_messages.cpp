#include "federation/messages/site_messages.h"

#include "common/result.h"

namespace fovea::federation::messages {

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, Hello> hello) {
  f.u32("hello.last_round", hello.last_round);
  f.array("hello.transcript", hello.transcript);
  f.array("hello.model_hash", hello.model_hash);
  f.text("hello.software", hello.software, 80);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, TrainingProgress> progress) {
  f.u32("progress.round", progress.round);
  f.u16("progress.permille", progress.permille);
  f.require(progress.permille <= 1000, "progress.permille", "at most 1000");
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, TrainingReady> ready) {
  f.u32("ready.round", ready.round);
  f.array("ready.model_hash", ready.model_hash);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, KeysMessage> message) {
  fields(f, message.ref);
  f.group("keys", message.keys);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, SharesMessage> message) {
  fields(f, message.ref);
  f.array("shares.key_list", message.key_list);
  f.array("shares.self_seed_commitment", message.self_seed_commitment);
  entry_list(f, message.shares, &SealedShares::peer);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, MaskedStatement> statement) {
  fields(f, statement.ref);
  f.array("masked.vector_hash", statement.vector_hash);
  f.array("masked.survivors_hash", statement.survivors_hash);
  f.array("masked.self_seed_commitment", statement.self_seed_commitment);
  f.array("masked.tag", statement.tag);
  f.array("masked.signature", statement.signature);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, ConsistencySignature> message) {
  fields(f, message.ref);
  f.array("consistency.signature", message.signature);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, RevealedShare> share) {
  f.u16("subject", share.subject);
  revealed_secret(f, "secret", share.secret);
  f.array("share", share.share);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, UnmaskShares> message) {
  fields(f, message.ref);
  entry_list(f, message.shares, &RevealedShare::subject);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, AttemptFailure> failure) {
  f.u32("failure.round", failure.round);
  f.u32("failure.attempt", failure.attempt);
  f.u16_enum("failure.reason", failure.reason, refusal_reason);
  std::uint8_t given = failure.accused ? 1 : 0;
  RosterIndex accused = failure.accused.value_or(0);
  f.u8("failure.has_accused", given);
  f.u16("failure.accused", accused);
  f.require(given == 1 || (given == 0 && accused == 0), "failure.accused", "not canonical");
  if constexpr (Fields::kReads)
    if (given == 1) failure.accused = accused;
}

Bytes Hello::encode() const { return encode_fields(*this); }
Bytes TrainingProgress::encode() const { return encode_fields(*this); }
Bytes TrainingReady::encode() const { return encode_fields(*this); }
Bytes KeysMessage::encode() const { return encode_fields(*this); }
Bytes SharesMessage::encode() const { return encode_fields(*this); }
Bytes MaskedStatement::encode() const { return encode_fields(*this); }
Bytes ConsistencySignature::encode() const { return encode_fields(*this); }
Bytes UnmaskShares::encode() const { return encode_fields(*this); }
Bytes AttemptFailure::encode() const { return encode_fields(*this); }

// The name of a message is for the error about bytes that are left over.
Result<Hello> Hello::decode(ByteView payload) { return decode_fields<Hello>(payload, "hello"); }
Result<TrainingProgress> TrainingProgress::decode(ByteView payload) {
  return decode_fields<TrainingProgress>(payload, "progress");
}
Result<TrainingReady> TrainingReady::decode(ByteView payload) { return decode_fields<TrainingReady>(payload, "ready"); }
Result<KeysMessage> KeysMessage::decode(ByteView payload) { return decode_fields<KeysMessage>(payload, "keys"); }
Result<SharesMessage> SharesMessage::decode(ByteView payload) {
  return decode_fields<SharesMessage>(payload, "shares");
}
Result<MaskedStatement> MaskedStatement::decode(ByteView payload) {
  return decode_fields<MaskedStatement>(payload, "masked statement");
}
Result<ConsistencySignature> ConsistencySignature::decode(ByteView payload) {
  return decode_fields<ConsistencySignature>(payload, "consistency signature");
}
Result<UnmaskShares> UnmaskShares::decode(ByteView payload) {
  return decode_fields<UnmaskShares>(payload, "unmask shares");
}
Result<AttemptFailure> AttemptFailure::decode(ByteView payload) {
  return decode_fields<AttemptFailure>(payload, "failure");
}

}  // namespace fovea::federation::messages

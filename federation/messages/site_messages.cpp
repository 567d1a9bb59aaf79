#include "federation/messages/site_messages.h"

namespace fovea::federation {
Bytes Hello::encode() const {
  ByteWriter writer;
  writer.u32(last_round);
  writer.raw(transcript);
  writer.raw(model_hash);
  writer.sized(software);
  return std::move(writer).take();
}

Result<Hello> Hello::decode(ByteView payload) {
  ByteReader reader(payload);
  Hello out;
  FOVEA_TRY_ASSIGN(out.last_round, reader.u32("hello.last_round"));
  FOVEA_TRY_ASSIGN(out.transcript, reader.array<32>("hello.transcript"));
  FOVEA_TRY_ASSIGN(out.model_hash, reader.array<32>("hello.model_hash"));
  FOVEA_TRY_ASSIGN(out.software, reader.text("hello.software", 80));
  FOVEA_TRY(reader.finish("hello"));
  return out;
}

Bytes TrainingProgress::encode() const {
  ByteWriter writer;
  writer.u32(round);
  writer.u16(permille);
  return std::move(writer).take();
}

Result<TrainingProgress> TrainingProgress::decode(ByteView payload) {
  ByteReader reader(payload);
  TrainingProgress out;
  FOVEA_TRY_ASSIGN(out.round, reader.u32("progress.round"));
  FOVEA_TRY_ASSIGN(out.permille, reader.u16("progress.permille"));
  if (out.permille > 1000) return invalid_argument("progress.permille: at most 1000");
  FOVEA_TRY(reader.finish("progress"));
  return out;
}

Bytes TrainingReady::encode() const {
  ByteWriter writer;
  writer.u32(round);
  writer.raw(model_hash);
  return std::move(writer).take();
}

Result<TrainingReady> TrainingReady::decode(ByteView payload) {
  ByteReader reader(payload);
  TrainingReady out;
  FOVEA_TRY_ASSIGN(out.round, reader.u32("ready.round"));
  FOVEA_TRY_ASSIGN(out.model_hash, reader.array<32>("ready.model_hash"));
  FOVEA_TRY(reader.finish("ready"));
  return out;
}

void write(ByteWriter& writer, const AdvertisedKeys& keys) {
  writer.raw(keys.channel);
  writer.raw(keys.mask);
  writer.raw(keys.signature);
}

Result<AdvertisedKeys> read_advertised_keys(ByteReader& reader, const std::string& field) {
  AdvertisedKeys out;
  FOVEA_TRY_ASSIGN(out.channel, reader.array<32>(field + ".channel"));
  FOVEA_TRY_ASSIGN(out.mask, reader.array<32>(field + ".mask"));
  FOVEA_TRY_ASSIGN(out.signature, reader.array<64>(field + ".signature"));
  return out;
}

Result<RevealedSecret> read_revealed_secret(ByteReader& reader, const std::string& field) {
  FOVEA_TRY_ASSIGN(const std::uint8_t kind, reader.u8(field));
  if (kind != 1 && kind != 2) return invalid_argument(field + ": expected 1 or 2");
  return static_cast<RevealedSecret>(kind);
}

Bytes KeysMessage::encode() const {
  ByteWriter writer;
  write(writer, ref);
  write(writer, keys);
  return std::move(writer).take();
}

Result<KeysMessage> KeysMessage::decode(ByteView payload) {
  ByteReader reader(payload);
  KeysMessage out;
  FOVEA_TRY_ASSIGN(out.ref, read_attempt_ref(reader));
  FOVEA_TRY_ASSIGN(out.keys, read_advertised_keys(reader, "keys"));
  FOVEA_TRY(reader.finish("keys"));
  return out;
}

void write_sealed_list(ByteWriter& writer, const std::vector<SealedShares>& list) {
  writer.u32(static_cast<std::uint32_t>(list.size()));
  for (const SealedShares& shares : list) {
    writer.u16(shares.peer);
    writer.raw(shares.mask_key_commitment);
    writer.raw(shares.self_seed_commitment);
    writer.raw(shares.sealed);
  }
}

Result<std::vector<SealedShares>> read_sealed_list(ByteReader& reader) {
  FOVEA_TRY_ASSIGN(const std::uint32_t count, read_count(reader, "shares"));
  std::vector<SealedShares> list(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    SealedShares& shares = list[i];
    FOVEA_TRY_ASSIGN(shares.peer, reader.u16("shares.peer"));
    if (i > 0 && shares.peer <= list[i - 1].peer) return invalid_argument("shares.peer: must be strictly ascending");
    FOVEA_TRY_ASSIGN(shares.mask_key_commitment, reader.array<32>("shares.mask_key_commitment"));
    FOVEA_TRY_ASSIGN(shares.self_seed_commitment, reader.array<32>("shares.self_seed_commitment"));
    FOVEA_TRY_ASSIGN(shares.sealed, reader.array<kSealedSharesBytes>("shares.sealed"));
  }
  return list;
}

Bytes SharesMessage::encode() const {
  ByteWriter writer;
  write(writer, ref);
  writer.raw(key_list);
  writer.raw(self_seed_commitment);
  write_sealed_list(writer, shares);
  return std::move(writer).take();
}

Result<SharesMessage> SharesMessage::decode(ByteView payload) {
  ByteReader reader(payload);
  SharesMessage out;
  FOVEA_TRY_ASSIGN(out.ref, read_attempt_ref(reader));
  FOVEA_TRY_ASSIGN(out.key_list, reader.array<32>("shares.key_list"));
  FOVEA_TRY_ASSIGN(out.self_seed_commitment, reader.array<32>("shares.self_seed_commitment"));
  FOVEA_TRY_ASSIGN(out.shares, read_sealed_list(reader));
  FOVEA_TRY(reader.finish("shares"));
  return out;
}

Bytes MaskedStatement::encode() const {
  ByteWriter writer;
  write(writer, ref);
  writer.raw(vector_hash);
  writer.raw(survivors_hash);
  writer.raw(self_seed_commitment);
  writer.raw(signature);
  return std::move(writer).take();
}

Result<MaskedStatement> MaskedStatement::decode(ByteView payload) {
  ByteReader reader(payload);
  MaskedStatement out;
  FOVEA_TRY_ASSIGN(out.ref, read_attempt_ref(reader));
  FOVEA_TRY_ASSIGN(out.vector_hash, reader.array<32>("masked.vector_hash"));
  FOVEA_TRY_ASSIGN(out.survivors_hash, reader.array<32>("masked.survivors_hash"));
  FOVEA_TRY_ASSIGN(out.self_seed_commitment, reader.array<32>("masked.self_seed_commitment"));
  FOVEA_TRY_ASSIGN(out.signature, reader.array<64>("masked.signature"));
  FOVEA_TRY(reader.finish("masked statement"));
  return out;
}

Bytes ConsistencySignature::encode() const {
  ByteWriter writer;
  write(writer, ref);
  writer.raw(signature);
  return std::move(writer).take();
}

Result<ConsistencySignature> ConsistencySignature::decode(ByteView payload) {
  ByteReader reader(payload);
  ConsistencySignature out;
  FOVEA_TRY_ASSIGN(out.ref, read_attempt_ref(reader));
  FOVEA_TRY_ASSIGN(out.signature, reader.array<64>("consistency.signature"));
  FOVEA_TRY(reader.finish("consistency signature"));
  return out;
}

Bytes UnmaskShares::encode() const {
  ByteWriter writer;
  write(writer, ref);
  writer.u32(static_cast<std::uint32_t>(shares.size()));
  for (const RevealedShare& share : shares) {
    writer.u16(share.subject);
    writer.u8(static_cast<std::uint8_t>(share.secret));
    writer.raw(share.share);
  }
  return std::move(writer).take();
}

Result<UnmaskShares> UnmaskShares::decode(ByteView payload) {
  ByteReader reader(payload);
  UnmaskShares out;
  FOVEA_TRY_ASSIGN(out.ref, read_attempt_ref(reader));
  FOVEA_TRY_ASSIGN(const std::uint32_t count, read_count(reader, "unmask.shares"));
  out.shares.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    RevealedShare& share = out.shares[i];
    FOVEA_TRY_ASSIGN(share.subject, reader.u16("unmask.subject"));
    if (i > 0 && share.subject <= out.shares[i - 1].subject)
      return invalid_argument("unmask.subject: must be strictly ascending, one share a site");
    FOVEA_TRY_ASSIGN(share.secret, read_revealed_secret(reader, "unmask.secret"));
    FOVEA_TRY_ASSIGN(share.share, reader.array<crypto::kShareBytes>("unmask.share"));
  }
  FOVEA_TRY(reader.finish("unmask shares"));
  return out;
}

Bytes AttemptFailure::encode() const {
  ByteWriter writer;
  writer.u32(round);
  writer.u32(attempt);
  writer.u16(static_cast<std::uint16_t>(reason));
  writer.u8(accused ? 1 : 0);
  writer.u16(accused.value_or(0));
  return std::move(writer).take();
}

Result<AttemptFailure> AttemptFailure::decode(ByteView payload) {
  ByteReader reader(payload);
  AttemptFailure out;
  FOVEA_TRY_ASSIGN(out.round, reader.u32("failure.round"));
  FOVEA_TRY_ASSIGN(out.attempt, reader.u32("failure.attempt"));
  FOVEA_TRY_ASSIGN(const std::uint16_t reason, reader.u16("failure.reason"));
  FOVEA_TRY_ASSIGN(out.reason, refusal_reason(reason));
  FOVEA_TRY_ASSIGN(const std::uint8_t has_accused, reader.u8("failure.has_accused"));
  FOVEA_TRY_ASSIGN(const RosterIndex accused, reader.u16("failure.accused"));
  if (has_accused > 1 || (has_accused == 0 && accused != 0)) return invalid_argument("failure.accused: not canonical");
  if (has_accused == 1) out.accused = accused;
  FOVEA_TRY(reader.finish("failure"));
  return out;
}

}  // namespace fovea::federation

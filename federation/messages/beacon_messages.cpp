#include "federation/messages/beacon_messages.h"

#include "federation/messages/attempt_ref.h"

namespace fovea::federation {
namespace {

void write_commitment(ByteWriter& writer, const BeaconCommitment& entry) {
  writer.raw(entry.commitment);
  writer.raw(entry.signature);
}

Result<BeaconCommitment> read_commitment(ByteReader& reader) {
  BeaconCommitment out;
  FOVEA_TRY_ASSIGN(out.commitment, reader.array<32>("beacon.commitment"));
  FOVEA_TRY_ASSIGN(out.signature, reader.array<64>("beacon.signature"));
  return out;
}

void write_commitments(ByteWriter& writer, const BeaconCommitments& list) {
  writer.raw(list.roster);
  writer.u32(static_cast<std::uint32_t>(list.sites.size()));
  for (const BeaconCommitment& entry : list.sites) write_commitment(writer, entry);
}

Result<BeaconCommitments> read_commitments(ByteReader& reader) {
  BeaconCommitments out;
  FOVEA_TRY_ASSIGN(out.roster, reader.array<32>("beacon.roster"));
  FOVEA_TRY_ASSIGN(const std::uint32_t count, read_count(reader, "beacon.commitments"));
  for (std::uint32_t i = 0; i < count; ++i) {
    FOVEA_TRY_ASSIGN(const BeaconCommitment entry, read_commitment(reader));
    out.sites.push_back(entry);
  }
  return out;
}

}  // namespace

Bytes BeaconRequest::encode() const { return Bytes(roster.begin(), roster.end()); }

Result<BeaconRequest> BeaconRequest::decode(ByteView payload) {
  ByteReader reader(payload);
  BeaconRequest out;
  FOVEA_TRY_ASSIGN(out.roster, reader.array<32>("beacon.roster"));
  FOVEA_TRY(reader.finish("beacon request"));
  return out;
}

Bytes BeaconCommitmentMessage::encode() const {
  ByteWriter writer;
  writer.raw(roster);
  write_commitment(writer, commitment);
  return std::move(writer).take();
}

Result<BeaconCommitmentMessage> BeaconCommitmentMessage::decode(ByteView payload) {
  ByteReader reader(payload);
  BeaconCommitmentMessage out;
  FOVEA_TRY_ASSIGN(out.roster, reader.array<32>("beacon.roster"));
  FOVEA_TRY_ASSIGN(out.commitment, read_commitment(reader));
  FOVEA_TRY(reader.finish("beacon commitment"));
  return out;
}

Bytes BeaconCommitments::encode() const {
  ByteWriter writer;
  write_commitments(writer, *this);
  return std::move(writer).take();
}

Result<BeaconCommitments> BeaconCommitments::decode(ByteView payload) {
  ByteReader reader(payload);
  FOVEA_TRY_ASSIGN(BeaconCommitments out, read_commitments(reader));
  FOVEA_TRY(reader.finish("beacon commitments"));
  return out;
}

Bytes BeaconNonceMessage::encode() const {
  ByteWriter writer;
  writer.raw(roster);
  writer.raw(commitments);
  writer.raw(nonce);
  return std::move(writer).take();
}

Result<BeaconNonceMessage> BeaconNonceMessage::decode(ByteView payload) {
  ByteReader reader(payload);
  BeaconNonceMessage out;
  FOVEA_TRY_ASSIGN(out.roster, reader.array<32>("beacon.roster"));
  FOVEA_TRY_ASSIGN(out.commitments, reader.array<32>("beacon.commitments"));
  FOVEA_TRY_ASSIGN(out.nonce, reader.array<32>("beacon.nonce"));
  FOVEA_TRY(reader.finish("beacon nonce"));
  return out;
}

Bytes BeaconTranscript::encode() const {
  ByteWriter writer;
  write_commitments(writer, commitments);
  writer.u32(static_cast<std::uint32_t>(nonces.size()));
  for (const BeaconNonce& nonce : nonces) writer.raw(nonce);
  return std::move(writer).take();
}

Result<BeaconTranscript> BeaconTranscript::decode(ByteView payload) {
  ByteReader reader(payload);
  BeaconTranscript out;
  FOVEA_TRY_ASSIGN(out.commitments, read_commitments(reader));
  FOVEA_TRY_ASSIGN(const std::uint32_t count, read_count(reader, "beacon.nonces"));
  if (count != 0 && count != out.commitments.sites.size())
    return invalid_argument("beacon.nonces: expected none, or one for each commitment");
  for (std::uint32_t i = 0; i < count; ++i) {
    FOVEA_TRY_ASSIGN(const BeaconNonce nonce, reader.array<32>("beacon.nonce"));
    out.nonces.push_back(nonce);
  }
  FOVEA_TRY(reader.finish("beacon"));
  return out;
}

}  // namespace fovea::federation

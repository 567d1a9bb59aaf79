#include "federation/messages/envelope.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "common/byte_fields.h"
#include "common/canonical_json.h"
#include "common/check.h"
#include "common/result.h"
#include "crypto/hash.h"

namespace fovea::federation::messages {
namespace {

constexpr std::uint8_t kVersion = kEnvelopeVersion;
constexpr std::size_t kSiteIdMax = 40;

Digest signed_bytes(const MessageHeader& header, const Digest& digest) {
  crypto::TaggedHash hash("FOVEA/2/envelope");
  hash.add_u64(kVersion).add_u64(static_cast<std::uint64_t>(header.kind)).add(ByteView(header.run.bytes));
  hash.add(header.sender ? std::string_view(header.sender->text()) : std::string_view());
  hash.add_u64(header.epoch).add(ByteView(digest));
  return hash.finish();
}

Result<void> check_version(std::uint8_t version) {
  if (version == kVersion) return {};
  return invalid_argument("envelope.version: expected " + std::to_string(kVersion) + ", found " +
                          std::to_string(version) +
                          "; all programs of a federation are updated together, see CHANGELOG.md");
}

// What stands before the payload.
void begin_wire(ByteWriter& writer, std::size_t payload_size) {
  writer.u8(kVersion);
  writer.u32(static_cast<std::uint32_t>(payload_size));
}

}  // namespace

// What stands behind the payload, but for the signature.
template <class Fields>
void fields(Fields& f, FieldsOf<Fields, MessageHeader> header) {
  f.u16_enum("envelope.kind", header.kind, message_kind);
  f.array("envelope.run", header.run.bytes);
  std::string sender = header.sender ? header.sender->text() : std::string();
  f.text("envelope.sender", sender, kSiteIdMax);
  if constexpr (Fields::kReads)
    if (!sender.empty()) f.read(header.sender, [&] { return SiteId::create(sender); });
  f.u64("envelope.epoch", header.epoch);
  // It is recorded in ledgers: one that they cannot hold would end the program that received it.
  f.require(header.epoch <= static_cast<EpochNumber>(kCanonicalIntegerMax), "envelope.epoch", "at most 2^53 - 1");
}

Result<UncheckedEnvelope> read_envelope(ByteView wire) {
  if (wire.size() > kWireBytesMax)
    return invalid_argument("message: " + std::to_string(wire.size()) + " bytes, at most " +
                            std::to_string(kWireBytesMax));
  ByteReader reader(wire);
  UncheckedEnvelope out;
  FOVEA_TRY_ASSIGN(const std::uint8_t version, reader.u8("envelope.version"));
  FOVEA_TRY(check_version(version));
  FOVEA_TRY_ASSIGN(out.payload, reader.sized("envelope.payload", kWireBytesMax));
  FieldReader header(reader);
  fields(header, out.header);
  FOVEA_TRY(header.status());
  FOVEA_TRY_ASSIGN(out.signature, reader.array<64>("envelope.signature"));
  FOVEA_TRY(reader.finish("envelope"));
  return out;
}

Result<MessageKind> claimed_kind(ByteView wire) {
  FOVEA_TRY_ASSIGN(const UncheckedEnvelope envelope, read_envelope(wire));
  return envelope.header.kind;
}

Digest hash_payload(ByteView payload) {
  ByteWriter before;
  begin_wire(before, payload.size());
  return crypto::Sha256().update(before.bytes()).update(payload).finish();
}

Result<SignedMessage> SignedMessage::open(Bytes wire, const ExpectedSender& expected) {
  FOVEA_TRY_ASSIGN(UncheckedEnvelope envelope, read_envelope(wire));
  if (envelope.header.sender != expected.sender)
    return permission_denied("envelope.sender: not the peer this connection belongs to");
  if (is_from_site(envelope.header.kind) != expected.sender.has_value())
    return permission_denied("envelope.kind: " + std::string(to_string(envelope.header.kind)) +
                             " is not sent by this side");
  SignedMessage out;
  out.payload_size_ = envelope.payload.size();
  const ByteView bytes = wire;
  const std::size_t payload_end = kPayloadOffset + out.payload_size_;
  crypto::Sha256 hash;
  out.payload_digest_ = hash.update(bytes.first(payload_end)).so_far();
  FOVEA_TRY(crypto::verify_signature(expected.key, signed_bytes(envelope.header, out.payload_digest_),
                                     envelope.signature, "signature of the envelope"));
  out.wire_digest_ = hash.update(bytes.subspan(payload_end)).finish();
  out.signature_ = envelope.signature;
  out.header_ = std::move(envelope.header);
  out.wire_ = std::move(wire);
  return out;
}

Result<void> verify_proof(const EnvelopeProof& proof, const crypto::VerifyKey& key) {
  FOVEA_TRY(check_version(proof.version));
  return crypto::verify_signature(key, signed_bytes(proof.header, proof.payload_digest), proof.signature,
                                  "signature of the envelope");
}

Bytes seal_message(const MessageHeader& header, ByteView payload, const crypto::SigningKey& key) {
  return seal_written(
             header, payload.size(), [&](ByteWriter& writer) { writer.raw(payload); }, key)
      .wire;
}

SealedPayload seal_written(const MessageHeader& header, std::size_t size, const std::function<void(ByteWriter&)>& write,
                           const crypto::SigningKey& key) {
  ByteWriter writer;
  writer.reserve(size + kSiteIdMax + 128);
  begin_wire(writer, size);
  write(writer);
  FOVEA_CHECK(writer.bytes().size() == kPayloadOffset + size);
  const Digest digest = crypto::sha256(writer.bytes());
  write_fields(writer, header);
  writer.raw(key.sign(signed_bytes(header, digest)));
  FOVEA_CHECK(writer.bytes().size() <= kWireBytesMax);
  return {std::move(writer).take(), digest};
}

}  // namespace fovea::federation::messages

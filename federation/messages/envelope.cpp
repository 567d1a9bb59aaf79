#include "federation/messages/envelope.h"

#include <algorithm>

#include "crypto/hash.h"

namespace fovea::federation {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kSiteIdMax = 40;

Digest signed_bytes(const MessageHeader& header, const Digest& digest) {
  crypto::TaggedHash hash("FOVEA/1/envelope");
  hash.add_u64(kVersion).add_u64(static_cast<std::uint64_t>(header.kind)).add(ByteView(header.run.bytes));
  hash.add(header.sender ? std::string_view(header.sender->text()) : std::string_view());
  hash.add_u64(header.epoch).add(ByteView(digest));
  return hash.finish();
}

struct Frame {
  MessageHeader header;
  crypto::Signature signature{};
  ByteView payload;
};

Result<Frame> read_frame(ByteView wire) {
  if (wire.size() > kWireBytesMax)
    return invalid_argument("message: " + std::to_string(wire.size()) + " bytes, at most " + std::to_string(kWireBytesMax));
  ByteReader reader(wire);
  Frame frame;
  FOVEA_TRY_ASSIGN(const std::uint8_t version, reader.u8("envelope.version"));
  if (version != kVersion) return invalid_argument("envelope.version: expected 1, found " + std::to_string(version));
  FOVEA_TRY_ASSIGN(const std::uint16_t number, reader.u16("envelope.kind"));
  FOVEA_TRY_ASSIGN(frame.header.kind, message_kind(number));
  FOVEA_TRY_ASSIGN(frame.header.run.bytes, reader.array<16>("envelope.run"));
  FOVEA_TRY_ASSIGN(const std::string sender, reader.text("envelope.sender", kSiteIdMax));
  if (!sender.empty()) {
    FOVEA_TRY_ASSIGN(frame.header.sender, SiteId::create(sender));
  }
  FOVEA_TRY_ASSIGN(frame.header.epoch, reader.u64("envelope.epoch"));
  FOVEA_TRY_ASSIGN(frame.signature, reader.array<64>("envelope.signature"));
  FOVEA_TRY_ASSIGN(frame.payload, reader.sized("envelope.payload", kWireBytesMax));
  FOVEA_TRY(reader.finish("envelope"));
  return frame;
}

}  // namespace

Digest hash_payload(MessageKind kind, ByteView payload) {
  return crypto::TaggedHash("FOVEA/1/payload").add_u64(static_cast<std::uint64_t>(kind)).add(payload).finish();
}

Result<SignedMessage> SignedMessage::open(Bytes wire, const ExpectedSender& expected) {
  FOVEA_TRY_ASSIGN(Frame frame, read_frame(wire));
  if (frame.header.sender != expected.sender)
    return permission_denied("envelope.sender: not the peer this connection belongs to");
  if (is_from_site(frame.header.kind) != expected.sender.has_value())
    return permission_denied("envelope.kind: " + std::string(to_string(frame.header.kind)) + " is not sent by this side");
  const Digest digest = hash_payload(frame.header.kind, frame.payload);
  FOVEA_TRY(crypto::verify_signature(expected.key, signed_bytes(frame.header, digest), frame.signature,
                                     "signature of the envelope"));
  const auto offset = static_cast<std::size_t>(frame.payload.data() - wire.data());
  return SignedMessage(std::move(wire), std::move(frame.header), offset, digest);
}

Result<MessageKind> claimed_kind(ByteView wire) {
  FOVEA_TRY_ASSIGN(Frame frame, read_frame(wire));
  return frame.header.kind;
}

Bytes seal_message(const MessageHeader& header, ByteView payload, const crypto::SigningKey& key) {
  return seal_written(header, payload.size(), [&](ByteWriter& writer) { writer.raw(payload); }, key).wire;
}

SealedPayload seal_written(const MessageHeader& header, std::size_t size, const std::function<void(ByteWriter&)>& write,
                           const crypto::SigningKey& key) {
  const std::string_view sender = header.sender ? std::string_view(header.sender->text()) : std::string_view();
  ByteWriter writer;
  writer.reserve(size + sender.size() + 128);
  writer.u8(kVersion);
  writer.u16(static_cast<std::uint16_t>(header.kind));
  writer.raw(header.run.bytes);
  writer.sized(sender);
  writer.u64(header.epoch);
  const std::size_t signature_at = writer.bytes().size();
  writer.raw(crypto::Signature{});  // its place; it covers the payload that follows
  writer.u32(static_cast<std::uint32_t>(size));
  const std::size_t payload_at = writer.bytes().size();
  write(writer);
  SealedPayload out{std::move(writer).take(), {}};
  FOVEA_CHECK(out.wire.size() == payload_at + size && out.wire.size() <= kWireBytesMax);
  out.digest = hash_payload(header.kind, ByteView(out.wire).subspan(payload_at));
  const crypto::Signature signature = key.sign(signed_bytes(header, out.digest));
  std::copy(signature.begin(), signature.end(), out.wire.begin() + static_cast<std::ptrdiff_t>(signature_at));
  return out;
}

}  // namespace fovea::federation

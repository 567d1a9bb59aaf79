// The signed envelope of every message between a site and the coordinator.
//
//   wire    := u8 version (2) · sized payload · u16 kind · 16 run · sized sender ("" is the coordinator) · u64 epoch ·
//              64 signature
//   signed  := "FOVEA/2/envelope" · version · kind · run · sender · epoch · payload digest   (TaggedHash fields)
//   payload digest := SHA-256(version · sized payload)
//   wire digest    := SHA-256(wire), which ledgers and receipts name
//
// The signature is checked before the payload is looked at. The payload comes first, so that one pass over it gives
// both digests; that of a chunk of a vector is also the leaf of H(y) (federation/secagg/statements.h).
//
//   auto opened = SignedMessage::open(std::move(frame), {.sender = site, .key = roster_site.identity_key});
//   if (!opened) …refuse and count…; machine.step(MessageReceived{std::move(*opened)});
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "common/bytes.h"
#include "common/codec.h"
#include "common/ids.h"
#include "common/result.h"
#include "crypto/signature.h"
#include "federation/messages/message_kind.h"

namespace fovea::federation::messages {

inline constexpr std::uint8_t kEnvelopeVersion = 2;
inline constexpr std::size_t kWireBytesMax = 1U << 20;  // one message; ZMQ_MAXMSGSIZE
inline constexpr std::size_t kPayloadOffset = 5;        // in the wire bytes

using Sender = std::optional<SiteId>;  // none: the coordinator

struct MessageHeader {
  MessageKind kind = MessageKind::hello;
  RunId run;  // zero where no run is meant yet (hello, roster)
  Sender sender;
  EpochNumber epoch = 0;
};

// Who must have signed.
struct ExpectedSender {
  Sender sender;
  crypto::VerifyKey key{};
};

// A message whose signature was valid. It owns the wire bytes; payload() views them.
class SignedMessage {
 public:
  // permission_denied: the signature, another sender than expected, or a kind that this side does not send;
  // invalid_argument: the shape, an unknown version or kind, or more than kWireBytesMax.
  static Result<SignedMessage> open(Bytes wire, const ExpectedSender& expected);

  const MessageHeader& header() const noexcept { return header_; }
  MessageKind kind() const noexcept { return header_.kind; }
  ByteView payload() const noexcept { return ByteView(wire_).subspan(kPayloadOffset, payload_size_); }
  const Digest& payload_digest() const noexcept { return payload_digest_; }
  const Digest& wire_digest() const noexcept { return wire_digest_; }
  const crypto::Signature& signature() const noexcept { return signature_; }
  const Bytes& wire() const noexcept { return wire_; }

 private:
  SignedMessage() = default;
  Bytes wire_;
  MessageHeader header_;
  std::size_t payload_size_ = 0;
  Digest payload_digest_{}, wire_digest_{};
  crypto::Signature signature_{};
};

// What the sender of a message signed, without the message: whoever has the roster can verify who sent it.
struct EnvelopeProof {
  std::uint8_t version = kEnvelopeVersion;
  MessageHeader header;
  Digest payload_digest{};
  crypto::Signature signature{};
};
// permission_denied: the signature; invalid_argument: a version of the envelope that this program does not know.
Result<void> verify_proof(const EnvelopeProof& proof, const crypto::VerifyKey& key);

// An envelope whose signature nobody has checked: of one's own message, or for refusals and counters. `payload` views
// the wire. invalid_argument: the shape, an unknown version or kind, or more than kWireBytesMax.
struct UncheckedEnvelope {
  MessageHeader header;
  crypto::Signature signature{};
  ByteView payload;
};
Result<UncheckedEnvelope> read_envelope(ByteView wire);
Result<MessageKind> claimed_kind(ByteView wire);

Digest hash_payload(ByteView payload);

// The wire bytes of a message. Ed25519 is deterministic: sealing the same payload again gives the same bytes.
Bytes seal_message(const MessageHeader& header, ByteView payload, const crypto::SigningKey& key);

// The same for a large payload of exactly `size` bytes that `write` appends where it will stay: no copy is made.
struct SealedPayload {
  Bytes wire;
  Digest digest{};  // of the payload
};
SealedPayload seal_written(const MessageHeader& header, std::size_t size, const std::function<void(ByteWriter&)>& write,
                           const crypto::SigningKey& key);

}  // namespace fovea::federation::messages

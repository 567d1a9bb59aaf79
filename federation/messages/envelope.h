// The signed envelope of every message between a site and the coordinator.
//
//   wire    := u8 version (1) · u16 kind · 16 run · sized sender ("" is the coordinator) · u64 epoch ·
//              64 signature · sized payload
//   signed  := "FOVEA/1/envelope" · version · kind · run · sender · epoch · payload digest   (TaggedHash fields)
//   payload digest := TaggedHash("FOVEA/1/payload", kind, payload)
//
// The signature is checked before the payload is looked at. A chunk of a vector is hashed once: its payload
// digest is also the leaf of H(y) (federation/secagg/statements.h).
//
//   auto opened = SignedMessage::open(std::move(frame), {.sender = site, .key = roster_site.identity_key});
//   if (!opened) …refuse and count…; machine.step(MessageReceived{std::move(*opened)});
#pragma once

#include <functional>
#include <optional>

#include "common/bytes.h"
#include "common/codec.h"
#include "common/ids.h"
#include "crypto/signature.h"
#include "federation/messages/message_kind.h"

namespace fovea::federation {

inline constexpr std::size_t kWireBytesMax = 1U << 20;  // one message; ZMQ_MAXMSGSIZE

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
  ByteView payload() const noexcept { return ByteView(wire_).subspan(payload_offset_); }
  const Digest& payload_digest() const noexcept { return payload_digest_; }
  const Bytes& wire() const noexcept { return wire_; }

 private:
  SignedMessage(Bytes wire, MessageHeader header, std::size_t payload_offset, const Digest& payload_digest)
      : wire_(std::move(wire)), header_(std::move(header)), payload_offset_(payload_offset), payload_digest_(payload_digest) {}
  Bytes wire_;
  MessageHeader header_;
  std::size_t payload_offset_ = 0;
  Digest payload_digest_{};
};

// The kind an unverified frame claims, for refusals and counters only. invalid_argument: not a frame.
Result<MessageKind> claimed_kind(ByteView wire);

Digest hash_payload(MessageKind kind, ByteView payload);

// The wire bytes of a message. Ed25519 is deterministic: sealing the same payload again gives the same bytes.
Bytes seal_message(const MessageHeader& header, ByteView payload, const crypto::SigningKey& key);

// The same for a large payload of exactly `size` bytes that `write` appends where it will stay: no copy is made.
struct SealedPayload {
  Bytes wire;
  Digest digest{};  // of the payload
};
SealedPayload seal_written(const MessageHeader& header, std::size_t size, const std::function<void(ByteWriter&)>& write,
                           const crypto::SigningKey& key);

}  // namespace fovea::federation

#include "node/egress/outbound_message.h"

#include "common/codec.h"
#include "federation/messages/beacon_messages.h"
#include "federation/messages/envelope.h"
#include "federation/messages/site_messages.h"

namespace fovea::node {
namespace {

using federation::MessageKind;

template <class Message>
Result<OutboundMessage> of_round(OutboundMessage out, Result<Message> message) {
  if (!message) return message.error();
  out.key.round = message->ref.round;
  out.key.attempt = message->ref.attempt;
  out.parameters = message->ref.parameters;
  if constexpr (requires { message->shares.size(); }) out.sites = message->shares.size();
  return out;
}

}  // namespace

Result<OutboundEnvelope> read_outbound_envelope(ByteView wire, const SiteId& site) {
  constexpr std::size_t kSenderMax = 40;
  if (wire.size() > federation::kWireBytesMax)
    return invalid_argument("the message has " + std::to_string(wire.size()) + " bytes, at most " +
                            std::to_string(federation::kWireBytesMax) + " are allowed");
  // The layout is that of federation/messages/envelope.h.
  ByteReader in(wire);
  FOVEA_TRY_ASSIGN(const std::uint8_t version, in.u8("version"));
  if (version != 1) return invalid_argument("unknown message version " + std::to_string(version));
  FOVEA_TRY_ASSIGN(const std::uint16_t number, in.u16("kind"));
  OutboundEnvelope out;
  FOVEA_TRY_ASSIGN(out.kind, federation::message_kind(number));
  if (!federation::is_from_site(out.kind))
    return invalid_argument("a " + std::string(federation::to_string(out.kind)) + " is not a message that sites send");
  FOVEA_TRY_ASSIGN(out.run.bytes, in.array<16>("run"));
  FOVEA_TRY_ASSIGN(const std::string sender, in.text("sender", kSenderMax));
  if (sender != site.text()) return invalid_argument("the message does not name this site as its sender");
  FOVEA_TRY(in.u64("epoch"));
  FOVEA_TRY(in.raw("signature", 64));
  FOVEA_TRY_ASSIGN(out.payload, in.sized("payload", federation::kWireBytesMax));
  FOVEA_TRY(in.finish("message"));
  return out;
}

Result<OutboundMessage> read_outbound_message(const OutboundEnvelope& envelope) {
  OutboundMessage out;
  out.kind = envelope.kind;
  out.scope = federation::egress_scope(envelope.kind).value_or(MessageScope::round);
  out.key.run = envelope.run;
  const ByteView payload = envelope.payload;
  switch (envelope.kind) {
    case MessageKind::hello: {
      FOVEA_TRY(federation::Hello::decode(payload));
      return out;
    }
    case MessageKind::attempt_failure: {
      FOVEA_TRY_ASSIGN(const auto message, federation::AttemptFailure::decode(payload));
      out.key.round = message.round;
      out.key.attempt = message.attempt;
      return out;
    }
    case MessageKind::training_progress: {
      FOVEA_TRY_ASSIGN(const auto message, federation::TrainingProgress::decode(payload));
      out.key.round = message.round;
      return out;
    }
    case MessageKind::training_ready: {
      FOVEA_TRY_ASSIGN(const auto message, federation::TrainingReady::decode(payload));
      out.key.round = message.round;
      out.model = message.model_hash;
      return out;
    }
    case MessageKind::beacon_commitment: {
      FOVEA_TRY(federation::BeaconCommitmentMessage::decode(payload));
      return out;
    }
    case MessageKind::beacon_nonce: {
      FOVEA_TRY(federation::BeaconNonceMessage::decode(payload));
      return out;
    }
    case MessageKind::keys: return of_round(out, federation::KeysMessage::decode(payload));
    case MessageKind::shares: return of_round(out, federation::SharesMessage::decode(payload));
    case MessageKind::masked_statement: return of_round(out, federation::MaskedStatement::decode(payload));
    case MessageKind::consistency_signature: return of_round(out, federation::ConsistencySignature::decode(payload));
    case MessageKind::unmask_shares: return of_round(out, federation::UnmaskShares::decode(payload));
    case MessageKind::masked_chunk: {
      FOVEA_TRY_ASSIGN(const federation::ChunkView chunk, federation::decode_chunk(payload));
      out.key.round = chunk.ref.round;
      out.key.attempt = chunk.ref.attempt;
      out.parameters = chunk.ref.parameters;
      out.chunk = chunk;
      return out;
    }
    case MessageKind::plan_offer:
    case MessageKind::roster_offer:
    case MessageKind::train_task:
    case MessageKind::parameters:
    case MessageKind::key_list:
    case MessageKind::routed_shares:
    case MessageKind::chunk_request:
    case MessageKind::consistency_request:
    case MessageKind::unmask_request:
    case MessageKind::aggregate_chunk:
    case MessageKind::round_evidence:
    case MessageKind::refusal:
    case MessageKind::attempt_abandoned:
    case MessageKind::beacon_request:
    case MessageKind::beacon_commitments:
    case MessageKind::beacon: break;
  }
  return invalid_argument("a " + std::string(federation::to_string(envelope.kind)) + " is not a message that sites send");
}

}  // namespace fovea::node

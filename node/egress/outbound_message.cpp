#include "node/egress/outbound_message.h"

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

Result<federation::UncheckedEnvelope> read_outbound_envelope(ByteView wire, const SiteId& site) {
  FOVEA_TRY_ASSIGN(federation::UncheckedEnvelope out, federation::read_envelope(wire));
  if (!federation::is_from_site(out.header.kind))
    return invalid_argument("a " + std::string(federation::to_string(out.header.kind)) +
                            " is not a message that sites send");
  if (out.header.sender != site) return invalid_argument("the message does not name this site as its sender");
  return out;
}

Result<OutboundMessage> read_outbound_message(const federation::UncheckedEnvelope& envelope) {
  OutboundMessage out;
  out.kind = envelope.header.kind;
  out.scope = federation::egress_scope(envelope.header.kind).value_or(MessageScope::round);
  out.key.run = envelope.header.run;
  const ByteView payload = envelope.payload;
  switch (envelope.header.kind) {
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
    case MessageKind::beacon:
    case MessageKind::dealer_fault: break;
  }
  return invalid_argument("a " + std::string(federation::to_string(envelope.header.kind)) +
                          " is not a message that sites send");
}

}  // namespace fovea::node

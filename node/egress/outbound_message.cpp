#include "node/egress/outbound_message.h"

#include <algorithm>
#include <array>
#include <string>

#include "federation/messages/beacon_messages.h"
#include "federation/messages/message_kind.h"
#include "federation/messages/site_messages.h"

namespace fovea::node::egress {
namespace {

using federation::messages::MessageKind;

// Each reads the payload strictly and adds what the gate checks to `out`.
using Reader = Result<void> (*)(ByteView payload, OutboundMessage& out);

template <class Message>
Result<void> read_unbound(ByteView payload, OutboundMessage&) {
  FOVEA_TRY(Message::decode(payload));
  return {};
}

template <class Message>
Result<void> read_of_attempt(ByteView payload, OutboundMessage& out) {
  FOVEA_TRY_ASSIGN(const Message message, Message::decode(payload));
  out.key.round = message.ref.round;
  out.key.attempt = message.ref.attempt;
  out.parameters = message.ref.parameters;
  if constexpr (requires { message.shares.size(); }) out.sites = message.shares.size();
  return {};
}

Result<void> read_unmask_shares(ByteView payload, OutboundMessage& out) {
  using federation::messages::RevealedSecret;
  FOVEA_TRY_ASSIGN(const auto message, federation::messages::UnmaskShares::decode(payload));
  out.key.round = message.ref.round;
  out.key.attempt = message.ref.attempt;
  out.parameters = message.ref.parameters;
  out.sites = message.shares.size();
  out.summed =
      static_cast<std::size_t>(std::count_if(message.shares.begin(), message.shares.end(), [](const auto& share) {
        return share.secret == RevealedSecret::self_seed;
      }));
  return {};
}

Result<void> read_failure(ByteView payload, OutboundMessage& out) {
  FOVEA_TRY_ASSIGN(const auto message, federation::messages::AttemptFailure::decode(payload));
  out.key.round = message.round;
  out.key.attempt = message.attempt;
  return {};
}

Result<void> read_progress(ByteView payload, OutboundMessage& out) {
  FOVEA_TRY_ASSIGN(const auto message, federation::messages::TrainingProgress::decode(payload));
  out.key.round = message.round;
  return {};
}

Result<void> read_ready(ByteView payload, OutboundMessage& out) {
  FOVEA_TRY_ASSIGN(const auto message, federation::messages::TrainingReady::decode(payload));
  out.key.round = message.round;
  out.model = message.model_hash;
  return {};
}

Result<void> read_chunk(ByteView payload, OutboundMessage& out) {
  FOVEA_TRY_ASSIGN(const federation::messages::ChunkView chunk, federation::messages::decode_chunk(payload));
  out.key.round = chunk.ref.round;
  out.key.attempt = chunk.ref.attempt;
  out.parameters = chunk.ref.parameters;
  out.chunk = chunk;
  return {};
}

struct KindReader {
  MessageKind kind;
  Reader read;
};

constexpr std::array kReaders{
    KindReader{MessageKind::hello, read_unbound<federation::messages::Hello>},
    KindReader{MessageKind::training_progress, read_progress},
    KindReader{MessageKind::training_ready, read_ready},
    KindReader{MessageKind::keys, read_of_attempt<federation::messages::KeysMessage>},
    KindReader{MessageKind::shares, read_of_attempt<federation::messages::SharesMessage>},
    KindReader{MessageKind::masked_chunk, read_chunk},
    KindReader{MessageKind::masked_statement, read_of_attempt<federation::messages::MaskedStatement>},
    KindReader{MessageKind::consistency_signature, read_of_attempt<federation::messages::ConsistencySignature>},
    KindReader{MessageKind::unmask_shares, read_unmask_shares},
    KindReader{MessageKind::attempt_failure, read_failure},
    KindReader{MessageKind::beacon_commitment, read_unbound<federation::messages::BeaconCommitmentMessage>},
    KindReader{MessageKind::beacon_nonce, read_unbound<federation::messages::BeaconNonceMessage>},
};
static_assert(federation::messages::covers(kReaders, federation::messages::is_sent_by_site));

Error not_from_a_site(MessageKind kind) {
  return invalid_argument("a " + std::string(federation::messages::to_string(kind)) +
                          " is not a message that sites send");
}

}  // namespace

Result<federation::messages::UncheckedEnvelope> read_outbound_envelope(ByteView wire, const SiteId& site) {
  FOVEA_TRY_ASSIGN(federation::messages::UncheckedEnvelope out, federation::messages::read_envelope(wire));
  if (!federation::messages::is_from_site(out.header.kind)) return not_from_a_site(out.header.kind);
  if (out.header.sender != site) return invalid_argument("the message does not name this site as its sender");
  return out;
}

Result<OutboundMessage> read_outbound_message(const federation::messages::UncheckedEnvelope& envelope) {
  const MessageKind kind = envelope.header.kind;
  const KindReader* reader = federation::messages::find_entry(kReaders, kind);
  if (reader == nullptr) return not_from_a_site(kind);
  OutboundMessage out;
  out.kind = kind;
  out.scope = federation::ledger::egress_scope(kind).value_or(MessageScope::round);
  out.key.run = envelope.header.run;
  FOVEA_TRY(reader->read(envelope.payload, out));
  return out;
}

}  // namespace fovea::node::egress

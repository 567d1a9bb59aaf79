// What a message on its way out is, read from its wire bytes alone: the closed list of kinds, and for each its strict
// reader, so that its length is a function of its contents and no other byte can travel in it.
#pragma once

#include <optional>

#include "common/bytes.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/ledger/egress_rules.h"
#include "federation/ledger/entry.h"
#include "federation/messages/envelope.h"
#include "federation/messages/vector_chunk.h"

namespace fovea::node::egress {

using federation::messages::MessageScope;

struct OutboundMessage {
  federation::messages::MessageKind kind = federation::messages::MessageKind::hello;
  MessageScope scope = MessageScope::session;
  federation::ledger::RoundKey key;
  std::optional<Digest> parameters;                      // H(P) that a message of a round names
  std::optional<Digest> model;                           // that the message names
  std::size_t sites = 0;                                 // entries of its list, one per site
  std::optional<std::size_t> summed;                     // of those, the sites in the sum that shares unmask
  std::optional<federation::messages::ChunkView> chunk;  // of a masked vector; views the wire
};

// The envelope: invalid_argument unless it is a message of a kind that sites send, from this site.
// The signature is not checked: it is the site's own.
Result<federation::messages::UncheckedEnvelope> read_outbound_envelope(ByteView wire, const SiteId& site);

// The contents: invalid_argument unless the payload is exactly one message of its kind.
Result<OutboundMessage> read_outbound_message(const federation::messages::UncheckedEnvelope& envelope);

}  // namespace fovea::node::egress

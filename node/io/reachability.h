// The hops to a coordinator, tried one by one, for `fovea-node doctor`.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "common/ids.h"
#include "common/result.h"
#include "federation/membership/endpoint.h"
#include "node/io/node_config.h"
#include "node/io/site_folder.h"

namespace fovea::node::io {

// The settings' host and port, each where it is given, else the invite's.
Result<federation::membership::Endpoint> coordinator_endpoint(const NodeConfig& config,
                                                              const federation::membership::Invite& invite);

// not_found: the name does not resolve; unavailable: nothing listens there, or a firewall drops the connection.
Result<void> try_tcp(const federation::membership::Endpoint& endpoint, std::chrono::milliseconds timeout);
// Why no handshake comes about there though the port answers, from what it says on another connection. corruption: it
// speaks the coordinator's protocol, so that it holds another key than the invite's; unavailable: it says nothing of
// itself (a proxy), or is something else.
Error no_handshake(const federation::membership::Endpoint& endpoint, std::chrono::milliseconds timeout);
// What a site does whose key the coordinator refuses at the handshake. `listed`: the epoch of its newest roster, which
// has the site; `removed_by`: that of one which has not, if it came before the connection ended.
std::string refused_text(std::optional<EpochNumber> listed, std::optional<EpochNumber> removed_by = std::nullopt);

struct CurveTrial {
  std::string endpoint;
  std::chrono::milliseconds timeout;
  std::optional<EpochNumber> listed{};  // as in refused_text()
};
// permission_denied: this site's key is not on the roster; corruption and unavailable: as of no_handshake();
// deadline_exceeded: no answer.
Result<void> try_curve(const CurveTrial& trial, const federation::membership::Invite& invite, const SiteKeys& keys);

}  // namespace fovea::node::io

// The hops to a coordinator, tried one by one, for `fovea-node doctor`.
#pragma once

#include <chrono>
#include <string>

#include "common/result.h"
#include "node/io/node_config.h"
#include "node/io/site_folder.h"

namespace fovea::node::io {

// "tcp://host:port": the settings' address, else the invite's.
std::string coordinator_endpoint(const NodeConfig& config, const federation::membership::Invite& invite);

// not_found: the name does not resolve; unavailable: nothing listens there, or a firewall drops the connection.
Result<void> try_tcp(const std::string& endpoint, std::chrono::milliseconds timeout);
// permission_denied: this site's key is not on the roster; corruption: another key than the invite's answers;
// deadline_exceeded: no answer.
Result<void> try_curve(const std::string& endpoint, const federation::membership::Invite& invite, const SiteKeys& keys,
                       std::chrono::milliseconds timeout);

}  // namespace fovea::node::io

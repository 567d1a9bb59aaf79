// The addresses of the coordinator's name. libzmq dials the first alone: where that one is not reached (a name with an
// IPv6 address in a network that has none), the transport dials the others by turns.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "federation/membership/endpoint.h"

namespace fovea::node::io {

// "tcp://address:port", each once, in the resolver's order; empty where the name does not resolve. Blocks.
std::vector<std::string> addresses_of(const federation::membership::Endpoint& endpoint);

class AddressLookup {
 public:
  using Resolve = std::function<std::vector<std::string>()>;  // may block

  explicit AddressLookup(Resolve resolve);

  // What was found last, and asks anew in the background, unless that is under way: a resolver may take a minute when
  // the network is gone. Empty until the first answer.
  std::vector<std::string> addresses();

 private:
  struct State;
  std::shared_ptr<State> state_;  // that of the thread which asks, too
};

}  // namespace fovea::node::io

// What listen.host of coordinator.toml names, as libzmq binds it: that takes addresses and interfaces, and no names.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"

namespace fovea::coordinator::io {

// "tcp://address:port". An address, "*" (all) and the name of a network interface stand for themselves; of the
// addresses of another name, an IPv4 one before the others. invalid_argument: none of these, with what is taken. May
// ask a resolver.
Result<std::string> listen_endpoint(const std::string& host, std::uint16_t port);

}  // namespace fovea::coordinator::io

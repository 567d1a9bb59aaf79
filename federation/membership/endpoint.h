// Where a coordinator is reached, "tcp://host:port": taken apart here and nowhere else, so that what people compare,
// what is dialled and what a warning speaks of are one host and one port.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"

namespace fovea::federation::membership {

struct Endpoint {
  std::string host;  // a name, an IPv4 address, or an IPv6 address without its brackets
  std::uint16_t port = 0;

  // invalid_argument: another scheme, no host or port, a port that is not a whole number 1 to 65535 without leading
  // zeros, an IPv6 address without brackets, a space, a control character or any other that no host has.
  static Result<Endpoint> parse(std::string_view text);

  // "tcp://host:port", the host of an IPv6 address in brackets; parse() reads it back.
  std::string text() const;

  bool operator==(const Endpoint&) const = default;
};

// A host as people write it in settings, an IPv6 address with its brackets or without; what is returned has none.
// invalid_argument: neither a name nor an address. A scheme or a port beside it is refused.
Result<std::string> read_host(std::string_view text);

}  // namespace fovea::federation::membership

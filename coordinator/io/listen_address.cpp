#include "coordinator/io/listen_address.h"

#include <net/if.h>
#include <netdb.h>
#include <sys/socket.h>

#include <string_view>

#include "common/console.h"

namespace fovea::coordinator::io {
namespace {

std::string endpoint_text(std::string_view host, std::uint16_t port) {
  const bool bare_ipv6 = host.find(':') != std::string_view::npos && !host.starts_with('[');
  return "tcp://" + (bare_ipv6 ? "[" + std::string(host) + "]" : std::string(host)) + ":" + std::to_string(port);
}

}  // namespace

Result<std::string> listen_endpoint(const std::string& host, std::uint16_t port) {
  const bool is_address_6 = host.find(':') != std::string::npos;
  if (host == "*" || is_address_6 || ::if_nametoindex(host.c_str()) != 0) return endpoint_text(host, port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); code != 0)
    return invalid_argument(
        "listen.host: \"" + printable(host) + "\" is no address, and the name does not resolve here (" +
        ::gai_strerror(code) +
        "); expected 0.0.0.0 or :: for all addresses of this machine, one of its addresses, such as 127.0.0.1, a name "
        "of one, or a network interface");
  std::string out;
  for (const int family : {AF_INET, AF_INET6})
    for (const addrinfo* each = found; each != nullptr && out.empty(); each = each->ai_next) {
      char text[NI_MAXHOST];
      const bool is_text = each->ai_family == family && ::getnameinfo(each->ai_addr, each->ai_addrlen, text,
                                                                      sizeof text, nullptr, 0, NI_NUMERICHOST) == 0;
      if (is_text) out = endpoint_text(text, port);
    }
  ::freeaddrinfo(found);
  if (out.empty()) return invalid_argument("listen.host: \"" + printable(host) + "\" has no address of IPv4 or IPv6");
  return out;
}

}  // namespace fovea::coordinator::io

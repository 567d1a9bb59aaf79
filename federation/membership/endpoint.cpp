#include "federation/membership/endpoint.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <system_error>
#include <vector>

#include "common/console.h"
#include "common/numbers.h"

namespace fovea::federation::membership {
namespace {

constexpr std::string_view kScheme = "tcp://";
constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kHexDigits = "0123456789abcdefABCDEF";
// As people write them, and as resolvers take them: some names inside hospitals have '_'.
constexpr std::string_view kNameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t kNameMax = 253;
constexpr std::size_t kLabelMax = 63;
constexpr std::size_t kZoneMax = 15;  // the longest name of an interface

bool consists_of(std::string_view text, std::string_view characters) {
  return !text.empty() && text.find_first_not_of(characters) == std::string_view::npos;
}

std::vector<std::string_view> parts_of(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  for (std::size_t at = text.find(separator); at != std::string_view::npos; at = text.find(separator)) {
    out.push_back(text.substr(0, at));
    text.remove_prefix(at + 1);
  }
  out.push_back(text);
  return out;
}

// One spelling: no sign, no leading zero.
std::optional<std::uint32_t> whole_number(std::string_view digits, std::uint32_t max) {
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  const auto out = read_whole<std::uint32_t>(digits);
  return out && *out <= max ? out : std::nullopt;
}

bool is_ipv4(std::string_view text) {
  const auto octets = parts_of(text, '.');
  return octets.size() == 4 && std::all_of(octets.begin(), octets.end(),
                                           [](std::string_view octet) { return whole_number(octet, 255).has_value(); });
}

bool is_number(std::string_view label) {
  const bool hex = label.starts_with("0x") || label.starts_with("0X");
  return consists_of(label, kDigits) || (hex && (label.size() == 2 || consists_of(label.substr(2), kHexDigits)));
}

// What ends in a number is an address or nothing: resolvers read "10.1" and "0x7f000001" as addresses nobody meant.
bool is_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.size() > kNameMax) return false;
  const auto labels = parts_of(text, '.');
  return !is_number(labels.back()) && std::all_of(labels.begin(), labels.end(), [](std::string_view label) {
    return label.size() <= kLabelMax && consists_of(label, kNameCharacters) && label.front() != '-';
  });
}

// Groups of 16 bits between colons, from one side of "::" to its end; nothing where one of them is none.
std::optional<std::size_t> groups_in(std::string_view text, bool last) {
  if (text.empty()) return 0;
  const auto groups = parts_of(text, ':');
  std::size_t count = 0;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (groups[i].size() <= 4 && consists_of(groups[i], kHexDigits)) count += 1;
    else if (last && i + 1 == groups.size() && is_ipv4(groups[i])) count += 2;
    else return std::nullopt;
  }
  return count;
}

// Text form of RFC 4291, 2.2, with a zone (RFC 4007, 11) or without.
bool is_ipv6(std::string_view text) {
  if (const std::size_t percent = text.find('%'); percent != std::string_view::npos) {
    const std::string_view zone = text.substr(percent + 1);
    const bool usual = std::all_of(zone.begin(), zone.end(), [](char character) {
      return character == '.' || kNameCharacters.find(character) != std::string_view::npos;
    });
    if (zone.empty() || zone.size() > kZoneMax || !usual) return false;
    text = text.substr(0, percent);
  }
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) return groups_in(text, true) == std::size_t{8};
  const auto before = groups_in(text.substr(0, gap), false), after = groups_in(text.substr(gap + 2), true);
  return before && after && *before + *after <= 7;
}

// Quoted in an error: of several lines the first alone, for what follows could pass for words of this program.
std::string found(std::string_view text) { return ", found \"" + printable(text.substr(0, text.find('\n'))) + "\""; }

}  // namespace

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const auto refused = [&] {
    return invalid_argument("expected \"tcp://host:port\", a port 1 to 65535 and an IPv6 address in brackets" +
                            found(text));
  };
  const std::size_t colon = text.rfind(':');
  if (!text.starts_with(kScheme) || colon < kScheme.size()) return refused();
  const std::string_view written = text.substr(kScheme.size(), colon - kScheme.size());
  const auto port = whole_number(text.substr(colon + 1), 65'535);
  const auto host = read_host(written);
  const bool in_brackets = written.starts_with('[');
  if (!port || *port == 0 || !host || (host->find(':') != std::string::npos) != in_brackets) return refused();
  return Endpoint{*host, static_cast<std::uint16_t>(*port)};
}

std::string Endpoint::text() const {
  const bool is_address_6 = host.find(':') != std::string::npos;
  return std::string(kScheme) + (is_address_6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<std::string> read_host(std::string_view text) {
  std::string_view inside = text;
  const bool in_brackets = text.starts_with('[') && text.ends_with(']');
  if (in_brackets) inside = text.substr(1, text.size() - 2);
  if (is_ipv6(inside) || (!in_brackets && (is_ipv4(inside) || is_name(inside)))) return std::string(inside);
  return invalid_argument("expected a host: a name or an address without scheme and port" + found(text));
}

}  // namespace fovea::federation::membership

// The ZAP handler (rfc.zeromq.org/spec/27): decides at the CURVE handshake which keys may connect.
// Bind it before the listening socket: libzmq without a handler accepts every key.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>
#include <zmq.hpp>

#include "common/clock.h"
#include "common/ids.h"
#include "federation/io/curve_socket.h"
#include "federation/io/rate_limit.h"

namespace fovea::coordinator::io {

// A member that connects again and again holds descriptors, and could count libzmq's numbers of connections round to
// one that is in use, which aborts the process.
inline constexpr federation::io::Rate kHandshakeRate{.burst = 60, .every_ms = 2'000};

// The site a transport key belongs to, or nothing when the key is not on the roster.
using Admission = std::function<std::optional<SiteId>(const federation::io::CurvePublicKey&)>;

class ZapHandler {
 public:
  // The clock must outlive the handler. Throws zmq::error_t.
  ZapHandler(zmq::context_t& context, Admission admission, const Clock& clock);

  zmq::socket_t& socket() noexcept { return socket_; }
  // Answers the waiting requests, a bounded number. Refused: anything but CURVE, another domain, a key that is not on
  // the roster.
  void answer_waiting();
  // A refusal of this key is no news: it is of the server's own test.
  void expect(const federation::io::CurvePublicKey& key) { expected_ = key; }
  std::uint64_t refused_count() const noexcept { return refused_count_; }
  std::uint64_t accepted_count() const noexcept { return accepted_count_; }

 private:
  void answer_one(std::vector<zmq::message_t> frames);

  bool within_rate(const SiteId& site);

  zmq::socket_t socket_;
  Admission admission_;
  const Clock& clock_;
  std::map<SiteId, federation::io::RateLimit> handshakes_;  // as many as the roster has sites
  std::optional<federation::io::CurvePublicKey> expected_;
  std::uint64_t refused_count_ = 0;
  std::uint64_t accepted_count_ = 0;
};

}  // namespace fovea::coordinator::io

// The coordinator's one listening port: a ROUTER under CURVE whose peers are known by the site id that
// the ZAP handler took from the roster, never by what they claim. One thread owns it.
//
// A site has at most one session. A second process with the same keys is refused while the first is
// connected; the same process may come back on a new connection (its boot id tells).
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "common/bytes.h"
#include "common/ids.h"
#include "coordinator/io/zap_handler.h"
#include "crypto/key_agreement.h"
#include "federation/io/connection_flow.h"
#include "federation/io/curve_socket.h"
#include "federation/io/inbound_guard.h"

namespace fovea::coordinator::io {

struct ServerOptions {
  std::string endpoint;                                    // "tcp://host:port"; port 0 lets the system choose
  std::size_t outbox_bytes_max = std::size_t{256} << 20U;  // waiting for one site, beyond libzmq's own queue
  std::chrono::milliseconds beat_every = federation::io::kBeatEvery;
  std::chrono::milliseconds silence_max = federation::io::kSilenceMax;
};

using BootId = std::array<std::uint8_t, 16>;  // random for each start of a node

struct InboundMessage {
  SiteId site;          // from the transport key
  std::string session;  // routing id: opaque, one connection
  int descriptor = -1;  // of the connection
  Bytes payload;
};

enum class SendVerdict { queued, no_session, outbox_full };

class ZmqServer {
 public:
  // Binds and proves with a random key that strangers are refused. unavailable: port in use;
  // internal: the self-test was not refused (the server is closed again).
  static Result<std::unique_ptr<ZmqServer>> start(const ServerOptions& options, const crypto::AgreementKey& key,
                                                  Admission admission);
  ~ZmqServer();

  const std::string& endpoint() const noexcept { return endpoint_; }  // with the real port

  // Sleeps until a message may be waiting, one of `descriptors` is readable or `timeout` is over; answers handshakes.
  Result<void> wait(std::chrono::milliseconds timeout, std::span<const int> descriptors);
  // The next message of an admitted site, or nothing. Never blocks.
  std::optional<InboundMessage> receive();

  // Makes `session` the site's one session. False: another process with this site's keys holds it.
  bool open_session(const InboundMessage& hello, const BootId& boot);
  bool is_session(const InboundMessage& message) const;
  bool has_session(const SiteId& site) const { return peers_.contains(site); }
  // What has come on the connection of the site's session so far, unfinished messages too; zero without one.
  std::uint64_t bytes_arrived(const SiteId& site);
  // How much was sent to a site's session so far, what waits here included.
  struct Position {
    std::string session;
    std::uint64_t bytes = 0;
  };
  std::optional<Position> position(const SiteId& site) const;
  // Whether what was sent up to there is still on its way: on the same session, and not taken by the site's program as
  // far as it has said (of the last half a megabyte it says so within five seconds).
  bool is_under_way(const SiteId& site, const Position& sent) const;

  // Queues for the site's session; the bytes are shared, not copied, between sites.
  SendVerdict send(const SiteId& site, const std::shared_ptr<const Bytes>& payload);
  // Answers on the very connection the message came from, session or not; dropped when it cannot be sent at once.
  void reply(const InboundMessage& message, const std::shared_ptr<const Bytes>& payload);

  // Connections shut down because their peer sent more than is read of it: a message without an end.
  std::uint64_t cut_count() const noexcept { return guard_.cut_count(); }
  // And because nothing came from their peer.
  std::uint64_t silent_count() const noexcept { return guard_.silent_count(); }

  // Closes every connection and listens again: who is still admitted reconnects by itself.
  Result<void> cut_sessions();

 private:
  struct Peer {
    std::string session;
    BootId boot{};
    int descriptor = -1;
    std::deque<std::shared_ptr<const Bytes>> outbox;
    std::size_t outbox_bytes = 0;
  };
  enum class Attempt { sent, would_block, gone };
  using Flows = std::map<std::string, federation::io::ConnectionFlow>;  // by session

  ZmqServer(ServerOptions options, const crypto::AgreementKey& key, Admission admission);
  void listen();  // throws zmq::error_t
  void follow_connections();
  void share_descriptors();
  void show_cut_connections();
  Result<void> prove_strangers_are_refused();
  Attempt send_now(const std::string& session, const std::shared_ptr<const Bytes>& payload);
  Attempt send_frame(const std::string& session, const std::shared_ptr<const Bytes>& payload);
  Attempt send_beat(Flows::value_type& flow);
  void send_due_beats();
  void flush();

  ServerOptions options_;
  crypto::AgreementKey key_;
  zmq::context_t context_;
  SystemClock clock_;
  ZapHandler zap_;
  federation::io::InboundGuard guard_;
  std::uint64_t listen_count_ = 0;
  std::uint64_t cuts_shown_ = 0;
  std::uint64_t crowd_shown_ = 0;
  std::optional<zmq::socket_t> router_;
  std::optional<federation::io::ConnectionMonitor> monitor_;  // goes before the socket it watches
  std::string endpoint_;
  std::map<SiteId, Peer> peers_;
  Flows flows_;  // of every connection that has said something
};

}  // namespace fovea::coordinator::io

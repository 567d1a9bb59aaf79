#include "coordinator/io/zmq_server.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/check.h"
#include "crypto/random_source.h"
#include "federation/membership/endpoint.h"

namespace fovea::coordinator::io {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSelfTestMax{4'000};
// A full peer among writable ones keeps ZMQ_POLLOUT set, so a backlog is retried by the clock instead.
constexpr milliseconds kRetryEvery{2};

// Strangers cost a descriptor each until their handshake is over time (kHandshakeMax). A process that has none left
// accepts nobody, so it takes as many as it may have, up to this.
constexpr rlim_t kDescriptorsMax = 65'536;

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = std::min(limit.rlim_max, kDescriptorsMax);
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = wanted;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) spdlog::warn("at most {} files can be open", limit.rlim_cur);
}

}  // namespace

ZmqServer::ZmqServer(ServerOptions options, const crypto::AgreementKey& key, Admission admission)
    : options_(std::move(options)),
      key_(key.copy()),
      context_(1),
      zap_(context_, std::move(admission), clock_),
      guard_({.silence_max = options_.silence_max}) {}

ZmqServer::~ZmqServer() = default;

Result<std::unique_ptr<ZmqServer>> ZmqServer::start(const ServerOptions& options, const crypto::AgreementKey& key,
                                                    Admission admission) {
  raise_descriptor_limit();
  try {
    std::unique_ptr<ZmqServer> server(new ZmqServer(options, key, std::move(admission)));
    server->endpoint_ = options.endpoint;
    server->listen();
    FOVEA_TRY(server->prove_strangers_are_refused());
    server->share_descriptors();
    return server;
  } catch (const zmq::error_t& error) {
    return federation::io::zmq_failure(error, "cannot listen on " + options.endpoint);
  }
}

// Strangers who take a descriptor each must leave some for files: far more than libzmq takes until somebody looks.
void ZmqServer::share_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const int all = static_cast<int>(std::min(limit.rlim_cur, kDescriptorsMax));
  constexpr int kKeptMax = 2'048;
  const int connections = all - std::min(all / 2, kKeptMax);
  const auto listening = federation::membership::Endpoint::parse(endpoint_);
  FOVEA_CHECK(listening.has_value());  // libzmq's own words
  constexpr int kOpenAnyhow = 64;      // files, sockets and libzmq's own, which have low numbers
  guard_.keep_descriptors({.port = listening->port,
                           .connections_max = static_cast<std::size_t>(std::max(connections - kOpenAnyhow, 1)),
                           .first_kept = connections,
                           .limit = all});
}

void ZmqServer::listen() {
  flows_.clear();
  monitor_.reset();
  router_.emplace(context_, zmq::socket_type::router);
  monitor_.emplace(context_, *router_, "listening-" + std::to_string(++listen_count_));
  federation::io::set_limits(*router_);
  federation::io::set_curve_server(*router_, key_);
  router_->set(zmq::sockopt::router_mandatory, true);
  router_->bind(endpoint_);
  endpoint_ = router_->get(zmq::sockopt::last_endpoint);
}

Result<void> ZmqServer::prove_strangers_are_refused() {
  crypto::SystemRandom random;
  const crypto::AgreementKey stranger = crypto::AgreementKey::generate(random);
  zap_.expect(stranger.public_key());
  FOVEA_TRY_ASSIGN(federation::membership::Endpoint listening, federation::membership::Endpoint::parse(endpoint_));
  if (listening.host == "0.0.0.0" || listening.host == "::") listening.host = "127.0.0.1";  // all of this machine's
  const std::string target = listening.text();
  zmq::socket_t dealer(context_, zmq::socket_type::dealer);
  federation::io::set_limits(dealer);
  dealer.set(zmq::sockopt::linger, 0);
  federation::io::set_curve_client(dealer, stranger, key_.public_key());
  federation::io::ConnectionMonitor monitor(context_, dealer, "self-test");
  dealer.connect(target);
  const auto deadline = std::chrono::steady_clock::now() + kSelfTestMax;
  while (std::chrono::steady_clock::now() < deadline) {
    zmq::pollitem_t items[] = {{zap_.socket().handle(), 0, ZMQ_POLLIN, 0},
                               {monitor.socket().handle(), 0, ZMQ_POLLIN, 0}};
    zmq::poll(items, std::size(items), milliseconds(50));
    zap_.answer_waiting();
    while (const auto event = monitor.next()) {
      if (*event == federation::io::ConnectionEvent::refused && zap_.refused_count() > 0) return {};
      if (*event == federation::io::ConnectionEvent::ready)
        return internal_error("transport self-test: a random key was let in on " + endpoint_ + "; not serving");
    }
  }
  return unavailable("transport self-test: no answer on " + target + " within 4 s; check the firewall of this machine");
}

// Before the handshakes are answered: no message of a connection comes before the guard knows of it.
void ZmqServer::follow_connections() {
  using federation::io::ConnectionEvent;
  while (const auto event = monitor_->next()) {
    if (*event == ConnectionEvent::accepted) guard_.opened(monitor_->descriptor());
    if (*event == ConnectionEvent::lost) guard_.closed(monitor_->descriptor());
  }
  show_cut_connections();
}

void ZmqServer::show_cut_connections() {
  if (const std::uint64_t cuts = guard_.cut_count(); cuts > cuts_shown_) {
    constexpr std::uint64_t kShownMax = 100;
    if (cuts_shown_ < kShownMax)
      spdlog::warn("cut {} connections so far whose peer sends messages without an end", cuts);
    cuts_shown_ = cuts;
  }
  if (const std::uint64_t crowd = guard_.crowd_count(); crowd > 2 * crowd_shown_) {  // a line for twice as many
    spdlog::warn("cut {} connections so far of strangers who take too many descriptors", crowd);
    crowd_shown_ = crowd;
  }
}

Result<void> ZmqServer::wait(milliseconds timeout, std::span<const int> descriptors) {
  try {
    send_due_beats();
    flush();
    const bool backlog =
        std::any_of(peers_.begin(), peers_.end(), [](const auto& entry) { return !entry.second.outbox.empty(); });
    if (backlog) timeout = std::min(timeout, kRetryEvery);
    std::vector<zmq::pollitem_t> items = {{router_->handle(), 0, ZMQ_POLLIN, 0},
                                          {zap_.socket().handle(), 0, ZMQ_POLLIN, 0}};
    items.push_back({monitor_->socket().handle(), 0, ZMQ_POLLIN, 0});
    for (const int descriptor : descriptors) items.push_back({nullptr, descriptor, ZMQ_POLLIN, 0});
    zmq::poll(items, timeout);
    follow_connections();
    zap_.answer_waiting();
    return {};
  } catch (const zmq::error_t& error) {
    if (error.num() == EINTR) return {};
    return federation::io::zmq_failure(error, "waiting for sites");
  }
}

std::optional<InboundMessage> ZmqServer::receive() {
  try {
    constexpr int kFramesMax = 256;  // beats and messages of several frames without an end must not keep the loop
    for (int frame = 0; frame < kFramesMax; ++frame) {
      zmq::message_t session;
      if (!router_->recv(session, zmq::recv_flags::dontwait)) return std::nullopt;
      zmq::message_t part;
      std::size_t parts = 0;
      for (bool more = session.more(); more; ++parts) {
        if (!router_->recv(part)) return std::nullopt;
        guard_.delivered(part);
        more = part.more();
      }
      if (parts != 1) continue;  // not from a Fovea node: a message is one frame
      // Set by our ZAP handler at the handshake; the peer cannot choose it.
      auto site = SiteId::create(part.gets("User-Id"));
      if (!site) continue;
      const auto* data = part.data<std::uint8_t>();
      federation::io::ConnectionFlow& flow = flows_.try_emplace(session.to_string()).first->second;
      if (flow.hear({data, part.size()})) continue;
      flow.took(part.size());
      return InboundMessage{std::move(site).value(), session.to_string(), ::zmq_msg_get(part.handle(), ZMQ_SRCFD),
                            Bytes(data, data + part.size())};
    }
    return std::nullopt;
  } catch (const zmq::error_t& error) {
    if (error.num() != EINTR) spdlog::warn("receiving from sites: {}", error.what());
    return std::nullopt;
  }
}

bool ZmqServer::open_session(const InboundMessage& hello, const BootId& boot) {
  const auto found = peers_.find(hello.site);
  if (found != peers_.end() && found->second.session != hello.session && found->second.boot != boot) {
    // A vanished connection answers EHOSTUNREACH. One whose other end is gone without a word misses its beats.
    const auto flow = flows_.find(found->second.session);
    const auto silence = guard_.silence(found->second.descriptor);
    const bool is_there = !silence || *silence < 3 * options_.beat_every;
    if (flow != flows_.end() && send_beat(*flow) != Attempt::gone && is_there) return false;
  }
  if (found != peers_.end() && found->second.session == hello.session) return true;
  peers_[hello.site] = Peer{hello.session, boot, hello.descriptor, {}, 0};
  return true;
}

std::uint64_t ZmqServer::bytes_arrived(const SiteId& site) {
  const auto found = peers_.find(site);
  return found == peers_.end() ? 0 : guard_.bytes_arrived(found->second.descriptor);
}

bool ZmqServer::is_session(const InboundMessage& message) const {
  const auto found = peers_.find(message.site);
  return found != peers_.end() && found->second.session == message.session;
}

std::optional<ZmqServer::Position> ZmqServer::position(const SiteId& site) const {
  const auto found = peers_.find(site);
  const auto flow = found == peers_.end() ? flows_.end() : flows_.find(found->second.session);
  if (flow == flows_.end()) return std::nullopt;
  const Peer& peer = found->second;
  return Position{peer.session, flow->second.sent_bytes() + peer.outbox_bytes +
                                    peer.outbox.size() * federation::io::kCurveOverheadMax};
}

bool ZmqServer::is_under_way(const SiteId& site, const Position& sent) const {
  const auto found = peers_.find(site);
  if (found == peers_.end() || found->second.session != sent.session) return false;
  const auto flow = flows_.find(sent.session);
  return flow != flows_.end() && flow->second.taken_there_bytes() < sent.bytes;
}

SendVerdict ZmqServer::send(const SiteId& site, const std::shared_ptr<const Bytes>& payload) {
  const auto found = peers_.find(site);
  if (found == peers_.end()) return SendVerdict::no_session;
  Peer& peer = found->second;
  if (peer.outbox.empty()) {
    switch (send_now(peer.session, payload)) {
      case Attempt::sent: return SendVerdict::queued;
      case Attempt::would_block: break;
      case Attempt::gone: peers_.erase(found); return SendVerdict::no_session;
    }
  }
  if (peer.outbox_bytes + payload->size() > options_.outbox_bytes_max) return SendVerdict::outbox_full;
  peer.outbox_bytes += payload->size();
  peer.outbox.push_back(payload);
  return SendVerdict::queued;
}

void ZmqServer::reply(const InboundMessage& message, const std::shared_ptr<const Bytes>& payload) {
  send_now(message.session, payload);
}

ZmqServer::Attempt ZmqServer::send_now(const std::string& session, const std::shared_ptr<const Bytes>& payload) {
  const auto flow = flows_.find(session);
  if (flow == flows_.end()) return Attempt::gone;
  if (!flow->second.admits(payload->size())) return Attempt::would_block;
  const Attempt attempt = send_frame(session, payload);
  if (attempt == Attempt::sent) flow->second.sent(payload->size());
  return attempt;
}

ZmqServer::Attempt ZmqServer::send_beat(Flows::value_type& flow) {
  const Attempt attempt = send_frame(flow.first, std::make_shared<const Bytes>(flow.second.beat()));
  if (attempt == Attempt::sent) flow.second.beat_sent(std::chrono::steady_clock::now());
  return attempt;
}

// To each connection, with a session or not: a site that was refused one still has to know that somebody is there.
void ZmqServer::send_due_beats() {
  const auto now = std::chrono::steady_clock::now();
  for (auto flow = flows_.begin(); flow != flows_.end();) {
    const bool gone = flow->second.beat_due(now, options_.beat_every) && send_beat(*flow) == Attempt::gone;
    flow = gone ? flows_.erase(flow) : std::next(flow);
  }
}

ZmqServer::Attempt ZmqServer::send_frame(const std::string& session, const std::shared_ptr<const Bytes>& payload) {
  try {
    zmq::message_t address(session.data(), session.size());
    if (!router_->send(address, zmq::send_flags::sndmore | zmq::send_flags::dontwait)) return Attempt::would_block;
    zmq::message_t body = federation::io::message_of(payload);
    // After the address was accepted the body always fits: libzmq checked the pipe for the whole message.
    if (!router_->send(body, zmq::send_flags::dontwait)) return Attempt::would_block;
    return Attempt::sent;
  } catch (const zmq::error_t& error) {
    if (error.num() != EHOSTUNREACH) spdlog::warn("sending to a site: {}", error.what());
    return Attempt::gone;
  }
}

void ZmqServer::flush() {
  for (auto entry = peers_.begin(); entry != peers_.end();) {
    Peer& peer = entry->second;
    Attempt attempt = Attempt::sent;
    while (!peer.outbox.empty() && attempt == Attempt::sent) {
      attempt = send_now(peer.session, peer.outbox.front());
      if (attempt != Attempt::sent) break;
      peer.outbox_bytes -= peer.outbox.front()->size();
      peer.outbox.pop_front();
    }
    entry = attempt == Attempt::gone ? peers_.erase(entry) : std::next(entry);
  }
}

Result<void> ZmqServer::cut_sessions() {
  try {
    peers_.clear();
    follow_connections();
    monitor_.reset();
    router_->set(zmq::sockopt::linger, 0);
    router_->close();
    guard_.closed_all();
    // The I/O thread frees the port a moment after close().
    const auto deadline = std::chrono::steady_clock::now() + kSelfTestMax;
    while (true) {
      try {
        listen();
        return {};
      } catch (const zmq::error_t& error) {
        if (error.num() != EADDRINUSE || std::chrono::steady_clock::now() > deadline) throw;
        zmq::poll(static_cast<zmq::pollitem_t*>(nullptr), 0, kRetryEvery);
      }
    }
  } catch (const zmq::error_t& error) {
    return federation::io::zmq_failure(error, "cannot listen again on " + endpoint_);
  }
}

}  // namespace fovea::coordinator::io

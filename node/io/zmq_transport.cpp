#include "node/io/zmq_transport.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "crypto/hash.h"

namespace fovea::node::io {
namespace {

AddressLookup::Resolve resolver_of(const TransportOptions& options) {
  if (options.resolve) return options.resolve;
  const auto endpoint = federation::membership::Endpoint::parse(options.endpoint);
  if (!endpoint) return [] { return std::vector<std::string>(); };  // libzmq says what is wrong with it
  return [endpoint = *endpoint] { return addresses_of(endpoint); };
}

}  // namespace

ZmqTransport::ZmqTransport(TransportOptions options, const crypto::AgreementKey& key)
    : options_(std::move(options)),
      key_(key.copy()),
      context_(1),
      guard_({.silence_max = options_.silence_max}),
      lookup_(resolver_of(options_)),
      dialled_(options_.endpoint) {
  dial();
}

void ZmqTransport::dial() {
  monitor_.reset();
  if (dealer_) dealer_->set(zmq::sockopt::linger, 0);
  guard_.closed_all();
  dealer_.emplace(context_, zmq::socket_type::dealer);
  monitor_.emplace(context_, *dealer_, "connection-" + std::to_string(++dial_count_));
  federation::io::set_limits(*dealer_);
  federation::io::set_curve_client(*dealer_, key_, options_.coordinator_key);
  dealer_->connect(dialled_);
}

// libzmq 4.3.4 gives a connection up for good when its handshake is refused; a site that is put on the roster later
// must get in without a restart.
void ZmqTransport::redial_when_due() {
  if (!redial_at_ || std::chrono::steady_clock::now() < *redial_at_) return;
  redial_at_.reset();
  dial();
}

// libzmq goes on with the address that it has; the one that is dialled next is another one of the name.
void ZmqTransport::try_next_address() {
  const std::vector<std::string> addresses = lookup_.addresses();
  if (redial_at_ || addresses.empty()) return;
  std::size_t next = address_count_ % addresses.size();
  if (addresses[next] == dialled_) next = (next + 1) % addresses.size();
  if (addresses[next] == dialled_ || (addresses.size() == 1 && dialled_ == options_.endpoint)) return;
  address_count_ = next + 1;
  dialled_ = addresses[next];
  redial_at_ = std::chrono::steady_clock::now() + address_pause_;
  address_pause_ = std::min(2 * address_pause_, federation::io::kReconnectMax);
}

Result<std::unique_ptr<ZmqTransport>> ZmqTransport::connect(const TransportOptions& options,
                                                            const crypto::AgreementKey& key) {
  try {
    return std::unique_ptr<ZmqTransport>(new ZmqTransport(options, key));
  } catch (const zmq::error_t& error) {
    return federation::io::zmq_failure(error, "cannot connect to " + options.endpoint);
  }
}

Result<void> ZmqTransport::wait(std::chrono::milliseconds timeout, std::span<const int> descriptors) {
  try {
    redial_when_due();
    send_due_beat();
    flush();
    const auto wanted = static_cast<short>(may_send() ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN);
    std::vector<zmq::pollitem_t> items = {{dealer_->handle(), 0, wanted, 0},
                                          {monitor_->socket().handle(), 0, ZMQ_POLLIN, 0}};
    for (const int descriptor : descriptors) items.push_back({nullptr, descriptor, ZMQ_POLLIN, 0});
    zmq::poll(items, timeout);
    follow_connection();
    flush();
    return {};
  } catch (const zmq::error_t& error) {
    if (error.num() == EINTR) return {};
    return federation::io::zmq_failure(error, "waiting for the coordinator");
  }
}

void ZmqTransport::follow_connection() {
  using federation::io::ConnectionEvent;
  while (const auto event = monitor_->next()) {
    switch (*event) {
      case ConnectionEvent::ready:
        state_ = ConnectionState::connected;
        wrong_peers_ = 0;
        ++connection_count_;
        flow_ = federation::io::ConnectionFlow();
        drop_outbox();
        redial_at_.reset();
        redial_pause_ = federation::io::kRedialMin;
        address_pause_ = federation::io::kReconnectMin;
        break;
      case ConnectionEvent::refused:
      case ConnectionEvent::protocol_error:
        // A coordinator that is being stopped breaks a handshake off, which looks the same once.
        wrong_peers_ = *event == ConnectionEvent::refused ? 0 : wrong_peers_ + 1;
        if (wrong_peers_ != 1) state_ = wrong_peers_ == 0 ? ConnectionState::refused : ConnectionState::wrong_peer;
        if (redial_at_) break;
        redial_at_ = std::chrono::steady_clock::now() + redial_pause_;
        redial_pause_ = std::min(2 * redial_pause_, federation::io::kRedialMax);
        break;
      case ConnectionEvent::lost:
        guard_.closed(monitor_->descriptor());
        if (state_ == ConnectionState::connected) state_ = ConnectionState::connecting;
        // ZMQ_IMMEDIATE dropped what was under way, and what waited here is of the same session.
        drop_outbox();
        break;
      case ConnectionEvent::connected: guard_.opened(monitor_->descriptor()); break;
      case ConnectionEvent::retrying: try_next_address(); break;
      case ConnectionEvent::accepted: break;
    }
  }
}

std::optional<Bytes> ZmqTransport::receive() {
  try {
    constexpr int kFramesMax = 256;  // beats and messages of several frames without an end must not keep the loop
    for (int frame = 0; frame < kFramesMax; ++frame) {
      zmq::message_t message;
      if (!dealer_->recv(message, zmq::recv_flags::dontwait)) return std::nullopt;
      const bool of_this_connection = guard_.delivered(message);
      if (message.more()) {  // not of the protocol: a message is one frame
        while (message.more()) {
          if (!dealer_->recv(message)) return std::nullopt;
          guard_.delivered(message);
        }
        continue;
      }
      const auto* data = message.data<std::uint8_t>();
      federation::io::ConnectionFlow left_behind;  // by the connection before: its messages are read, and not counted
      federation::io::ConnectionFlow& flow = of_this_connection ? flow_ : left_behind;
      if (flow.hear({data, message.size()})) {
        measure();
        forget_what_was_taken();
        continue;
      }
      flow.took(message.size());
      return Bytes(data, data + message.size());
    }
    return std::nullopt;
  } catch (const zmq::error_t& error) {
    if (error.num() != EINTR) spdlog::warn("receiving from the coordinator: {}", error.what());
    return std::nullopt;
  }
}

Result<void> ZmqTransport::send(Bytes payload) {
  if (payload.size() > federation::io::kMessageBytesMax)
    return invalid_argument("a message of " + std::to_string(payload.size()) + " bytes is above the limit of " +
                            std::to_string(federation::io::kMessageBytesMax));
  if (state_ != ConnectionState::connected) return unavailable("not connected to " + options_.endpoint);
  if (outbox_bytes_ + payload.size() > options_.outbox_bytes_max)
    return failed_precondition("more than " + std::to_string(options_.outbox_bytes_max) + " bytes wait to be sent");
  try {
    outbox_bytes_ += payload.size();
    const bool was_idle = under_way_bytes() < kMeasuredBytes;
    under_way_.push_back({.digest = crypto::sha256(payload), .size = payload.size()});
    if (was_idle && under_way_bytes() >= kMeasuredBytes) begin_measure();
    outbox_.push_back(federation::io::message_of(std::make_shared<const Bytes>(std::move(payload))));
    flush();
    return {};
  } catch (const zmq::error_t& error) {
    return federation::io::zmq_failure(error, "sending to the coordinator");
  }
}

Result<void> ZmqTransport::hang_up() {
  try {
    drop_outbox();
    redial_at_.reset();
    state_ = ConnectionState::connecting;
    dial();
    return {};
  } catch (const zmq::error_t& error) {
    return federation::io::zmq_failure(error, "dialling " + options_.endpoint);
  }
}

void ZmqTransport::drop_outbox() {
  outbox_.clear();
  outbox_bytes_ = 0;
  under_way_.clear();
}

void ZmqTransport::forget_what_was_taken() {
  while (!under_way_.empty() && under_way_.front().end != 0 && under_way_.front().end <= flow_.taken_there_bytes())
    under_way_.pop_front();
}

void ZmqTransport::begin_measure() {
  busy_since_ = std::chrono::steady_clock::now();
  taken_before_ = flow_.taken_there_bytes();
}

// Before what was taken is forgotten: the link was busy until now. What little is left at the end is said late.
void ZmqTransport::measure() {
  const std::uint64_t taken = flow_.taken_there_bytes() - taken_before_;
  if (under_way_bytes() < kMeasuredBytes || taken < kMeasuredBytes) return;
  const auto busy = std::chrono::steady_clock::now() - busy_since_;
  const std::int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(busy).count();
  upload_kbit_s_ = taken * 8 / static_cast<std::uint64_t>(std::max<std::int64_t>(ms, 1));
  begin_measure();
}

std::size_t ZmqTransport::under_way_bytes() const noexcept {
  std::size_t sum = 0;
  for (const UnderWay& each : under_way_) sum += each.size;
  return sum;
}

bool ZmqTransport::is_under_way(ByteView payload) const {
  const auto same_size = [&](const UnderWay& each) { return each.size == payload.size(); };
  if (std::none_of(under_way_.begin(), under_way_.end(), same_size)) return false;
  const Digest digest = crypto::sha256(payload);
  return std::any_of(under_way_.begin(), under_way_.end(), [&](const UnderWay& each) { return each.digest == digest; });
}

bool ZmqTransport::may_send() const { return !outbox_.empty() && flow_.admits(outbox_.front().size()); }

// Not a message, and nothing of the site is in it: it passes no egress gate, like the bytes of CURVE around it.
void ZmqTransport::send_due_beat() {
  const auto now = std::chrono::steady_clock::now();
  if (state_ != ConnectionState::connected || !flow_.beat_due(now, options_.beat_every)) return;
  zmq::message_t frame = federation::io::message_of(std::make_shared<const Bytes>(flow_.beat()));
  if (dealer_->send(frame, zmq::send_flags::dontwait)) flow_.beat_sent(now);
}

void ZmqTransport::flush() {
  while (may_send()) {
    const std::size_t size = outbox_.front().size();
    if (!dealer_->send(outbox_.front(), zmq::send_flags::dontwait)) return;
    flow_.sent(size);
    under_way_[under_way_.size() - outbox_.size()].end = flow_.sent_bytes();
    outbox_bytes_ -= size;
    outbox_.pop_front();
  }
}

}  // namespace fovea::node::io

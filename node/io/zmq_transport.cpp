#include "node/io/zmq_transport.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace fovea::node::io {

ZmqTransport::ZmqTransport(TransportOptions options, const crypto::AgreementKey& key)
    : options_(std::move(options)), key_(key.copy()), context_(1) {
  dial();
}

void ZmqTransport::dial() {
  monitor_.reset();
  if (dealer_) dealer_->set(zmq::sockopt::linger, 0);
  dealer_.emplace(context_, zmq::socket_type::dealer);
  monitor_.emplace(context_, *dealer_, "connection-" + std::to_string(++dial_count_));
  federation::io::set_limits(*dealer_);
  federation::io::set_curve_client(*dealer_, key_, options_.coordinator_key);
  dealer_->connect(options_.endpoint);
}

// libzmq 4.3.4 gives a connection up for good when its handshake is refused; a site that is put on the roster later
// must get in without a restart.
void ZmqTransport::redial_when_due() {
  if (!redial_at_ || std::chrono::steady_clock::now() < *redial_at_) return;
  redial_at_.reset();
  redial_pause_ = std::min(2 * redial_pause_, federation::io::kRedialMax);
  dial();
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
    flush();
    const auto wanted = static_cast<short>(outbox_.empty() ? ZMQ_POLLIN : ZMQ_POLLIN | ZMQ_POLLOUT);
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
        ++connection_count_;
        redial_at_.reset();
        redial_pause_ = federation::io::kRedialMin;
        break;
      case ConnectionEvent::refused:
      case ConnectionEvent::protocol_error:
        state_ = *event == ConnectionEvent::refused ? ConnectionState::refused : ConnectionState::wrong_peer;
        if (!redial_at_) redial_at_ = std::chrono::steady_clock::now() + redial_pause_;
        break;
      case ConnectionEvent::lost:
        guard_.closed(monitor_->descriptor());
        if (state_ == ConnectionState::connected) state_ = ConnectionState::connecting;
        // ZMQ_IMMEDIATE dropped what was under way, and what waited here is of the same session.
        outbox_.clear();
        outbox_bytes_ = 0;
        break;
      case ConnectionEvent::connected: guard_.opened(monitor_->descriptor()); break;
      case ConnectionEvent::accepted:
      case ConnectionEvent::retrying: break;
    }
  }
}

std::optional<Bytes> ZmqTransport::receive() {
  try {
    while (true) {
      zmq::message_t message;
      if (!dealer_->recv(message, zmq::recv_flags::dontwait)) return std::nullopt;
      guard_.delivered(message);
      if (message.more()) {  // not of the protocol: a message is one frame
        while (message.more()) {
          if (!dealer_->recv(message)) return std::nullopt;
          guard_.delivered(message);
        }
        continue;
      }
      if (message.size() == 0) continue;  // "are you still there?"
      const auto* data = message.data<std::uint8_t>();
      return Bytes(data, data + message.size());
    }
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
    outbox_.push_back(federation::io::message_of(std::make_shared<const Bytes>(std::move(payload))));
    flush();
    return {};
  } catch (const zmq::error_t& error) {
    return federation::io::zmq_failure(error, "sending to the coordinator");
  }
}

Result<void> ZmqTransport::hang_up() {
  try {
    outbox_.clear();
    outbox_bytes_ = 0;
    redial_at_.reset();
    state_ = ConnectionState::connecting;
    dial();
    return {};
  } catch (const zmq::error_t& error) {
    return federation::io::zmq_failure(error, "dialling " + options_.endpoint);
  }
}

void ZmqTransport::flush() {
  while (!outbox_.empty()) {
    const std::size_t size = outbox_.front().size();
    if (!dealer_->send(outbox_.front(), zmq::send_flags::dontwait)) return;
    outbox_bytes_ -= size;
    outbox_.pop_front();
  }
}

}  // namespace fovea::node::io

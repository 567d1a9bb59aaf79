// A coordinator's port and sites that dial it, in one thread, over real sockets on loopback.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coordinator/io/zmq_server.h"
#include "crypto/random_source.h"
#include "node/io/zmq_transport.h"

namespace fovea::test {

using coordinator::io::ZmqServer;
using node::io::ConnectionState;
using node::io::ZmqTransport;
using std::chrono::milliseconds;

inline constexpr milliseconds kPatience{20'000};

inline SiteId site_named(std::string_view text) { return SiteId::create(text).value(); }
inline coordinator::io::BootId boot(std::uint8_t number) {
  coordinator::io::BootId out{};
  out[0] = number;
  return out;
}
inline Bytes bytes_of(std::string_view text) {
  const ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}
inline std::shared_ptr<const Bytes> shared(Bytes bytes) { return std::make_shared<const Bytes>(std::move(bytes)); }

class TransportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    roster_.emplace(anna_.public_key(), site_named("anna"));
    roster_.emplace(berta_.public_key(), site_named("berta"));
    auto started = ZmqServer::start(
        {.endpoint = "tcp://127.0.0.1:0"}, server_key_, [this](const federation::io::CurvePublicKey& key) {
          const auto found = roster_.find(key);
          return found == roster_.end() ? std::nullopt : std::optional<SiteId>(found->second);
        });
    ASSERT_TRUE(started.has_value()) << started.error().message;
    server_ = std::move(started).value();
  }

  std::unique_ptr<ZmqTransport> dial(const crypto::AgreementKey& key, const crypto::AgreementKey& expected) {
    auto transport =
        ZmqTransport::connect({.endpoint = server_->endpoint(), .coordinator_key = expected.public_key()}, key);
    EXPECT_TRUE(transport.has_value());
    return std::move(transport).value();
  }
  std::unique_ptr<ZmqTransport> dial(const crypto::AgreementKey& key) { return dial(key, server_key_); }

  // Runs both ends until `done`; false when it does not come to that.
  bool pump(const std::vector<ZmqTransport*>& sites, const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!done()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      EXPECT_TRUE(server_->wait(milliseconds(2), {}).has_value());
      while (auto message = server_->receive()) inbox_.push_back(std::move(*message));
      for (ZmqTransport* site : sites) EXPECT_TRUE(site->wait(milliseconds(2), {}).has_value());
    }
    return true;
  }
  bool connect(ZmqTransport& site) {
    return pump({&site}, [&] { return site.state() == ConnectionState::connected; });
  }
  // Says something and waits until the server has it.
  bool say(ZmqTransport& site, Bytes payload) {
    const std::size_t before = inbox_.size();
    return site.send(std::move(payload)).has_value() && pump({&site}, [&] { return inbox_.size() > before; });
  }

  crypto::SystemRandom random_;
  crypto::AgreementKey server_key_ = crypto::AgreementKey::generate(random_);
  crypto::AgreementKey anna_ = crypto::AgreementKey::generate(random_);
  crypto::AgreementKey berta_ = crypto::AgreementKey::generate(random_);
  std::map<federation::io::CurvePublicKey, SiteId> roster_;
  std::unique_ptr<ZmqServer> server_;
  std::vector<coordinator::io::InboundMessage> inbox_;
};

}  // namespace fovea::test

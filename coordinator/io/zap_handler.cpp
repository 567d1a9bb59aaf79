#include "coordinator/io/zap_handler.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "federation/membership/signed_document.h"

namespace fovea::coordinator::io {
namespace {

// [requester] [] [version] [request id] [domain] [address] [routing id] [mechanism] [client key]
enum Frame : std::size_t {
  kRequester,
  kEmpty,
  kVersion,
  kRequestId,
  kDomain,
  kAddress,
  kRoutingId,
  kMechanism,
  kKey,
  kCount
};

std::optional<federation::io::CurvePublicKey> client_key(const std::vector<zmq::message_t>& frames) {
  if (frames.size() != kCount || frames[kVersion].to_string_view() != "1.0" ||
      frames[kDomain].to_string_view() != federation::io::kZapDomain || frames[kMechanism].to_string_view() != "CURVE")
    return std::nullopt;
  const ByteView bytes(frames[kKey].data<std::uint8_t>(), frames[kKey].size());
  auto key = to_array<32>(bytes, "client key");
  if (!key) return std::nullopt;
  return *key;
}

}  // namespace

ZapHandler::ZapHandler(zmq::context_t& context, Admission admission, const Clock& clock)
    : socket_(context, zmq::socket_type::router), admission_(std::move(admission)), clock_(clock) {
  socket_.set(zmq::sockopt::linger, 0);
  socket_.bind("inproc://zeromq.zap.01");
}

void ZapHandler::answer_waiting() {
  constexpr int kAnswersMax = 256;  // then look at the sites again: strangers must not keep the loop
  for (int answer = 0; answer < kAnswersMax; ++answer) {
    std::vector<zmq::message_t> frames;
    do {
      zmq::message_t frame;
      if (!socket_.recv(frame, zmq::recv_flags::dontwait)) return;
      frames.push_back(std::move(frame));
    } while (frames.back().more());
    answer_one(std::move(frames));
  }
}

// It may try again: its socket does so by itself.
bool ZapHandler::within_rate(const SiteId& site) {
  federation::io::RateLimit& limit = handshakes_.try_emplace(site, kHandshakeRate).first->second;
  if (limit.admit(clock_.monotonic())) return true;
  ++refused_count_;
  constexpr std::uint64_t kLoggedEach = 1000;
  if (limit.refused() % kLoggedEach == 1) spdlog::warn("{}: connects too often; refused for now", site.text());
  return false;
}

void ZapHandler::answer_one(std::vector<zmq::message_t> frames) {
  if (frames.size() <= kRequestId) return;
  const auto key = client_key(frames);
  std::optional<SiteId> site = key ? admission_(*key) : std::nullopt;
  if (site && !within_rate(*site)) site.reset();
  else if (site) {
    ++accepted_count_;
  } else {
    ++refused_count_;
    constexpr std::uint64_t kLoggedMax = 100;  // a stranger must not fill the log
    if (key && key != expected_ && refused_count_ <= kLoggedMax)
      spdlog::warn("refused a connection: its transport key {} is not on the roster",
                   federation::membership::shortened_key(*key));
  }
  const std::string user = site ? site->text() : std::string();
  const std::string parts[] = {"1.0",
                               frames[kRequestId].to_string(),
                               site ? "200" : "400",
                               site ? "OK" : "this key is not on the roster, or connects too often",
                               user,
                               std::string()};
  socket_.send(frames[kRequester], zmq::send_flags::sndmore);
  socket_.send(zmq::message_t(), zmq::send_flags::sndmore);
  for (const std::string& part : parts)
    socket_.send(zmq::buffer(part),
                 &part == &parts[std::size(parts) - 1] ? zmq::send_flags::none : zmq::send_flags::sndmore);
}

}  // namespace fovea::coordinator::io

#include "federation/io/connection_flow.h"

#include <algorithm>
#include <string_view>

#include "common/codec.h"

namespace fovea::federation::io {
namespace {

// Shorter than any envelope.
constexpr std::string_view kBeat = "beat";
constexpr std::size_t kBeatSize = kBeat.size() + sizeof(std::uint64_t);

}  // namespace

bool ConnectionFlow::hear(ByteView frame) {
  if (frame.size() != kBeatSize || as_text(frame.first(kBeat.size())) != kBeat) return false;
  ByteReader reader(frame.subspan(kBeat.size()));
  // Counts only grow, and nobody can have taken what was not sent.
  if (const auto taken = reader.u64("taken")) taken_there_ = std::clamp(*taken, taken_there_, sent_);
  return true;
}

Bytes ConnectionFlow::beat() const {
  ByteWriter out;
  out.raw(as_bytes(kBeat));
  out.u64(taken_);
  return std::move(out).take();
}

void ConnectionFlow::beat_sent(Clock::time_point now) noexcept {
  said_ = taken_;
  last_beat_ = now;
}

}  // namespace fovea::federation::io

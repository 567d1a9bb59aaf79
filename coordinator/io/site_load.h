// What one site may cost the coordinator: a site that is admitted can still be stolen, broken or dishonest.
//
// Each message that is believed enough to be recorded costs a ledger entry, each hello what the round machine repeats,
// and a hello that says the site lacks a sum a whole publication. What is above the bounds is refused before it is
// recorded, without an answer, and counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/clock.h"
#include "common/ids.h"
#include "federation/io/rate_limit.h"
#include "federation/membership/plan.h"

namespace fovea::coordinator::io {

// An honest site greets on connecting, every five seconds of silence, and when it has applied a sum.
inline constexpr federation::io::Rate kHelloRate{.burst = 20, .every_ms = 500};
// Sums that a site asks for again, though it said before that it has them, or was sent them.
inline constexpr federation::io::Rate kRepeatedSumRate{.burst = 8, .every_ms = 2'000};
inline constexpr std::int64_t kSameSumEveryMs = 10'000;
// Messages that fail their signature or their shape: answered, logged and in the event file.
inline constexpr federation::io::Rate kFaultyRate{.burst = 16, .every_ms = 10'000};
// All other messages of a round, beyond what an honest site sends in it (receipts_of_round).
inline constexpr std::int64_t kReceiptsEveryMs = 500;
inline constexpr std::int64_t kReceiptsBase = 1'000;
// Of a site above its bounds, one event in this time says how many messages were refused.
inline constexpr std::int64_t kOverloadEveryMs = 60'000;

// The messages that a round of this plan may make a site send: progress of each step, and its vector in every attempt.
std::int64_t receipts_of_round(const federation::membership::Plan& plan, std::size_t chunks,
                               std::uint32_t attempts_max);

class SiteLoad {
 public:
  explicit SiteLoad(std::int64_t receipts_max)
      : receipts_max_(receipts_max), receipts_({.burst = receipts_max, .every_ms = kReceiptsEveryMs}) {}

  // Whether one more is within the bounds; if not, it is counted. A hello that says of a later sum than any before it
  // is free: there are only as many as sums.
  bool admit_hello(RoundNumber applied, RoundNumber last_sum, MonotonicMs now);
  // `round`: the machine's. A round begins with a whole allowance.
  bool admit_receipt(RoundNumber round, MonotonicMs now);
  bool admit_faulty(MonotonicMs now) { return count(faulty_.admit(now)); }
  // Whether the sum after `applied` is sent. Not counted: the site asks again when it is silent.
  bool admit_publication(RoundNumber applied, MonotonicMs now);

  // How many were refused since the last report; nothing when there were none, or a report was made a moment ago.
  std::optional<std::uint64_t> due_report(MonotonicMs now);
  // True once for each round in which something was refused: for the ledger.
  bool take_incident();

 private:
  bool count(bool admitted);

  std::int64_t receipts_max_;
  federation::io::RateLimit receipts_;
  federation::io::RateLimit hellos_{kHelloRate};
  federation::io::RateLimit faulty_{kFaultyRate};
  federation::io::RateLimit repeated_sums_{kRepeatedSumRate};
  RoundNumber round_ = 0;
  RoundNumber applied_most_ = 0;                  // of its hellos
  std::optional<RoundNumber> sent_after_most_{};  // of the sums it was sent
  RoundNumber sent_after_ = 0;
  MonotonicMs sent_at_{};
  std::uint64_t refused_ = 0;
  std::uint64_t reported_ = 0;
  MonotonicMs reported_at_{};
  bool incident_due_ = false;
  bool incident_taken_ = false;  // in this round
};

}  // namespace fovea::coordinator::io

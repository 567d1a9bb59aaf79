// The coordinator's side of one round, as a pure machine: train → ready → R0 … R5 → sum. No clock, socket, file, thread
// or random source inside. One machine per round; it makes the attempts, each with fresh keys at the sites.
//
// A driver:
//
//   auto machine = RoundMachine::create(setup, journal_records_of_this_round).value();
//   perform(machine.step(Begin{now}));
//   on a frame of a site: perform(machine.step(MessageReceived{std::move(opened)}));   Tick{now} a few times a second,
//   and BytesArriving before it, without which a slow link is taken for a silent site
//   perform(effects), strictly in field order:
//     1 append effects.journal, one sync; store effects.beacon
//     2 effects.finished: apply the sum, store model and publication durably
//     3 record effects.opened in the ledger, durably; send effects.outbound, then finished->publication to every site
//     4 run effects.unmask, then step(UnmaskFinished{…})
//     5 effects.aborted: the round is over without a sum; the next one has the number `aborted->next_round`, and its
//       setup says `aborted->repeat`
//
// step() never fails: a refused message has `refusal` set and changes nothing. Sites answer a repeated request with the
// same bytes, so lost messages are mended by asking again (resend_ms).
//
// A cohort of more than kCompleteGraphMax sites uses the sparse graph: the machine draws the roster's beacon with all
// its sites (federation/secagg/epoch_beacon.h), beside their training. The setup's threshold is then the fewest sites
// of a sum. Only an attempt of so many ready sites needs the beacon; where it does not come while stragglers are waited
// for, the attempt is made with kCompleteGraphMax of them.
//
// When a dealer's fault keeps a sum from being opened in R5, the round ends, and the next one repeats the sum: with
// exactly the other sites of it, who are shown the evidence with the task. It waits for all of them; each attempt that
// lacks one is tried again.
//
// Memory: one accumulator, and one staging vector for each site that is sending; a site is told to send only when
// a staging slot is free (staging_slots_max), and its vector enters the sum only when it is complete and signed for.
// So at most (1 + slots) · 4 · dimension bytes, whatever the number of sites.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "coordinator/aggregation/unmask.h"
#include "coordinator/round/sum_to_repeat.h"
#include "crypto/signature.h"
#include "federation/membership/roster.h"
#include "federation/messages/beacon_messages.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/envelope.h"
#include "federation/messages/message_kind.h"
#include "federation/messages/refusal_reason.h"
#include "federation/secagg/fixed_point.h"
#include "federation/secagg/parameters.h"
#include "federation/secagg/round_evidence.h"

namespace fovea::coordinator::round {

struct RoundLimits {
  std::int64_t training_progress_ms = 60'000;  // a training site silent for this long is not waited for
  std::int64_t straggler_ms = 30'000;  // after the cohort's smallest number is ready, wait this long for the rest
  std::int64_t phase_ms = 20'000;      // a phase without progress for this long goes on without the silent sites
  std::int64_t resend_ms = 2'000;      // unanswered requests are repeated
  std::int64_t round_ms = 3'600'000;   // without enough ready sites for this long, the round is aborted
  std::int64_t unmask_ms = 600'000;    // R5 cannot be retried, so it is waited for this long
  AttemptNumber attempts_max = 5;
  std::uint32_t threads = 1;                           // to check linear tags with
  std::size_t staging_bytes = std::size_t{256} << 20;  // slots = max(3, staging_bytes / vector bytes)
};

struct RoundSetup {
  RunId run;
  federation::membership::Roster roster;
  crypto::SigningKey key;                // the coordinator's, named in the roster
  federation::messages::TrainTask task;  // round, stage, hashes, seed
  std::vector<RosterIndex> invited;      // ascending; blamed sites of earlier rounds left out
  std::vector<RosterIndex> quiet;        // of those, not heard from lately: not waited for until they speak
  federation::secagg::Thresholds thresholds;
  std::uint32_t cohort_smallest = 0;
  std::uint32_t cohort_largest = 0;
  std::uint32_t delta_size = 0;  // trained floats
  double delta_max = 0;
  std::uint32_t weight_max = 0;
  // Of this roster, as far as it was drawn (RoundEffects::beacon).
  std::optional<federation::messages::BeaconTranscript> beacon{};
  // RoundAborted::repeat of the round before: `invited` are its sites, `task` is its task under the new number.
  std::optional<SumToRepeat> repeat{};
  bool verify_each_tag = false;  // RoundEffects::verify_each_tag of an earlier round
  RoundLimits limits;
};

// The most sites of a round: the plan's largest cohort, as far as the roster has that many, and kCompleteGraphMax where
// no neighbour graph is safe for the roster: a larger RoundSetup::cohort_largest is refused there.
std::uint32_t cohort_limit(std::size_t roster_sites, const federation::secagg::Thresholds& thresholds,
                           std::uint32_t largest);

// The roster under which this round's shares are being released, where the journal is past R4: the round can end under
// no other. None before. corruption names the record.
Result<std::optional<Digest>> roster_of_release(RoundNumber round, std::span<const Bytes> journal);

// ---- events
struct Begin {
  MonotonicMs now;
};
struct MessageReceived {  // any message of a site of the roster; hello makes the machine repeat what the site should do
  federation::messages::SignedMessage message;
};
struct BytesArriving {  // on the connection of a site's session: of messages that are not whole yet, too
  SiteId site;
  std::uint64_t bytes = 0;  // since the last event of this site
  MonotonicMs now;
};
struct UnmaskFinished {
  aggregation::UnmaskOutcome outcome;
};
struct Tick {
  MonotonicMs now;
};
using RoundEvent = std::variant<Begin, MessageReceived, BytesArriving, UnmaskFinished, Tick>;

// ---- effects
struct RoundOutbound {
  std::vector<SiteId> to;
  federation::messages::MessageKind kind = federation::messages::MessageKind::train_task;
  Bytes wire;
};

struct RoundResult {
  RoundNumber round = 0;
  AttemptNumber attempt = 0;
  Digest transcript{};
  federation::secagg::RoundEvidence evidence;
  federation::model::RoundSum sum;
  std::vector<Bytes> publication;    // sealed evidence and chunks of the sum, for every site now and when it catches up
  std::vector<SiteId> contributors;  // U3
  std::vector<SiteId> dropouts;      // ready for the last attempt, and not in the sum
};

struct RoundAborted {
  federation::messages::RefusalReason reason = federation::messages::RefusalReason::deadline_passed;
  std::string detail;
  RoundNumber next_round = 0;
  std::optional<SumToRepeat> repeat{};  // what the next round has to be; durable before that round begins
};

struct BlamedSite {
  SiteId site;
  federation::messages::RefusalReason reason = federation::messages::RefusalReason::malformed;
  std::vector<Bytes> evidence;  // signed messages that show it: its own, and those it contradicts
};

// Left out of the round's further attempts, because people at `accusers` sites have not accepted it yet.
struct SatOut {
  SiteId site;
  std::size_t accusers = 0;
};

struct RoundEffects {
  std::vector<Bytes> journal;  // 1
  std::optional<federation::messages::BeaconTranscript>
      beacon;                           // 1, durable too; for later rounds' setups under this roster
  std::optional<RoundResult> finished;  // 2
  // 3: the attempt that this step announces to its candidates, once; they may get its parameters again later
  std::optional<federation::secagg::RoundParameters> opened;
  std::vector<RoundOutbound> outbound;             // 3
  std::optional<aggregation::UnmaskInput> unmask;  // 4
  std::optional<RoundAborted> aborted;             // 5
  // A site sent a tag that is not that of its vector, and may do so again: verify each from now on, in later rounds
  // too.
  bool verify_each_tag = false;
  std::vector<BlamedSite> blamed;                        // leave it out of later rounds until an administrator decides
  std::vector<SatOut> sat_out;                           // each site once a round
  std::optional<federation::messages::Refusal> refusal;  // the message was refused
  std::vector<std::string> notices;                      // for the log
};

enum class RoundPhase {
  announced,
  collecting_keys,
  collecting_shares,
  collecting_masked,
  collecting_consistency,
  collecting_unmask,
  unmasking,
  finished,
  aborted,
};
std::string_view to_string(RoundPhase phase) noexcept;

// For "sum 7/20 · 3 of 4 masked · waiting for st-anna, 00:42 left", and while too few are willing for "needs 3, 2 can
// take part; ends in 59:37".
struct RoundProgress {
  RoundPhase phase = RoundPhase::announced;
  AttemptNumber attempt = 0;
  std::size_t answered = 0;
  std::size_t expected = 0;
  std::size_t needed = 0;    // to begin an attempt
  std::size_t possible = 0;  // who are ready or may yet be; once an attempt is under way, as many as are needed
  std::vector<SiteId> waiting_for;
  std::vector<std::pair<SiteId, federation::messages::RefusalReason>> refused;  // why these are not waited for
  std::int64_t left_ms = 0;                                                     // of the phase's deadline
  std::vector<std::pair<SiteId, std::uint16_t>> training_permille;
};

class RoundMachine {
 public:
  // `journal`: this round's earlier records; a machine that was past R4 under the setup's roster goes on with the same
  // attempt, any other starts the next attempt. invalid_argument names the field of a setup that no round could meet.
  static Result<RoundMachine> create(RoundSetup setup, std::span<const Bytes> journal);
  RoundMachine(RoundMachine&&) noexcept;
  RoundMachine& operator=(RoundMachine&&) noexcept;
  ~RoundMachine();

  RoundEffects step(RoundEvent event);

  RoundPhase phase() const noexcept;
  RoundProgress progress() const;

 private:
  struct Core;
  explicit RoundMachine(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace fovea::coordinator::round

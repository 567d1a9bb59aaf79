// A site's side of a round: R1 to R5 of secure aggregation as a pure machine. No clock, socket, file, thread or random
// source inside. The coordinator is not trusted: every rule of its messages is checked here, and what cannot be checked
// is never acted on. Paper: Bonawitz et al., CCS 2017, active variant.
//
// A driver loops:
//
//   auto machine = SiteMachine::create(std::move(config), journal_records).value();
//   perform(machine.step(Connected{}));
//   on a frame:        opened = SignedMessage::open(frame, coordinator);
//                      seed = opened->kind() == MessageKind::parameters ? a fresh random.secret_key() : none
//                      perform(machine.step(MessageReceived{std::move(*opened), std::move(seed), wall_time}));
//   perform(effects), strictly in field order:
//     1 append effects.journal to the journal of the run and sync, then effects.site_register to the register of the
//       site and sync
//     2 egress-close effects.abandoned, egress-open effects.joined, egress-intend, then send effects.outbound
//     3 start or cancel training   4 apply effects.verified_sum, then step(ModelAdopted{…}) at once
//     while (effects.more) perform(machine.step(Resume{}))
//
// step() never fails: a refused event has `refusal` set and leaves the state as it was (a message to tell the
// coordinator may be in outbound). Keys and seeds of an attempt live in memory only and are wiped at R4 or when it
// ends. A machine made from a journal sends recorded bytes only: before R4 it takes no further part in the attempt (and
// says so), after R4 it can still answer R5 with the release that its signed mark fixed. The journal therefore holds
// shares of other sites' secrets: mode 0600. The register holds no secret; it must never be older than the site:
// restored from a backup, it could allow a second release.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "crypto/signature.h"
#include "federation/membership/roster.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/envelope.h"
#include "federation/messages/refusal_reason.h"
#include "federation/secagg/fixed_point.h"
#include "federation/secagg/round_evidence.h"

namespace fovea::node::round {

// With one honest site in a sum, the sum less what the colluders sent is that site's own update.
inline constexpr std::uint32_t kHonestMin = 2;

// What a plan is refused with that no person has decided about.
inline federation::messages::Refusal nobody_approved() {
  return {federation::messages::RefusalReason::plan_not_approved, "nobody at this site approved the plan"};
}

// What the hospital demands, and the plan that it approved, whatever the coordinator says. Bounds: honest_min at least
// kHonestMin, cohort_min at least honest_min + colluders_max and at most federation::kCohortMax.
struct SitePolicy {
  std::uint32_t colluders_max = 0;  // m, absolute
  std::uint32_t honest_min = 0;     // h, absolute
  std::uint32_t cohort_min = 0;     // fewest sites in an attempt and in its sum: |U1|, |U2| and |U3|
  std::vector<Digest> plans_approved;
  // Roster entries (federation::membership::entry_digest) that a person here has accepted. Every other site of a round
  // but this one counts as a colluder, on top of m: whoever signs the roster could have invented it.
  std::set<Digest> acquainted{};
  std::uint32_t threshold_min = 0;  // the plan's t: of shares in the complete graph, of signatures in a sparse one
};
// invalid_argument names the value that is out of bounds.
Result<void> check_policy_bounds(const SitePolicy& policy);

struct SiteConfig {
  SiteId self;
  RunId run;
  federation::membership::Roster roster;  // names the coordinator's signing key too
  crypto::SigningKey identity;
  SitePolicy policy;
  std::string software;
  std::vector<federation::membership::Roster>
      rosters_past;                        // of earlier epochs, to check the sums of rounds that were missed
  std::uint32_t threads = 1;               // to check a published sum with
  std::size_t chunks_per_step = 2;         // masked chunks in one batch of effects: bounds memory to this many MB
  std::size_t chunks_asked_max = 8;        // in one request
  bool last_attempt_open = true;           // at the egress gate; if not, a restart brings none of it back
  std::int64_t hello_interval_ms = 5'000;  // say hello again when the coordinator was silent for this long
  std::int64_t hello_aside_ms = 600'000;   // the same while a greeting brings nothing: no plan, or no way to go on
};

// ---- events
struct Connected {};  // (re)connected: says hello, and resends what the coordinator may have missed
struct MessageReceived {
  federation::messages::SignedMessage message;
  std::optional<crypto::SecretKey> seed;  // fresh, for MessageKind::parameters only
  UnixMs at{};                            // wall time of its arrival: whether the roster is valid then
};
// What the approved plan says of the next sum: any other is refused, joined or published.
struct NextSum {
  std::uint32_t dimension = 0;  // ring words of a vector; 0 when the plan is complete: then no sum is taken
  double delta_max = 0;
  std::uint32_t weight_max = 0;
  std::uint32_t stage_index = 0;
  std::uint32_t stage_round = 0;  // from 1
  std::uint64_t seed = 0;         // federation::membership::training_seed
  bool operator==(const NextSum&) const = default;
};
// The site computed this model itself (initial weights, or an applied update).
struct ModelAdopted {
  RoundNumber round = 0;  // last sum in it; 0 for the initial weights
  Digest model_hash{};
  Digest transcript{};    // of that round; zero for the initial weights
  EpochNumber epoch = 0;  // of the roster of that round; 0 for the initial weights
  NextSum next{};
};
struct TrainingAdvanced {
  RoundNumber round = 0;
  std::uint16_t permille = 0;
};
struct TrainingFinished {
  RoundNumber round = 0;
  federation::model::LocalUpdate update;
  // The studies whose model-independent statistic the update is (ascending): each is released for one sum, ever.
  std::vector<federation::model::StudyTag> measured{};
};
struct TrainingFailed {
  RoundNumber round = 0;
};
// Plans approved or withdrawn, sites accepted, or another policy of the hospital. Without an approved plan everything
// in hand is given up: the training, the update, the attempt with its secrets, and what a signed mark could still
// release.
struct PolicyChanged {
  SitePolicy policy;
  // Where no plan is approved: the coordinator is told the reason of all that is refused for it, the log the words.
  federation::messages::Refusal why = nobody_approved();
  // An acceptance was taken back: what was joined before ends. Each step asks again who is in the sum, but not each
  // chunk that is under way.
  bool ends_attempt = false;
};
struct RosterAdopted {  // a newer epoch was verified; an attempt under the old one is abandoned
  federation::membership::Roster roster;
};
// One of an earlier epoch, under which a sum was made that this site missed. It decides about that sum alone.
struct PastRosterLearnt {
  federation::membership::Roster roster;
};
struct Resume {};  // the last batch of outbound was sent
struct Tick {
  MonotonicMs now;
};
using SiteEvent = std::variant<Connected, MessageReceived, ModelAdopted, TrainingAdvanced, TrainingFinished,
                               TrainingFailed, PolicyChanged, RosterAdopted, PastRosterLearnt, Resume, Tick>;

// ---- effects
struct SiteOutbound {
  federation::messages::MessageKind kind = federation::messages::MessageKind::hello;
  RoundNumber round = 0;      // 0: none
  AttemptNumber attempt = 0;  // 0: none
  Bytes wire;                 // the sealed envelope
};

// A verified sum to apply to the model whose hash the machine was told.
struct VerifiedSum {
  RoundNumber round = 0;
  Digest transcript{};
  EpochNumber epoch = 0;  // of the roster that the evidence names
  bool in_sum = false;    // this site's update is part of it
  federation::secagg::RoundEvidence evidence;
  federation::model::RoundSum sum;
};

struct SiteEffects {
  std::vector<Bytes> journal;                                 // 1
  std::vector<Bytes> site_register;                           // 1, after the journal
  std::optional<federation::messages::AttemptRef> abandoned;  // 2: nothing more leaves for this attempt
  std::optional<federation::secagg::RoundParameters> joined;  // 2: what is sent from here on belongs to this attempt
  std::vector<SiteOutbound> outbound;                         // 2
  bool cancel_training = false;                               // 3
  std::optional<federation::messages::TrainTask> start_training;  // 3
  std::optional<VerifiedSum> verified_sum;                        // 4
  // The next sum was made under a roster that this site never had: it cannot follow the run any further.
  std::optional<RoundNumber> cut_off;
  // By the coordinator's word, people at other sites have not accepted this one: it sits out the round.
  std::optional<RoundNumber> sits_out;
  bool more = false;                                     // feed Resume when outbound is sent
  std::optional<federation::messages::Refusal> refusal;  // the event was refused: log it as a warning
  std::optional<federation::messages::RefusalNotice> refused_by_coordinator;  // for the log: the event was this notice
  std::vector<std::string> notices;                                           // for the log; no secrets
};

enum class SitePhase {
  idle,
  training,
  ready,
  keys_sent,
  shares_sent,
  masked_sending,
  masked_sent,
  consistency_signed,
  unmasked,
};
std::string_view to_string(SitePhase phase) noexcept;

class SiteMachine {
 public:
  // `journal`: all records of earlier effects of this run, in order; `site_register`: those of every run of the site.
  // invalid_argument: not in the roster, a key that is not the roster's, a policy out of bounds; corruption: an
  // unreadable record.
  static Result<SiteMachine> create(SiteConfig config, std::span<const Bytes> journal,
                                    std::span<const Bytes> site_register = {});
  SiteMachine(SiteMachine&&) noexcept;
  SiteMachine& operator=(SiteMachine&&) noexcept;
  ~SiteMachine();

  SiteEffects step(SiteEvent event);

  SitePhase phase() const noexcept;
  RoundNumber round() const noexcept;       // of the current task; 0 in idle
  AttemptNumber attempt() const noexcept;   // of the current attempt; 0 before R1
  RoundNumber last_round() const noexcept;  // last sum adopted

 private:
  struct Core;
  explicit SiteMachine(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace fovea::node::round

// The state of SiteMachine: its phases, and what outlives a phase. Included by node/round/*.cpp only.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/contains.h"
#include "common/ids.h"
#include "common/overloaded.h"
#include "crypto/key_agreement.h"
#include "crypto/linear_hash.h"
#include "crypto/mask_stream.h"
#include "crypto/secret_bytes.h"
#include "crypto/signature.h"
#include "federation/membership/roster.h"
#include "federation/messages/attempt_ref.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/message_kind.h"
#include "federation/messages/refusal_reason.h"
#include "federation/messages/vector_chunk.h"
#include "federation/model/local_update.h"
#include "federation/secagg/dealer_fault.h"
#include "federation/secagg/masking.h"
#include "federation/secagg/parameters.h"
#include "federation/secagg/statements.h"
#include "node/round/site_machine.h"
#include "node/round/site_marks.h"

namespace fovea::node::round {

// A trained update, and the task it answers.
struct TrainedUpdate {
  federation::messages::TrainTask task;
  federation::model::LocalUpdate update;
  Digest digest{};  // federation::update_digest: stays when the update is let go
};

// One attempt's public context and secrets. Wiped with the phase that owns it.
struct Attempt {
  federation::secagg::AttemptContext context;
  federation::secagg::AttemptSecrets secrets;
};

// R3.
struct MaskedAttempt {
  TrainedUpdate trained;
  Attempt attempt;
  std::vector<federation::secagg::HeldShares> held;  // one for each site of U2 that shares with this one
  std::vector<RosterIndex> survivors;                // U2
  std::vector<crypto::MaskKey> masks;
};

struct Idle {};
struct Training {
  federation::messages::TrainTask task;
  RoundNumber started_round = 0;  // the round under whose number the training was started
};
struct Ready {
  TrainedUpdate trained;
};
struct KeysSent {
  TrainedUpdate trained;
  Attempt attempt;
  SiteOutbound sent;
};
struct SharesSent {
  TrainedUpdate trained;
  Attempt attempt;
  std::optional<federation::secagg::HeldShares> own;  // none in a sparse graph
  SiteOutbound sent;
};
struct MaskedSending {
  MaskedAttempt masked;
  federation::secagg::VectorHash hash;
  crypto::LinearHash tag;
  std::size_t chunk_next = 0;
};
struct MaskedSent {
  MaskedAttempt masked;
  federation::messages::CommittedVector own;
  SiteOutbound sent;  // the statement
};
// Every secret of the attempt is wiped: what R5 needs is in the signed mark.
struct ConsistencySigned {
  TrainedUpdate trained;
  federation::messages::AttemptRef ref;
};
// The update is kept until the sum is published: should a dealer's fault be shown, the sum is repeated with the same
// one.
struct Unmasked {
  TrainedUpdate trained;
  federation::messages::AttemptRef ref;
};
// Phases with no attempt in memory. After a restart the journal may still answer for the attempt before.
template <class P>
concept BetweenAttempts = std::same_as<P, Idle> || std::same_as<P, Training> || std::same_as<P, Ready>;

using Phase =
    std::variant<Idle, Training, Ready, KeysSent, SharesSent, MaskedSending, MaskedSent, ConsistencySigned, Unmasked>;

// The dealers of one released attempt whose fault this site has checked. In memory only: the coordinator shows them
// again.
struct ProvenFaults {
  federation::messages::AttemptRef ref;
  std::vector<RosterIndex> dealers;                            // ascending
  std::optional<federation::messages::RefusalReason> refused;  // of evidence that did not hold
};

// A published sum that is arriving.
struct IncomingSum {
  federation::secagg::RoundEvidence evidence;
  federation::messages::AttemptRef ref;
  EpochNumber epoch = 0;
  bool in_sum = false;
  std::vector<std::uint32_t> words;
  std::vector<std::optional<Digest>> chunks;  // payload digest of each that has come
  std::vector<std::uint16_t> carries;         // of Σ y, as many as words
  std::vector<bool> carry_chunks;             // which have come
  crypto::LinearTagSum tags;                  // of those that have come
  std::vector<bool> tags_arrived;             // by place in U3
  std::size_t missing = 0;                    // chunks, carries and tags
};

// A coordinator stops after a dozen rounds in a row without a sum, until a person starts it again. A site that followed
// round numbers without bound could be led to the last one, after which no round can come.
inline constexpr RoundNumber kRoundsAheadMax = 10'000;

struct SiteMachine::Core {
  SiteConfig config;
  RosterIndex self = 0;
  bool on_roster = false;
  SiteMemory memory;
  ModelAdopted model;
  bool has_model = false;
  std::optional<federation::messages::AttemptRef>
      abandoned;  // joined, then given up by the coordinator: its statement is void
  // What a withdrawal interrupted, said again at each connection until a plan is approved.
  std::optional<federation::messages::AttemptFailure> withdrawn;
  federation::messages::Refusal without_plan = nobody_approved();  // why no plan is approved, where none is
  std::optional<Digest> wanted_model;  // of a task refused for it: the coordinator is told when this model is here
  // The coordinator heard, on this connection, that this site cannot take the next sum of the run.
  bool cut_off_said = false;
  // The roster that the next sum was made under, while this site does not have it and stands where it stood.
  std::optional<Digest> roster_lacking{};
  Phase phase;
  std::optional<IncomingSum> incoming;
  ProvenFaults faults;
  std::deque<std::vector<crypto::AgreementPublicKey>> keys_seen;  // of the latest attempts, each sorted
  MonotonicMs now;
  MonotonicMs heard;    // when the coordinator last said something, or we last said hello
  SiteEffects effects;  // of the running step
  UnixMs wall{};        // when the message in hand arrived
  mutable crypto::VerifiedSignatures verified{};

  // site_machine.cpp: one function per event
  void on(Connected);
  void on(MessageReceived event);
  void on(const ModelAdopted& event);
  void on(TrainingAdvanced event);
  void on(TrainingFinished event);
  void on(TrainingFailed event);
  void on(PolicyChanged event);
  void on(RosterAdopted event);
  void on(PastRosterLearnt);
  void on(Resume);
  void on(Tick event);
  void on_train_task(const federation::messages::SignedMessage& message);
  bool has_plan() const noexcept { return !config.policy.plans_approved.empty(); }
  // Every greeting would cost an entry of the ledger at both ends, and be answered with a task that is refused, or not
  // at all. What ends this is greeted at once: an approval, a roster or a connection; a new model after a short
  // silence.
  bool stands_aside() const noexcept { return !has_plan() || roster_lacking.has_value(); }
  bool is_approved(const Digest& plan) const noexcept { return contains(config.policy.plans_approved, plan); }
  // Of a plan that is not: another one than the approved, or why none is any more.
  federation::messages::Refusal refusal_of_plan() const { return has_plan() ? nobody_approved() : without_plan; }
  void withdraw();
  void void_attempt();
  void refuse_withdrawn(const federation::messages::SignedMessage& message);
  void give_up_attempt(federation::messages::RefusalReason why);
  void on_abandoned(const federation::messages::SignedMessage& message);
  void on_notice(const federation::messages::SignedMessage& message);

  // site_attempt.cpp: R0 to R3
  void on_parameters(const federation::messages::SignedMessage& message, std::optional<crypto::SecretKey> seed);
  void on_key_list(const federation::messages::SignedMessage& message);
  void on_routed_shares(const federation::messages::SignedMessage& message);
  void on_chunk_request(const federation::messages::SignedMessage& message);
  void join(federation::secagg::RoundParameters parameters, crypto::SecretKey seed);
  void deal_shares(KeysSent& from, federation::messages::KeyList list);
  void start_masking(SharesSent& from, federation::messages::RoutedShares routed);
  void send_chunks(MaskedSending& from);
  std::optional<federation::messages::Refusal> check_parameters(const federation::secagg::RoundParameters& p,
                                                                const TrainedUpdate& trained) const;
  // The rules that hold for a round whoever speaks of it: the coordinator in R0 and R1, or the evidence of a published
  // sum. `roster` is the one named in P; a sum published under a roster whose beacon was drawn without this site may
  // name any.
  enum class Speech { announced, published };
  // What a site demands of n sites: that c of them work with the coordinator, and that h honest ones are mixed.
  struct Demand {
    std::size_t sites = 0;
    std::uint32_t colluders_max = 0;
    std::uint32_t honest_min = 0;
  };
  std::optional<federation::messages::Refusal> check_counts(const federation::secagg::RoundParameters& p,
                                                            const Demand& demand,
                                                            const federation::membership::Roster& roster,
                                                            Speech speech) const;
  std::optional<federation::messages::Refusal> check_graph(const federation::secagg::RoundParameters& p,
                                                           std::uint32_t colluders_max,
                                                           const federation::membership::Roster& roster,
                                                           Speech speech) const;
  std::optional<federation::messages::Refusal> check_plan(const federation::secagg::RoundParameters& p) const;
  std::optional<federation::messages::Refusal> check_round_number(RoundNumber round) const;
  std::optional<federation::messages::Refusal> check_joined_round(RoundNumber round) const;
  std::optional<federation::messages::Refusal> check_round_unreleased(RoundNumber round) const;
  // Enough sites in all, and enough of this site's neighbours among them, to go on to the next step.
  std::optional<federation::messages::Refusal> check_neighbourhood(const federation::secagg::AttemptContext& context,
                                                                   std::span<const RosterIndex> sites,
                                                                   std::string_view set) const;

  // site_acquaintance.cpp: who is in the sum
  std::vector<RosterIndex> unacquainted(std::span<const RosterIndex> sites,
                                        const federation::membership::Roster& roster) const;
  // Of U0, or U1 of an attempt or a published sum.
  std::optional<federation::messages::Refusal> check_demands(const federation::secagg::RoundParameters& p,
                                                             std::span<const RosterIndex> sites,
                                                             const federation::membership::Roster& roster,
                                                             Speech speech) const;
  // Of U2 and U3.
  std::optional<federation::messages::Refusal> check_survivors(const federation::secagg::AttemptContext& context,
                                                               std::span<const RosterIndex> sites,
                                                               std::string_view set) const;
  std::optional<federation::messages::Refusal> check_cohort(std::size_t sites, std::string_view set) const;
  std::optional<federation::messages::Refusal> check_roster_valid() const;
  std::optional<federation::messages::Refusal> check_key_list(const KeysSent& from,
                                                              const federation::messages::KeyList& list) const;
  std::optional<federation::messages::Refusal> check_routed(const SharesSent& from,
                                                            const federation::messages::RoutedShares& routed) const;
  federation::messages::SealedPayload make_chunk(const MaskedAttempt& masked, std::size_t index,
                                                 std::vector<std::uint32_t>& words) const;

  // site_repeat.cpp: one release per model, unless a dealer's fault is shown
  void on_dealer_fault(const federation::messages::SignedMessage& message);
  std::optional<federation::messages::Refusal> check_fault(const federation::secagg::DealerFault& fault,
                                                           const ReleasedMark& released) const;
  const Release* release_on(const Digest& model_hash) const;
  bool may_repeat(const Release& release) const;
  federation::messages::Refusal refuse_released(const Release& release) const;
  std::optional<federation::messages::Refusal> check_task_unreleased(const Digest& model_hash) const;
  std::optional<federation::messages::Refusal> check_unreleased(const SignedMark& statement) const;
  std::optional<federation::messages::Refusal> check_statistic(
      const Digest& model_hash, std::span<const federation::model::StudyTag> studies) const;
  std::optional<federation::messages::Refusal> check_repeated(const federation::secagg::RoundParameters& p,
                                                              const TrainedUpdate& trained) const;

  // site_beacon.cpp: the roster's beacon
  void on_beacon_request(const federation::messages::SignedMessage& message);
  void on_beacon_commitments(const federation::messages::SignedMessage& message);
  void on_beacon(const federation::messages::SignedMessage& message);

  // site_unmask.cpp: R4 and R5
  void on_consistency_request(const federation::messages::SignedMessage& message);
  void on_unmask_request(const federation::messages::SignedMessage& message);
  void sign_consistency(MaskedSent& from, const federation::messages::ConsistencyRequest& request,
                        const Digest& request_digest);
  SiteOutbound make_release(const MaskedSent& from, std::span<const RosterIndex> committed) const;
  void release_shares(const federation::messages::SignedMessage& message,
                      const federation::messages::UnmaskRequest& request);
  void resend_signature(const federation::messages::SignedMessage& message,
                        const federation::messages::AttemptRef& ref);
  std::optional<federation::messages::Refusal> check_consistency(
      const MaskedSent& from, const federation::messages::ConsistencyRequest& request) const;
  std::optional<federation::messages::Refusal> check_unmask(const SignedMark& statement,
                                                            const federation::messages::UnmaskRequest& request) const;

  // site_sum.cpp: the sum
  void lose_run(RoundNumber round, const Digest& roster);
  void on_evidence(const federation::messages::SignedMessage& message);
  std::optional<federation::messages::Refusal> check_published(const federation::secagg::RoundEvidence& evidence) const;
  void on_aggregate_tags(const federation::messages::SignedMessage& message);
  void on_aggregate_carries(const federation::messages::SignedMessage& message);
  void on_aggregate_chunk(const federation::messages::SignedMessage& message);
  void note_arrived(std::size_t parts);  // of the incoming sum, which is finished with the last
  void finish_sum();
  const federation::membership::Roster* roster_named(const Digest& hash) const;

  // site_core.cpp
  void refuse(federation::messages::RefusalReason reason, std::string detail);
  void refuse(federation::messages::Refusal refusal) { refuse(refusal.reason, std::move(refusal.detail)); }
  void refuse_unexpected(const federation::messages::SignedMessage& message);
  // A request of an attempt whose secrets are gone: the coordinator is told, so that it need not wait.
  void refuse_forgotten(const federation::messages::SignedMessage& message,
                        const federation::messages::AttemptRef& ref);
  void report_failure(const federation::messages::AttemptRef& ref, federation::messages::RefusalReason reason,
                      std::optional<RosterIndex> accused = {});
  void mark(SiteMark mark);                      // in the journal of the run
  void register_mark(SiteMark mark);             // in the register of the site
  void complete_register();                      // what a crash kept from it
  void close_attempts(const ClosedMark& up_to);  // their shares are not needed any more
  void erase_given_up();                         // of the attempt that was given up, for whatever reason
  SiteOutbound seal(federation::messages::MessageKind kind, ByteView payload,
                    const federation::messages::AttemptRef& ref) const;
  void send(SiteOutbound message) { effects.outbound.push_back(std::move(message)); }
  void say_hello();
  void say_ready(const federation::messages::TrainTask& task);
  // The update of a phase that still has one; null otherwise. `take` leaves the phase without it.
  const TrainedUpdate* trained_update() const noexcept;
  std::optional<TrainedUpdate> take_trained_update();
  const Attempt* attempt() const noexcept;
  // The attempt joined last, unless the coordinator gave it up: the one that the egress gate has open.
  bool is_open(const federation::messages::AttemptRef& ref) const noexcept {
    return memory.joined && memory.joined->ref == ref && abandoned != ref;
  }
  void abandon_attempt();  // back to ready, secrets wiped; idle where there is no update left
  bool knows(RosterIndex site) const noexcept { return site < config.roster.sites.size(); }
  bool has_signed(RosterIndex site, const Digest& statement, const crypto::Signature& signature) const {
    return verified.check(config.roster.sites[site].identity_key, statement, signature) ==
           crypto::SignatureVerdict::valid;
  }
};

// The common opening checks of a message within an attempt.
std::optional<federation::messages::Refusal> check_ref(const federation::messages::AttemptRef& ref,
                                                       const federation::secagg::AttemptContext& context);

}  // namespace fovea::node::round

// The inside of RoundMachine: its phases, and the state that outlasts a phase. Included by coordinator/round/*.cpp
// only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/contains.h"
#include "common/ids.h"
#include "common/overloaded.h"
#include "coordinator/round/round_machine.h"
#include "crypto/key_agreement.h"
#include "crypto/linear_hash.h"
#include "crypto/signature.h"
#include "federation/messages/attempt_ref.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/message_kind.h"
#include "federation/messages/refusal_reason.h"
#include "federation/messages/site_messages.h"
#include "federation/messages/vector_chunk.h"
#include "federation/secagg/dealer_fault.h"
#include "federation/secagg/epoch_beacon.h"
#include "federation/secagg/masking.h"
#include "federation/secagg/parameters.h"
#include "federation/secagg/statements.h"

namespace fovea::coordinator::round {

inline constexpr const char* kNeedsNewSeed =
    " No further round can follow on this model; make a plan with another seed, which the hospitals then approve";

std::string count_of_sites(std::size_t sites);  // "1 site", "3 sites"

// What a site is doing about this round's task.
enum class Readiness { awaited, training, ready, failed };

struct Trainee {
  Readiness readiness = Readiness::awaited;
  bool final_failure = false;                                    // it will not take part in this round
  std::optional<federation::messages::RefusalReason> failure{};  // the last it gave
  std::uint16_t permille = 0;
  MonotonicMs heard;
};

// One site's masked vector on its way in.
struct IncomingVector {
  bool granted = false;  // it was told to send, and holds a staging slot
  std::vector<std::uint32_t> words;
  std::vector<std::optional<Digest>> chunks;
  std::size_t missing = 0;
  std::optional<federation::messages::MaskedStatement> statement;
  Bytes statement_wire;
  MonotonicMs progress;
  MonotonicMs asked;
  std::uint64_t arriving = 0;          // bytes that are no progress yet
  std::uint64_t arriving_allowed = 0;  // that may still become some, without a whole chunk among them
};

// An attempt whose U3 is fixed.
struct CommittedAttempt {
  federation::secagg::AttemptContext context;
  std::vector<aggregation::DealerCommitments> dealers;
  std::vector<RosterIndex> survivors;                            // U2
  std::vector<federation::messages::CommittedVector> committed;  // U3
  std::vector<crypto::LinearTag> tags;                           // of their vectors, in the same order
  std::vector<std::uint32_t> sum;                                // Σ y mod 2^32; empty while a worker has it
  std::vector<std::uint16_t> carries;                            // Σ y as integers is sum + 2^32 · carries
};

struct Announced {
  MonotonicMs since;
  std::optional<MonotonicMs> quorum;  // when the smallest cohort was ready
};
struct CollectingKeys {
  federation::secagg::AttemptContext context;
  std::map<RosterIndex, federation::messages::AdvertisedKeys> keys;
  std::set<RosterIndex> gone;
};
struct CollectingShares {
  federation::secagg::AttemptContext context;
  std::map<RosterIndex, aggregation::DealerCommitments> dealers;
  std::set<RosterIndex> gone;
};
struct CollectingMasked {
  federation::secagg::AttemptContext context;
  std::vector<aggregation::DealerCommitments> dealers;
  std::vector<RosterIndex> survivors;
  std::map<RosterIndex, IncomingVector> incoming;  // of sites that are neither in the sum nor gone
  std::map<RosterIndex, federation::messages::CommittedVector> committed;
  std::map<RosterIndex, crypto::LinearTag> tags;  // of those
  std::vector<std::uint32_t> sum;
  std::vector<std::uint16_t> carries;
};
struct CollectingConsistency {
  CommittedAttempt attempt;
  Digest statement{};
  std::map<RosterIndex, crypto::Signature> signatures;
  std::set<RosterIndex> gone;
};
struct CollectingUnmask {
  CommittedAttempt attempt;
  std::vector<federation::messages::SiteSignature> signatures;
  std::map<RosterIndex, std::vector<federation::messages::RevealedShare>> responses;
  std::set<RosterIndex> gone;
  std::size_t tried = 0;     // responses in the last try that was not enough
  std::size_t openable = 0;  // of the survivors, from the first on: t of those who hold their shares have answered
  MonotonicMs since;
};
struct Unmasking {
  CollectingUnmask from;  // without the sum
};
struct Finished {};
struct Aborted {};
using Phase = std::variant<Announced, CollectingKeys, CollectingShares, CollectingMasked, CollectingConsistency,
                           CollectingUnmask, Unmasking, Finished, Aborted>;

struct RoundMachine::Core {
  RoundSetup setup;
  AttemptNumber attempt = 0;
  Phase phase;
  std::map<RosterIndex, Trainee> trainees;
  std::set<RosterIndex> excluded;                            // blamed, or the accused of a dispute
  std::set<std::pair<RosterIndex, RosterIndex>> disputes;    // (lower, higher)
  std::set<crypto::AgreementPublicKey> keys_seen;            // of earlier attempts
  std::map<RosterIndex, std::set<RosterIndex>> strangers{};  // a site, and those that refused P for not knowing it
  std::map<RosterIndex, Bytes> share_wires;                  // of the current attempt: evidence
  std::map<RosterIndex, Bytes> unmask_wires;
  bool verify_each_tag = false;                    // of a masked vector, when it has come
  federation::secagg::NeighbourCounts neighbours;  // k and t of the sparse graph, where there may be one
  std::optional<federation::messages::BeaconTranscript> beacon;
  std::map<RosterIndex, federation::messages::BeaconCommitment> beacon_commitments;
  std::map<RosterIndex, federation::messages::BeaconNonce> beacon_nonces;
  MonotonicMs now;
  MonotonicMs progress;  // last accepted answer of the phase
  MonotonicMs asked;     // last (re)sending of the phase's request
  RoundEffects effects;

  // round_machine.cpp
  void on(Begin event);
  void on(MessageReceived event);
  void on(const BytesArriving& event);
  void on(UnmaskFinished event);
  void on(Tick event);
  void on_failure(const federation::messages::SignedMessage& message, RosterIndex site);
  void on_hello(const federation::messages::SignedMessage& message, RosterIndex site);
  void drop(RosterIndex site);  // it will not answer in the current phase
  void ask_again(RosterIndex site);
  void repeat_requests();
  void close_phase_at_deadline();

  // round_training.cpp
  void on_training_progress(const federation::messages::SignedMessage& message, RosterIndex site);
  void on_training_ready(const federation::messages::SignedMessage& message, RosterIndex site);
  void announce(const std::vector<RosterIndex>& sites);
  void consider_start();
  bool ends_for_lack_of_sites();
  // Of the plan; when a sum is repeated, exactly all of those it is repeated with.
  std::size_t cohort_min() const { return setup.repeat ? setup.invited.size() : setup.cohort_smallest; }
  std::size_t cohort_max() const { return setup.repeat ? setup.invited.size() : setup.cohort_largest; }
  void start_attempt(std::vector<RosterIndex> candidates);
  void retry(federation::messages::RefusalReason reason, const std::string& detail);
  void abort(federation::messages::RefusalReason reason, const std::string& detail);
  std::vector<RosterIndex> ready_sites() const;
  // Whether to go on waiting: for sites that still train, or for the beacon where more sites are ready than the
  // complete graph takes.
  bool waits_for_stragglers(const Announced& announced, std::size_t sites) const;
  // At most `most` of the ready sites, by turns from round to round.
  std::vector<RosterIndex> choose_cohort(std::vector<RosterIndex> ready, std::size_t most) const;
  bool is_awaited(RosterIndex site, const Trainee& trainee) const;

  // round_beacon.cpp: the roster's beacon
  bool may_need_beacon() const { return setup.cohort_largest > federation::messages::kCompleteGraphMax; }
  bool has_beacon() const { return beacon && !beacon->nonces.empty(); }
  void on_beacon_commitment(const federation::messages::SignedMessage& message, RosterIndex site);
  void on_beacon_nonce(const federation::messages::SignedMessage& message, RosterIndex site);
  // Asks `sites` for what they still owe the beacon, or shows them the finished one.
  void ask_beacon(const std::vector<RosterIndex>& sites);
  std::vector<RosterIndex> beacon_silent() const;  // sites that have not answered yet
  federation::secagg::GraphParameters graph_parameters() const;

  // round_keys.cpp: R1 and R2
  void on_keys(const federation::messages::SignedMessage& message, RosterIndex site);
  void on_shares(const federation::messages::SignedMessage& message, RosterIndex site);
  void consider_keys(bool deadline);
  void consider_shares(bool deadline);
  bool may_dispute(RosterIndex accuser, RosterIndex accused) const;
  bool waits_for_person(federation::messages::RefusalReason reason) const;
  void dispute(RosterIndex accuser, RosterIndex accused);
  void note_stranger(RosterIndex accuser, RosterIndex stranger);

  // round_masked.cpp: R3
  void on_masked_chunk(const federation::messages::SignedMessage& message, RosterIndex site);
  void on_masked_statement(const federation::messages::SignedMessage& message, RosterIndex site);
  void finish_vector(CollectingMasked& masked, RosterIndex site);
  void grant_vectors(CollectingMasked& masked);
  void send_routed(const CollectingMasked& masked, RosterIndex site);
  void consider_masked();
  void leave_silent_out(CollectingMasked& masked);
  void request_missing(CollectingMasked& masked, RosterIndex site, IncomingVector& vector);
  std::size_t staging_slots() const;

  // round_unmask.cpp: R4, R5 and the sum
  void on_consistency_signature(const federation::messages::SignedMessage& message, RosterIndex site);
  void on_unmask_shares(const federation::messages::SignedMessage& message, RosterIndex site);
  void consider_consistency(bool deadline);
  void consider_unmask();
  void finish(Unmasking from, aggregation::UnmaskOutcome outcome);
  void publish_tags(const CommittedAttempt& attempt_, std::vector<Bytes>& publication) const;
  Digest publish_words(const CommittedAttempt& attempt_, std::span<const std::uint32_t> sum,
                       std::vector<Bytes>& publication) const;
  void end_at_fault(const CommittedAttempt& attempt_, const std::vector<aggregation::BadDealing>& dealings);
  std::optional<federation::secagg::DealerFault> describe_fault(const CommittedAttempt& attempt_,
                                                                const aggregation::BadDealing& dealing) const;
  void ask_consistency(const CollectingConsistency& phase_, const std::vector<RosterIndex>& to);
  void ask_unmask(const CollectingUnmask& phase_, const std::vector<RosterIndex>& to);

  // round_core.cpp
  void refuse(federation::messages::RefusalReason reason, std::string detail);
  void refuse_to(RosterIndex site, const federation::messages::SignedMessage& message,
                 federation::messages::RefusalReason reason, std::string detail);
  void blame(RosterIndex site, federation::messages::RefusalReason reason, std::vector<Bytes> evidence);
  Bytes seal(federation::messages::MessageKind kind, ByteView payload) const;
  void send(const std::vector<RosterIndex>& to, federation::messages::MessageKind kind, ByteView payload);
  const SiteId& id_of(RosterIndex site) const { return setup.roster.sites[site].id; }
  const crypto::VerifyKey& key_of(RosterIndex site) const { return setup.roster.sites[site].identity_key; }
  const federation::secagg::AttemptContext* context() const noexcept;
  // Whether `ref` is the current attempt; refuses otherwise.
  bool is_current(const federation::messages::AttemptRef& ref, const federation::messages::SignedMessage& message,
                  RosterIndex site);
};

// Removes from `sites` whoever has fewer than t neighbours left in it, until all have enough. Returns the removed.
std::vector<RosterIndex> prune_isolated(const federation::secagg::AttemptContext& context,
                                        std::vector<RosterIndex>& sites);

}  // namespace fovea::coordinator::round

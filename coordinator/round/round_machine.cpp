#include "coordinator/round/round_machine.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>

#include "common/contains.h"
#include "coordinator/round/round_core.h"
#include "coordinator/round/round_marks.h"
#include "federation/messages/attempt_ref.h"

namespace fovea::coordinator::round {

using federation::messages::MessageKind;
using federation::messages::RefusalReason;

namespace {

Result<void> check_setup(const RoundSetup& setup) {
  if (setup.key.verify_key() != setup.roster.coordinator_signing_key)
    return invalid_argument("setup.key: not the coordinator's signing key of the roster");
  if (setup.task.round == 0) return invalid_argument("setup.task.round: counts from 1");
  if (setup.cohort_smallest < 2 || setup.cohort_largest < setup.cohort_smallest ||
      setup.cohort_largest > federation::messages::kCohortMax)
    return invalid_argument("setup.cohort: smallest at least 2, largest at least smallest and at most " +
                            std::to_string(federation::messages::kCohortMax));
  if (setup.invited.size() < setup.cohort_smallest)
    return invalid_argument("setup.invited: fewer sites than the smallest cohort");
  for (std::size_t i = 0; i < setup.invited.size(); ++i)
    if (setup.invited[i] >= setup.roster.sites.size() || (i > 0 && setup.invited[i] <= setup.invited[i - 1]))
      return invalid_argument("setup.invited: roster indices, strictly ascending");
  const federation::secagg::Thresholds& t = setup.thresholds;
  if (t.threshold < t.colluders_max + t.honest_min)
    return invalid_argument("setup.thresholds: threshold - m must be at least h");
  if (t.threshold > setup.cohort_smallest)
    return invalid_argument("setup.thresholds: threshold above the smallest cohort");
  if (federation::secagg::threshold_min(setup.cohort_smallest, t.colluders_max) > setup.cohort_smallest)
    return invalid_argument("setup.thresholds: no threshold is safe for the smallest cohort with this m");
  if (setup.repeat && (setup.invited != setup.repeat->sites || setup.roster.hash != setup.repeat->roster))
    return invalid_argument("setup.repeat: a sum is repeated with exactly its sites, under its roster");
  if (setup.delta_size == 0) return invalid_argument("setup.delta_size: at least 1");
  if (auto encoding = federation::secagg::make_encoding(setup.cohort_largest, setup.delta_max, setup.weight_max);
      !encoding)
    return std::move(encoding).error();
  if (setup.limits.attempts_max == 0 || setup.limits.phase_ms <= 0 || setup.limits.resend_ms <= 0)
    return invalid_argument("setup.limits: must be above 0");
  return {};
}

// k and t for as many colluders as the plan assumes, and as many drop-outs as the smallest sum allows.
Result<federation::secagg::NeighbourCounts> choose_graph(std::size_t roster_sites,
                                                         const federation::secagg::Thresholds& thresholds) {
  const auto sites = static_cast<std::uint32_t>(roster_sites);
  return federation::secagg::choose_neighbours(
      {.sites = sites,
       .corrupt_max = thresholds.colluders_max,
       .dropped_max = sites - std::min<std::uint32_t>(sites, thresholds.threshold),
       .security_bits = federation::secagg::kGraphSecurityBits,
       .correctness_bits = federation::secagg::kGraphCorrectnessBits});
}

}  // namespace

std::uint32_t cohort_limit(std::size_t roster_sites, const federation::secagg::Thresholds& thresholds,
                           std::uint32_t largest) {
  const auto limit = static_cast<std::uint32_t>(std::min<std::size_t>(roster_sites, largest));
  const bool sparse = limit > federation::messages::kCompleteGraphMax;
  return sparse && !choose_graph(roster_sites, thresholds) ? federation::messages::kCompleteGraphMax : limit;
}

Result<std::optional<Digest>> roster_of_release(RoundNumber round, std::span<const Bytes> journal) {
  FOVEA_TRY_ASSIGN(const RoundMemory memory, restore_round(round, journal));
  if (!memory.unmask) return std::optional<Digest>();
  return std::optional(memory.unmask->attempt.context.parameters.roster_hash);
}

RoundMachine::RoundMachine(std::unique_ptr<Core> core) : core_(std::move(core)) {}
RoundMachine::RoundMachine(RoundMachine&&) noexcept = default;
RoundMachine& RoundMachine::operator=(RoundMachine&&) noexcept = default;
RoundMachine::~RoundMachine() = default;

Result<RoundMachine> RoundMachine::create(RoundSetup setup, std::span<const Bytes> journal) {
  FOVEA_TRY(check_setup(setup));
  federation::secagg::NeighbourCounts neighbours;  // none where every cohort is small enough for the complete graph
  if (setup.cohort_largest > federation::messages::kCompleteGraphMax) {
    FOVEA_TRY_ASSIGN(neighbours, choose_graph(setup.roster.sites.size(), setup.thresholds));
  }
  FOVEA_TRY_ASSIGN(RoundMemory memory, restore_round(setup.task.round, journal));
  auto core = std::make_unique<Core>(Core{.setup = std::move(setup),
                                          .attempt = memory.attempt_last,
                                          .phase = Announced{},
                                          .trainees = {},
                                          .excluded = {},
                                          .disputes = {},
                                          .keys_seen = {},
                                          .share_wires = {},
                                          .unmask_wires = {},
                                          .verify_each_tag = {},
                                          .neighbours = neighbours,
                                          .beacon = {},
                                          .beacon_commitments = {},
                                          .beacon_nonces = {},
                                          .now = {},
                                          .progress = {},
                                          .asked = {},
                                          .effects = {}});
  core->verify_each_tag = core->setup.verify_each_tag;
  for (const RosterIndex site : core->setup.invited) core->trainees.emplace(site, Trainee{});
  if (core->setup.beacon && core->setup.beacon->commitments.roster == core->setup.roster.hash)
    core->beacon = core->setup.beacon;
  if (memory.unmask && memory.unmask->attempt.context.parameters.roster_hash == core->setup.roster.hash) {
    core->attempt = memory.unmask->attempt.context.parameters.attempt;
    core->phase = std::move(*memory.unmask);
    core->share_wires = std::move(memory.share_wires);
  }
  return RoundMachine(std::move(core));
}

RoundEffects RoundMachine::step(RoundEvent event) {
  core_->effects = {};
  std::visit([this](auto&& e) { core_->on(std::forward<decltype(e)>(e)); }, std::move(event));
  return std::move(core_->effects);
}

RoundPhase RoundMachine::phase() const noexcept { return static_cast<RoundPhase>(core_->phase.index()); }

RoundProgress RoundMachine::progress() const {
  RoundProgress out;
  out.phase = phase();
  out.attempt = core_->attempt;
  std::vector<RosterIndex> asked;
  std::set<RosterIndex> done;
  std::int64_t deadline = core_->progress.value + core_->setup.limits.phase_ms;
  const auto keys_of = [](const auto& map, std::set<RosterIndex>& into) {
    for (const auto& entry : map) into.insert(entry.first);
  };
  std::visit(Overloaded{
                 [&](const Announced& p) {
                   for (const auto& [site, trainee] : core_->trainees) {
                     if (core_->excluded.contains(site)) continue;
                     asked.push_back(site);
                     out.possible += trainee.readiness == Readiness::failed ? 0U : 1U;
                     if (trainee.readiness == Readiness::ready) done.insert(site);
                     out.training_permille.emplace_back(core_->id_of(site), trainee.permille);
                   }
                   deadline = p.quorum ? p.quorum->value + core_->setup.limits.straggler_ms
                                       : p.since.value + core_->setup.limits.round_ms;
                 },
                 [&](const CollectingKeys& p) {
                   asked = p.context.parameters.candidates;
                   keys_of(p.keys, done);
                 },
                 [&](const CollectingShares& p) {
                   for (const auto& entry : p.context.keys) asked.push_back(entry.site);
                   keys_of(p.dealers, done);
                 },
                 [&](const CollectingMasked& p) {
                   asked = p.survivors;
                   keys_of(p.committed, done);
                 },
                 [&](const CollectingConsistency& p) {
                   asked = federation::messages::sites_of(p.attempt.committed);
                   keys_of(p.signatures, done);
                 },
                 [&](const CollectingUnmask& p) {
                   for (const auto& entry : p.signatures) asked.push_back(entry.site);
                   keys_of(p.responses, done);
                 },
                 [](const Unmasking&) {},
                 [](const Finished&) {},
                 [](const Aborted&) {},
             },
             core_->phase);
  out.answered = done.size();
  out.expected = asked.size();
  out.needed = core_->cohort_min();
  if (!std::holds_alternative<Announced>(core_->phase)) out.possible = out.needed;
  for (const RosterIndex site : asked) {
    if (done.contains(site)) continue;
    const auto trainee = core_->trainees.find(site);
    const bool failed = trainee != core_->trainees.end() && trainee->second.readiness == Readiness::failed;
    if (failed && trainee->second.failure) out.refused.emplace_back(core_->id_of(site), *trainee->second.failure);
    else out.waiting_for.push_back(core_->id_of(site));
  }
  out.left_ms = std::max<std::int64_t>(0, deadline - core_->now.value);
  return out;
}

void RoundMachine::Core::on(Begin event) {
  now = event.now;
  progress = asked = now;
  const MonotonicMs long_ago{now.value - setup.limits.training_progress_ms};
  for (auto& [site, trainee] : trainees) trainee.heard = contains(setup.quiet, site) ? long_ago : now;
  if (auto* resumed = std::get_if<CollectingUnmask>(&phase)) {
    resumed->since = now;
    std::vector<RosterIndex> to;
    for (const federation::messages::SiteSignature& entry : resumed->signatures) to.push_back(entry.site);
    return ask_unmask(*resumed, to);
  }
  if (auto* announced = std::get_if<Announced>(&phase)) {
    announced->since = now;
    if (may_need_beacon()) ask_beacon(beacon_silent());
    announce(setup.invited);
  }
}

void RoundMachine::Core::on(MessageReceived event) {
  const federation::messages::SignedMessage& message = event.message;
  const federation::messages::MessageHeader& header = message.header();
  if (!header.sender) return refuse(RefusalReason::unknown_sender, "the coordinator does not speak to itself");
  const auto site = setup.roster.index_of(*header.sender);
  // The beacon is drawn with every site of the roster, invited to this round or not.
  const bool for_beacon = message.kind() == MessageKind::beacon_commitment ||
                          message.kind() == MessageKind::beacon_nonce;
  if (!site || (!for_beacon && !trainees.contains(*site)))
    return refuse(RefusalReason::unknown_sender, header.sender->text() + " is not invited");
  if (header.run != setup.run) return refuse_to(*site, message, RefusalReason::wrong_run, "a message of another run");
  if (header.epoch != setup.roster.epoch)
    return refuse_to(*site, message, RefusalReason::wrong_epoch, "another roster epoch");
  if (const auto trainee = trainees.find(*site); trainee != trainees.end()) trainee->second.heard = now;
  struct Handler {
    MessageKind kind;
    void (Core::*handle)(const federation::messages::SignedMessage&, RosterIndex);
  };
  static constexpr std::array kHandlers{Handler{MessageKind::hello, &Core::on_hello},
                                        Handler{MessageKind::training_progress, &Core::on_training_progress},
                                        Handler{MessageKind::training_ready, &Core::on_training_ready},
                                        Handler{MessageKind::keys, &Core::on_keys},
                                        Handler{MessageKind::shares, &Core::on_shares},
                                        Handler{MessageKind::masked_chunk, &Core::on_masked_chunk},
                                        Handler{MessageKind::masked_statement, &Core::on_masked_statement},
                                        Handler{MessageKind::consistency_signature, &Core::on_consistency_signature},
                                        Handler{MessageKind::unmask_shares, &Core::on_unmask_shares},
                                        Handler{MessageKind::attempt_failure, &Core::on_failure},
                                        Handler{MessageKind::beacon_commitment, &Core::on_beacon_commitment},
                                        Handler{MessageKind::beacon_nonce, &Core::on_beacon_nonce}};
  static_assert(federation::messages::covers(kHandlers, federation::messages::is_sent_by_site));
  const Handler* const handler = federation::messages::find_entry(kHandlers, message.kind());
  if (handler == nullptr) return refuse(RefusalReason::unexpected_kind, "not a message of a site");
  (this->*handler->handle)(message, *site);
}

void RoundMachine::Core::on(UnmaskFinished event) {
  auto* unmasking = std::get_if<Unmasking>(&phase);
  if (unmasking == nullptr) return refuse(RefusalReason::unexpected_kind, "nothing is being unmasked");
  finish(std::move(*unmasking), std::move(event.outcome));
}

void RoundMachine::Core::on(Tick event) {
  now = std::max(now, event.now);
  close_phase_at_deadline();
  if (now.value - asked.value >= setup.limits.resend_ms) {
    asked = now;
    repeat_requests();
  }
}

// Until a person there accepts the others, decides otherwise about the plan, or changes the policy back; then the site
// says hello. A sum that must be repeated is not waited for so. For whom the roster has run out, a clock or the roster
// must be put right: a site that says hello every few seconds meanwhile would spoil each further attempt, so it is
// asked again in the next round. Without it a sum could not be repeated at all.
bool RoundMachine::Core::waits_for_person(RefusalReason reason) const {
  return reason == RefusalReason::unacquainted_sites || reason == RefusalReason::plan_not_approved ||
         reason == RefusalReason::plan_rejected || (reason == RefusalReason::roster_expired && setup.repeat) ||
         (reason == RefusalReason::local_policy && !setup.repeat);
}

void RoundMachine::Core::on_failure(const federation::messages::SignedMessage& message, RosterIndex site) {
  const auto decoded = federation::messages::AttemptFailure::decode(message.payload());
  if (!decoded) return refuse_to(site, message, RefusalReason::malformed, decoded.error().message);
  if (decoded->round != setup.task.round) return refuse(RefusalReason::stale_round, "a failure in another round");
  Trainee& trainee = trainees[site];
  trainee.failure = decoded->reason;
  // It has not seen the evidence, or forgot it in a restart: the evidence is sent again with the task.
  const bool unshown = setup.repeat && decoded->reason == RefusalReason::model_already_released;
  if (decoded->attempt == 0) {
    // The site catches up, and then says hello.
    const bool catches_up = decoded->reason == RefusalReason::model_differs ||
                            decoded->reason == RefusalReason::transcript_differs;
    trainee.readiness = unshown ? Readiness::awaited : Readiness::failed;
    trainee.final_failure = !catches_up && !unshown && !waits_for_person(decoded->reason);
    return consider_start();
  }
  if (decoded->attempt != attempt) return refuse(RefusalReason::stale_attempt, "a failure in another attempt");
  const bool lost_update = unshown || decoded->reason == RefusalReason::not_ready ||
                           decoded->reason == RefusalReason::forgotten_after_restart;
  trainee.readiness = lost_update ? Readiness::awaited : Readiness::failed;
  if (decoded->reason == RefusalReason::unacquainted_sites) {
    if (decoded->accused && *decoded->accused != site) note_stranger(site, *decoded->accused);
  } else if (decoded->accused && *decoded->accused != site && may_dispute(site, *decoded->accused)) {
    trainee.readiness = Readiness::ready;
    dispute(site, *decoded->accused);
  } else if (!lost_update) {
    trainee.final_failure = decoded->reason != RefusalReason::bad_signature &&
                            decoded->reason != RefusalReason::parameters_differ && !waits_for_person(decoded->reason);
  }
  drop(site);
}

void RoundMachine::Core::on_hello(const federation::messages::SignedMessage& message, RosterIndex site) {
  const auto decoded = federation::messages::Hello::decode(message.payload());
  if (!decoded) return refuse_to(site, message, RefusalReason::malformed, decoded.error().message);
  if (decoded->model_hash != setup.task.model_hash || decoded->transcript != setup.task.previous_transcript) return;
  Trainee& trainee = trainees[site];
  if (trainee.readiness == Readiness::failed && !trainee.final_failure) trainee.readiness = Readiness::awaited;
  if (may_need_beacon()) ask_beacon({site});
  ask_again(site);
}

void RoundMachine::Core::ask_again(RosterIndex site) {
  std::visit(
      Overloaded{
          [&](Announced&) {
            if (!trainees[site].final_failure && !excluded.contains(site)) announce({site});
          },
          [&](CollectingKeys& p) {
            if (contains(p.context.parameters.candidates, site) && !p.keys.contains(site) && !p.gone.contains(site))
              send({site}, MessageKind::parameters, p.context.parameters.encode());
          },
          [&](CollectingShares& p) {
            if (p.context.find(site) != nullptr && !p.dealers.contains(site) && !p.gone.contains(site))
              send({site}, MessageKind::key_list,
                   federation::messages::KeyList{p.context.ref(), p.context.keys}.encode());
          },
          [&](CollectingMasked& p) {
            const auto vector = p.incoming.find(site);
            if (vector != p.incoming.end() && vector->second.granted) request_missing(p, site, vector->second);
          },
          [&](CollectingConsistency& p) {
            if (contains(federation::messages::sites_of(p.attempt.committed), site) && !p.signatures.contains(site) &&
                !p.gone.contains(site))
              ask_consistency(p, {site});
          },
          [&](CollectingUnmask& p) {
            const bool asked_for = std::any_of(p.signatures.begin(), p.signatures.end(),
                                               [&](const auto& entry) { return entry.site == site; });
            if (asked_for && !p.responses.contains(site)) ask_unmask(p, {site});
          },
          [](Unmasking&) {},
          [](Finished&) {},
          [](Aborted&) {},
      },
      phase);
}

void RoundMachine::Core::repeat_requests() {
  if (may_need_beacon() && !has_beacon()) ask_beacon(beacon_silent());
  if (std::holds_alternative<Announced>(phase)) {
    std::vector<RosterIndex> to;
    for (const auto& [site, trainee] : trainees)
      if (!excluded.contains(site) && trainee.readiness == Readiness::awaited) to.push_back(site);
    return announce(to);
  }
  for (const auto& [site, trainee] : trainees) ask_again(site);
}

// Only a site that the phase waits for counts as gone: the phase ends when every site has answered or is gone.
void RoundMachine::Core::drop(RosterIndex site) {
  std::visit(
      Overloaded{
          [&](Announced&) { consider_start(); },
          [&](CollectingKeys& p) {
            if (!contains(p.context.parameters.candidates, site)) return;
            p.keys.erase(site);
            p.gone.insert(site);
            consider_keys(false);
          },
          [&](CollectingShares& p) {
            if (p.context.find(site) == nullptr) return;
            p.dealers.erase(site);
            p.gone.insert(site);
            consider_shares(false);
          },
          [&](CollectingMasked& p) {
            p.incoming.erase(site);
            grant_vectors(p);
            consider_masked();
          },
          [&](CollectingConsistency& p) {
            if (!contains(federation::messages::sites_of(p.attempt.committed), site) || p.signatures.contains(site))
              return;
            p.gone.insert(site);
            consider_consistency(false);
          },
          [](CollectingUnmask&) {},  // it can still release, also after a restart: only the deadline ends R5
          [](Unmasking&) {},
          [](Finished&) {},
          [](Aborted&) {},
      },
      phase);
}

void RoundMachine::Core::close_phase_at_deadline() {
  const bool late = now.value - progress.value >= setup.limits.phase_ms;
  std::visit(Overloaded{
                 [&](Announced&) { consider_start(); },
                 [&](CollectingKeys&) {
                   if (late) consider_keys(true);
                 },
                 [&](CollectingShares&) {
                   if (late) consider_shares(true);
                 },
                 [&](CollectingMasked& p) { leave_silent_out(p); },
                 [&](CollectingConsistency&) {
                   if (late) consider_consistency(true);
                 },
                 [&](CollectingUnmask& p) {
                   if (now.value - p.since.value >= setup.limits.unmask_ms)
                     abort(RefusalReason::deadline_passed,
                           "too few sites released their shares; the round cannot be repeated");
                 },
                 [](Unmasking&) {},
                 [](Finished&) {},
                 [](Aborted&) {},
             },
             phase);
}

}  // namespace fovea::coordinator::round

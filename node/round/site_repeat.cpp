// A site releases shares once per model. The one exception: a sum that could not be opened is repeated without the
// dealers whose fault is proven, over exactly the other sites and with exactly the same vectors. Whoever opens the
// first sum after all, which takes the help of such a dealer, learns nothing more from the second. Why each rule is
// needed: docs/protocol.md.
#include <algorithm>
#include <utility>

#include "node/round/site_core.h"

namespace fovea::node::round {

using federation::messages::Refusal;
using federation::messages::RefusalReason;
using federation::messages::RevealedSecret;

const Release* SiteMachine::Core::release_on(const Digest& model_hash) const {
  const auto found = memory.released_models.find(model_hash);
  return found == memory.released_models.end() ? nullptr : &found->second;
}

// Evidence is about one attempt: once its sum was repeated and released, it allows no further repetition.
bool SiteMachine::Core::may_repeat(const Release& release) const {
  return release.run == config.run && release.mark.ref == faults.ref && !faults.dealers.empty();
}

Refusal SiteMachine::Core::refuse_released(const Release& release) const {
  return federation::messages::refused(
      RefusalReason::model_already_released,
      "this site took part in a sum on this model in run " + release.run.text() +
          ": two sums that differ by one site would show that site's update; continue with a model that no sum was "
          "released on (a plan with another seed)");
}

std::optional<Refusal> SiteMachine::Core::check_task_unreleased(const Digest& model_hash) const {
  const Release* release = release_on(model_hash);
  if (release == nullptr || may_repeat(*release)) return std::nullopt;
  Refusal out = refuse_released(*release);
  // The coordinator is told what is wrong with its evidence, and not to show it again.
  if (release->mark.ref == faults.ref && faults.refused) out.reason = *faults.refused;
  return out;
}

// In R5. The faults were checked in R0 of the attempt; meanwhile nothing may have been released on the model.
std::optional<Refusal> SiteMachine::Core::check_unreleased(const SignedMark& statement) const {
  const Release* release = release_on(statement.model_hash);
  if (release == nullptr) return std::nullopt;
  if (statement.repeats && release->run == config.run && release->mark.ref == *statement.repeats) return std::nullopt;
  return refuse_released(*release);
}

// Two sums of a statistic that no model changes, over cohorts that differ by one site, show that site's own value; two
// over data that differ by one study show that study's. So each study is measured for one sum, on one model of one run.
std::optional<Refusal> SiteMachine::Core::check_statistic(const Digest& model_hash,
                                                          std::span<const federation::model::StudyTag> studies) const {
  for (const federation::model::StudyTag& study : studies) {
    const auto found = memory.statistics.find(study);
    if (found == memory.statistics.end() || found->second == MeasuredFor{config.run, model_hash}) continue;
    return federation::messages::refused(
        RefusalReason::local_policy,
        "studies of this site were measured for the stage \"intensity\" of run " + found->second.run.text() +
            ", and a second sum of the same statistic could show this site's own; take a plan without that stage, or "
            "measure studies that no plan has measured yet");
  }
  return std::nullopt;
}

// In R0. The vector must be the same at a site that has not released too: if a site of the first sum could be led to
// send another update in the second, the difference of the sums would show what it changed.
std::optional<Refusal> SiteMachine::Core::check_repeated(const federation::secagg::RoundParameters& p,
                                                         const TrainedUpdate& trained) const {
  const Release* release = release_on(p.model_hash);
  if (!p.repeats) return release == nullptr ? std::nullopt : std::optional(refuse_released(*release));
  const federation::messages::AttemptRef& repeated = p.repeats->released;
  if (!memory.joined || !memory.joined->stands_for(repeated))
    return federation::messages::refused(RefusalReason::stale_attempt,
                                         "repeats attempt " + std::to_string(repeated.attempt) + " of round " +
                                             std::to_string(repeated.round) +
                                             ", which is not the one that this site joined last");
  if (memory.joined->vector != federation::secagg::vector_digest(p, trained.digest))
    return federation::messages::refused(
        RefusalReason::update_differs,
        "a sum is repeated with the same vectors only, and this site's update is another one now");
  if (release == nullptr) return std::nullopt;
  if (release->mark.ref != repeated || !may_repeat(*release)) return refuse_released(*release);
  std::vector<RosterIndex> exact;
  for (const RosterIndex site : release->mark.committed)
    if (!contains(faults.dealers, site)) exact.push_back(site);
  if (p.candidates != exact)
    return federation::messages::refused(
        RefusalReason::cohort_differs,
        "the candidates are not exactly the " + std::to_string(exact.size()) +
            " sites of the sum that was released, less the dealers whose fault was shown");
  return std::nullopt;
}

std::optional<Refusal> SiteMachine::Core::check_fault(const federation::secagg::DealerFault& fault,
                                                      const ReleasedMark& released) const {
  const federation::messages::AttemptRef ref = fault.parameters.ref();
  if (fault.parameters.run != config.run)
    return federation::messages::refused(RefusalReason::wrong_run, "a fault in another run");
  if (ref.round != released.ref.round)
    return federation::messages::refused(RefusalReason::stale_round, "a fault in round " + std::to_string(ref.round) +
                                                                         ", shares were released last in round " +
                                                                         std::to_string(released.ref.round));
  if (ref.attempt != released.ref.attempt)
    return federation::messages::refused(
        RefusalReason::stale_attempt, "a fault in attempt " + std::to_string(ref.attempt) +
                                          ", shares were released in attempt " + std::to_string(released.ref.attempt));
  if (ref.parameters != released.ref.parameters)
    return federation::messages::refused(RefusalReason::parameters_differ, "a fault under another H(P)");
  if (!contains(released.survivors, fault.dealer))
    return federation::messages::refused(RefusalReason::survivors_not_subset,
                                         "a fault of a site outside U2 of the released statement");
  const bool in_sum = contains(released.committed, fault.dealer);
  if (fault.secret != (in_sum ? RevealedSecret::self_seed : RevealedSecret::mask_key))
    return federation::messages::refused(RefusalReason::both_secrets_of_a_peer,
                                         "shares of the secret that this round does not open");
  return federation::secagg::check_dealer_fault(fault, config.roster);
}

void SiteMachine::Core::on_dealer_fault(const federation::messages::SignedMessage& message) {
  auto decoded = federation::secagg::DealerFault::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  const Release* release = release_on(decoded->parameters.model_hash);
  if (release == nullptr) return;  // nothing was released here, so nothing has to be shown
  if (release->run != config.run) return refuse(refuse_released(*release));
  if (faults.ref != release->mark.ref) faults = {.ref = release->mark.ref, .dealers = {}, .refused = {}};
  if (contains(faults.dealers, decoded->dealer)) return;
  if (auto broken = check_fault(*decoded, release->mark)) {
    faults.refused = broken->reason;
    return refuse(std::move(*broken));
  }
  faults.dealers.insert(std::upper_bound(faults.dealers.begin(), faults.dealers.end(), decoded->dealer),
                        decoded->dealer);
  effects.notices.push_back(config.roster.sites[decoded->dealer].id.text() + " dealt bad shares in round " +
                            std::to_string(decoded->parameters.round) + ": its sum may be repeated without this site");
}

}  // namespace fovea::node::round

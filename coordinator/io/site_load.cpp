#include "coordinator/io/site_load.h"

#include <algorithm>

namespace fovea::coordinator::io {

std::int64_t receipts_of_round(const federation::membership::Plan& plan, std::size_t chunks,
                               std::uint32_t attempts_max) {
  std::uint32_t steps = 0;
  for (const federation::membership::PlanStage& stage : plan.stages) steps = std::max(steps, stage.local_steps);
  // Chunks that were lost are asked for again; a site that restarts trains again.
  return kReceiptsBase + 2 * std::int64_t{steps} +
         2 * static_cast<std::int64_t>(chunks) * std::max<std::int64_t>(1, attempts_max);
}

bool SiteLoad::count(bool admitted) {
  if (admitted) return true;
  ++refused_;
  if (!incident_taken_) incident_due_ = true;
  return false;
}

bool SiteLoad::admit_hello(RoundNumber applied, RoundNumber last_sum, MonotonicMs now) {
  if (applied > applied_most_ && applied <= last_sum) {
    applied_most_ = applied;
    return true;
  }
  return count(hellos_.admit(now));
}

bool SiteLoad::admit_receipt(RoundNumber round, MonotonicMs now) {
  if (round != round_) {
    round_ = round;
    receipts_.refill_to(receipts_max_);
    incident_taken_ = false;
  }
  return count(receipts_.admit(now));
}

bool SiteLoad::admit_publication(RoundNumber applied, MonotonicMs now) {
  const bool progress = !sent_after_most_ || applied > *sent_after_most_;
  if (!progress) {
    if (applied == sent_after_ && now.value - sent_at_.value < kSameSumEveryMs) return false;
    if (!repeated_sums_.admit(now)) return false;
  }
  sent_after_ = applied;
  sent_after_most_ = std::max(applied, sent_after_most_.value_or(0));
  sent_at_ = now;
  return true;
}

std::optional<std::uint64_t> SiteLoad::due_report(MonotonicMs now) {
  if (refused_ == reported_) return std::nullopt;
  if (reported_ > 0 && now.value - reported_at_.value < kOverloadEveryMs) return std::nullopt;
  const std::uint64_t fresh = refused_ - reported_;
  reported_ = refused_;
  reported_at_ = now;
  return fresh;
}

bool SiteLoad::take_incident() {
  if (!incident_due_) return false;
  incident_due_ = false;
  incident_taken_ = true;
  return true;
}

}  // namespace fovea::coordinator::io

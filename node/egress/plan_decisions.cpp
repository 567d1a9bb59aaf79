#include "node/egress/plan_decisions.h"

#include <algorithm>
#include <string>
#include <variant>

namespace fovea::node::egress {

using federation::membership::ApprovalDecision;

void PlanDecisions::learn(const federation::ledger::LedgerEntry& entry) {
  if (const auto* approved = std::get_if<federation::ledger::PlanApproved>(&entry)) {
    if (approved->approver == approver_) learn_decision(approved->approver, approved->approval);
  } else if (const auto* withdrawn = std::get_if<federation::ledger::PlanWithdrawn>(&entry)) {
    plans_[withdrawn->plan].approved = false;
    learn_decision(withdrawn->approver, withdrawn->approval);
  }
}

bool PlanDecisions::take(const federation::membership::Approval& decision) {
  const bool approved = decision.decision == ApprovalDecision::approved;
  const auto [known, fresh] = plans_.try_emplace(decision.plan);
  if (approved && !fresh && decision.decided <= known->second.decided) return false;
  known->second.approved = approved;
  known->second.decided = std::max(known->second.decided, decision.decided);
  return true;
}

// By the rule for new decisions: a ledger in which a version without it followed an old approval brings none back.
void PlanDecisions::learn_decision(const federation::membership::PublicKeyBytes& approver, ByteView evidence) {
  const auto document = federation::membership::SignedDocument::parse(evidence);
  const auto decision = document ? federation::membership::verify_approval(*document, approver)
                                 : Result<federation::membership::Approval>(document.error());
  if (decision && decision->site == site_) take(*decision);
}

Result<bool> PlanDecisions::admit(const federation::membership::Approval& decision) const {
  const bool approved = decision.decision == ApprovalDecision::approved;
  const auto known = plans_.find(decision.plan);
  if (known == plans_.end()) return true;
  const Decision& newest = known->second;
  const bool later = decision.decided > newest.decided;
  const bool in_force = newest.approved == approved && decision.decided == newest.decided;
  if (in_force || (!later && !approved && !newest.approved)) return false;
  if (!later && approved)
    return permission_denied("approval: of the plan " + to_hex(decision.plan).substr(0, 12) + " was signed at " +
                             utc_text(decision.decided) + ", and the ledger has a decision of " +
                             utc_text(newest.decided) +
                             ": an older one does not count, so it was put back from a copy, or a clock is behind; "
                             "decide again (fovea-node plan approve or plan reject)");
  return true;
}

bool PlanDecisions::is_approved(const Digest& plan) const {
  const auto known = plans_.find(plan);
  return known != plans_.end() && known->second.approved;
}

}  // namespace fovea::node::egress

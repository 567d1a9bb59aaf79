// What people at this site decided about plans, as its ledger has it, and whether a further decision counts. Pure: the
// egress gate and whoever reads the ledger beside it come to the same.
#pragma once

#include <map>
#include <utility>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/ledger/entry.h"
#include "federation/membership/approval.h"
#include "federation/membership/signed_document.h"

namespace fovea::node::egress {

class PlanDecisions {
 public:
  struct Decision {
    bool approved = false;  // false: withdrawn
    UnixMs decided{};       // when the newest decision about the plan was signed
  };

  PlanDecisions(SiteId site, const federation::membership::PublicKeyBytes& approver)
      : site_(std::move(site)), approver_(approver) {}

  // The next entry of the ledger, whatever it is about.
  void learn(const federation::ledger::LedgerEntry& entry);
  // Whether this decision is new and counts. False: it is in force, or rejects what is rejected. permission_denied: an
  // approval that was signed before another decision about the plan. A rejection always counts.
  Result<bool> admit(const federation::membership::Approval& decision) const;
  // Whether it is in force from now on.
  bool take(const federation::membership::Approval& decision);

  bool is_approved(const Digest& plan) const;
  const std::map<Digest, Decision>& newest() const noexcept { return plans_; }

 private:
  void learn_decision(const federation::membership::PublicKeyBytes& approver, ByteView evidence);

  SiteId site_;
  federation::membership::PublicKeyBytes approver_;  // the only key whose approvals count
  std::map<Digest, Decision> plans_;
};

}  // namespace fovea::node::egress

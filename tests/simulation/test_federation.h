// A federation with keys from fixed seeds, for tests of the round: nothing here is random.
#pragma once

#include <set>
#include <vector>

#include "coordinator/round/round_machine.h"
#include "federation/membership/roster.h"
#include "node/round/site_machine.h"

namespace fovea::test {

crypto::SecretKey seed_of(std::string_view purpose, std::uint64_t number);

class TestFederation {
 public:
  explicit TestFederation(std::size_t sites, std::uint64_t seed = 1);

  std::size_t size() const noexcept { return identities_.size(); }
  const federation::membership::Roster& roster() const noexcept { return roster_; }
  const RunId& run() const noexcept { return run_; }
  const Digest& plan() const noexcept { return plan_; }
  const crypto::SigningKey& coordinator_key() const noexcept { return coordinator_key_; }
  const crypto::SigningKey& identity(RosterIndex site) const { return identities_.at(site); }
  const SiteId& id(RosterIndex site) const { return roster_.sites.at(site).id; }

  // As the coordinator, or as a site, would seal and the other side open it.
  federation::messages::SignedMessage from_coordinator(federation::messages::MessageKind kind, ByteView payload) const;
  federation::messages::SignedMessage from_site(RosterIndex site, federation::messages::MessageKind kind,
                                                ByteView payload) const;
  Result<federation::messages::SignedMessage> open_at_site(Bytes wire) const;
  Result<federation::messages::SignedMessage> open_at_coordinator(RosterIndex site, Bytes wire) const;

  // The entries of all sites: of a site whose people know every other hospital.
  std::set<Digest> everybody() const;
  node::round::SiteConfig site_config(RosterIndex site, const node::round::SitePolicy& policy) const;

 private:
  std::vector<crypto::SigningKey> identities_;
  crypto::SigningKey coordinator_key_;
  federation::membership::Roster roster_;
  RunId run_;
  Digest plan_{};
};

// m and t as the design's table gives them for n sites: m = 0 below 4 sites, (n − 1) / 3 above.
federation::secagg::Thresholds table_thresholds(std::size_t sites);

}  // namespace fovea::test
